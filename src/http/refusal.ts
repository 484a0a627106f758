/**
 * A refused request: the status, headers and body of its answer, and the counts of refusals.
 *
 * @module
 */
import type { Context } from "hono";
import { EventsError, type EventsErrorCode, type Issue } from "../events/errors.ts";
import type { RefusedStatus } from "./routes.ts";

/** The status of each error. */
export const STATUS: Readonly<Partial<Record<EventsErrorCode, RefusedStatus>>> = {
  InvalidEvent: 400,
  InvalidCursor: 400,
  UnknownEventType: 400,
  InvalidParameter: 400,
  BodyIncomplete: 400,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  RequestTimeout: 408,
  PayloadTooLarge: 413,
  UnsupportedMediaType: 415,
  ChannelClosed: 503,
  ChannelUnavailable: 503,
  PublishUnconfirmed: 503,
  Unauthorized: 401,
  Forbidden: 403,
  ForbiddenHost: 403,
  CrossSiteRequest: 403,
  IdempotencyKeyReused: 422,
  TooManyConnections: 503,
  TooManyIdempotencyKeys: 503,
  RequestsIsolated: 501,
  ShuttingDown: 503,
  Unavailable: 503,
};

/** Errors that pass by themselves: clients should retry. */
const TEMPORARY: readonly string[] = [
  "ChannelClosed",
  "ChannelUnavailable",
  "PublishUnconfirmed",
  "TooManyConnections",
  "TooManyIdempotencyKeys",
  "ShuttingDown",
  "Unavailable",
] satisfies EventsErrorCode[];
/** Clients are asked to wait at least this many seconds, and at most 2.5 times as many. */
export const RETRY_AFTER_SECONDS = 5;

/** Maximum number of issues listed in a response; its message says how many there were. */
const MAX_DETAILS = 1000;
/** Maximum number of characters of these issues, after the first: each path may be as long as the body. */
const MAX_DETAIL_LENGTH = 100_000;

/**
 * Answers an `EventsError` in the shape of Tribler's errors.
 *
 * @throws any other error, which is the application's to handle
 */
export function errorResponse(c: Context, error: Error): Response {
  if (!(error instanceof EventsError)) throw error;
  const { code, message } = error;
  const details = error.issues.slice(0, countListed(error.issues));
  const body = { handled: true, code, message, ...(details.length > 0 ? { details } : {}) };
  return c.json({ error: body }, STATUS[code] ?? 500, headersFor(code));
}

/** Returns the headers of an error response, beside those of every response. */
export function headersFor(code: string): Record<string, string> {
  if (code === "NotAcceptable") return { Vary: "Accept" };
  if (code === "Unauthorized") return { "WWW-Authenticate": "Bearer" }; // RFC 9110, section 11.6.1.
  if (!TEMPORARY.includes(code)) return {};
  // Jittered, or all clients retry in the same second.
  return {
    "Retry-After": `${Math.round(RETRY_AFTER_SECONDS * (1 + 1.5 * Math.random()))}`,
    "Vary": "Accept",
  };
}

/** Number of refused requests by error code. */
export interface RefusalCounts {
  /** Counts an `EventsError`, except for an incomplete body: its client has disconnected. */
  count(error: unknown): void;
  /** Returns a copy of the counts. */
  read(): Partial<Record<EventsErrorCode, number>>;
}

/** Makes counts, all 0. */
export function createRefusalCounts(): RefusalCounts {
  const { BodyIncomplete: _, ...counted } = STATUS;
  const counts: Partial<Record<EventsErrorCode, number>> = Object.fromEntries(
    Object.keys(counted).map((code) => [code, 0]),
  );
  return {
    count: (error) => {
      if (!(error instanceof EventsError) || error.code === "BodyIncomplete") return;
      counts[error.code] = (counts[error.code] ?? 0) + 1;
    },
    read: () => ({ ...counts }),
  };
}

/** Returns how many of the issues are listed. */
function countListed(issues: readonly Issue[]): number {
  let length = 0;
  const beyond = issues.findIndex(({ path, message }, index) => {
    length += path.length + message.length;
    return index === MAX_DETAILS || (index > 0 && length > MAX_DETAIL_LENGTH);
  });
  return beyond === -1 ? issues.length : beyond;
}
