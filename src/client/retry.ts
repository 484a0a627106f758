/**
 * Pure functions that decide what follows a response, and how long a client waits. The whole table is in the documentation
 * of `mod.ts`.
 *
 * @module
 */
import type { EventsError } from "../events/errors.ts";
import { isStreamType } from "./decode.ts";

/** What a response means: a stream, its end for good (WHATWG HTML 9.2), or an error. */
export type ResponseKind =
  | "open"
  | "end"
  | "Unauthorized"
  | "Unavailable"
  | "RequestRejected"
  | "Redirected"
  | "UnexpectedResponse";

/** The statuses below 500 that are temporary. */
const TEMPORARY: readonly number[] = [408, 425, 429];

/** Returns what a response means, by its status and media type. */
export function classifyResponse(status: number, contentType: string | null): ResponseKind {
  if (status === 200) return isStreamType(contentType) ? "open" : "UnexpectedResponse";
  if (status === 204) return "end";
  if (status === 401) return "Unauthorized";
  // Chromium takes a head that was cut off for a whole one, and the digits it has of the status for a status.
  const isCut = status > 0 && status < 100;
  if (status >= 500 || isCut || TEMPORARY.includes(status)) return "Unavailable";
  if (status >= 400) return "RequestRejected";
  // A browser hides the target of a redirect: the status is 0 (Fetch, opaque-redirect filtered response).
  return status >= 300 || status === 0 ? "Redirected" : "UnexpectedResponse";
}

/** The errors that are retried if no stream was open. */
const RETRIED: readonly string[] = ["ConnectionFailed", "Timeout", "Unavailable"];

/** Whether another attempt may succeed. */
export function isRetried({ code }: EventsError): boolean {
  return RETRIED.includes(code);
}

/** The errors of an open stream after which it is resumed. */
const RESUMED: readonly string[] = ["ConnectionLost", "Timeout"];

/** Whether the stream that this error ended may be resumed by another attempt. */
export function isResumed({ code }: EventsError): boolean {
  return RESUMED.includes(code);
}

/**
 * Returns the number of seconds that a `Retry-After` asks for (RFC 9110, section 10.2.3): a number, or the time until a
 * date. That is counted from the `Date` of the response, if it can be read: the clock of this machine may be off by hours.
 *
 * @param now milliseconds since 1970
 * @returns 0 if it is absent, past or neither
 */
export function readRetryAfter(headers: Headers, now: number): number {
  const value = headers.get("Retry-After");
  if (value === null) return 0;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const sent = Date.parse(headers.get("Date") ?? "");
  return Math.max(0, (Date.parse(value) - (Number.isNaN(sent) ? now : sent)) / 1000) || 0;
}

/** How long a client waits between attempts. All in seconds. */
export interface Backoff {
  /** The longest wait after a first failure. */
  readonly min: number;
  /** The longest wait, without what the server asks for. */
  readonly max: number;
  /** Whether a wait is a random part of the longest one. */
  readonly jitter: boolean;
  /** The most of what the server asks for. */
  readonly maxRetryAfter: number;
}

/**
 * Returns the number of seconds before another attempt: exponential with full jitter, as AWS describes it, so that clients
 * which lost the same server do not reconnect in the same moment. The delay is added to what the server asked for, which may
 * be the same number for all of them.
 *
 * @param failures number of attempts that failed in a row
 * @param retryAfter number of seconds that the server asked for
 */
export function delayAfter(
  failures: number,
  backoff: Backoff,
  retryAfter: number,
  random: () => number,
): number {
  const longest = Math.min(backoff.max, backoff.min * 2 ** Math.max(0, failures - 1));
  return Math.min(retryAfter, backoff.maxRetryAfter) + (backoff.jitter ? random() * longest : longest);
}
