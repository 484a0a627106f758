/**
 * Refusals: what a request is answered that is not done.
 *
 * @module
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { EventsError, type EventsErrorCode, type Issue } from "../events/errors.ts";

/** The status that each refusal is answered with. */
export const STATUS: Readonly<Partial<Record<EventsErrorCode, ContentfulStatusCode>>> = {
  InvalidEvent: 400,
  InvalidCursor: 400,
  UnknownEventType: 400,
  InvalidParameter: 400,
  BodyIncomplete: 400,
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
  ShuttingDown: 503,
};

/** These pass by themselves: whoever was told one may come back. */
const PASSING: readonly string[] = [
  "ChannelClosed",
  "ChannelUnavailable",
  "PublishUnconfirmed",
  "TooManyConnections",
  "TooManyIdempotencyKeys",
  "ShuttingDown",
] satisfies EventsErrorCode[];
/** Who was refused stays away for so many seconds at the least, and 2.5 times as many at the most. */
export const STAY_AWAY = 5;

/** So many faults of a body are told one by one, at the most; the message tells how many there were. */
const MAX_DETAILS = 1000;
/** And so many characters of them, after the first: each path may be as long as the body. */
const MAX_DETAIL_LENGTH = 100_000;

/** Refusals in the shape of Tribler's errors; whatever else was thrown is the application's to handle. */
export function errorResponse(c: Context, error: Error): Response {
  if (!(error instanceof EventsError)) throw error;
  const { code, message } = error;
  const details = error.issues.slice(0, countShown(error.issues));
  const body = { handled: true, code, message, ...(details.length > 0 ? { details } : {}) };
  return c.json({ error: body }, STATUS[code] ?? 500, headersFor(code));
}

/** The headers that a refusal has beside those of every answer. */
export function headersFor(code: string): Record<string, string> {
  if (code === "NotAcceptable") return { Vary: "Accept" };
  if (code === "Unauthorized") return { "WWW-Authenticate": "Bearer" }; // RFC 9110, section 11.6.1.
  if (!PASSING.includes(code)) return {};
  // Not the same for all, or they all come back in the same second.
  return { "Retry-After": `${Math.round(STAY_AWAY * (1 + 1.5 * Math.random()))}`, "Vary": "Accept" };
}

/** How many requests were refused, by the code they were told. */
export interface RefusalCounts {
  /** Counts a refusal. A client that has left was told none, and what else was thrown is none. */
  count(error: unknown): void;
  /** What was counted so far: a copy. */
  read(): Partial<Record<EventsErrorCode, number>>;
}

/** Makes counts that are all 0. */
export function createRefusalCounts(): RefusalCounts {
  const { BodyIncomplete: _, ...told } = STATUS;
  const counts: Partial<Record<EventsErrorCode, number>> = Object.fromEntries(
    Object.keys(told).map((code) => [code, 0]),
  );
  return {
    count: (error) => {
      if (!(error instanceof EventsError) || error.code === "BodyIncomplete") return;
      counts[error.code] = (counts[error.code] ?? 0) + 1;
    },
    read: () => ({ ...counts }),
  };
}

/** How many of the faults are told one by one. */
function countShown(faults: readonly Issue[]): number {
  let length = 0;
  const beyond = faults.findIndex(({ path, message }, index) => {
    length += path.length + message.length;
    return index === MAX_DETAILS || (index > 0 && length > MAX_DETAIL_LENGTH);
  });
  return beyond === -1 ? faults.length : beyond;
}
