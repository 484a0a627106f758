/**
 * What follows which answer, and how long a client waits: pure functions. The whole table is in the documentation of
 * `mod.ts`.
 *
 * @module
 */
import type { EventsError } from "../events/errors.ts";
import { isStreamType } from "./decode.ts";

/** What an answer means: a stream, the end of it for good (WHATWG HTML 9.2), or an error. */
export type Verdict =
  | "open"
  | "end"
  | "Unauthorized"
  | "Unavailable"
  | "RequestRejected"
  | "Redirected"
  | "UnexpectedResponse";

/** The statuses below 500 that may be another one later. */
const PASSING: readonly number[] = [408, 425, 429];

/** What an answer means by its head. */
export function classifyResponse(status: number, contentType: string | null): Verdict {
  if (status === 200) return isStreamType(contentType) ? "open" : "UnexpectedResponse";
  if (status === 204) return "end";
  if (status === 401) return "Unauthorized";
  // Chromium takes a head that was cut for a whole one, and what it has of the status for a status.
  const isCut = status > 0 && status < 100;
  if (status >= 500 || isCut || PASSING.includes(status)) return "Unavailable";
  if (status >= 400) return "RequestRejected";
  // A browser does not tell where it was sent: the status is 0 (Fetch, opaque-redirect filtered response).
  return status >= 300 || status === 0 ? "Redirected" : "UnexpectedResponse";
}

/** The errors after which there is another attempt, as long as no stream was open. */
const RETRIED: readonly string[] = ["ConnectionFailed", "Timeout", "Unavailable"];

/** Whether asking again may change the answer. */
export function isRetried({ code }: EventsError): boolean {
  return RETRIED.includes(code);
}

/**
 * How many seconds a `Retry-After` asks for (RFC 9110, section 10.2.3): a number, or the time until a date.
 *
 * @param now milliseconds since 1970
 * @returns 0 where it is absent, past or neither
 */
export function retryAfter(value: string | null, now: number): number {
  if (value === null) return 0;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  return Math.max(0, (Date.parse(value) - now) / 1000) || 0;
}

/** How a client comes back. All in seconds. */
export interface Backoff {
  /** The longest wait after a first failure. */
  readonly min: number;
  /** The longest wait ever, but for what the server asks for. */
  readonly max: number;
  /** Whether a wait is anything from nothing up to the longest one. */
  readonly jitter: boolean;
}

/**
 * How many seconds to wait before another attempt: exponential with full jitter, as AWS describes it, so that clients
 * which lost the same server do not come back in the same moment. It comes on top of what the server asked for,
 * because that may be the same number for all of them.
 *
 * @param failures how many attempts failed in a row
 * @param floor the seconds that the server asked for
 */
export function delayAfter(failures: number, pace: Backoff, floor: number, random: () => number): number {
  const longest = Math.min(pace.max, pace.min * 2 ** Math.max(0, failures - 1));
  return floor + (pace.jitter ? random() * longest : longest);
}
