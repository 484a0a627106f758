/**
 * Retention: what a channel keeps, and for how long. What it no longer keeps is reported as lost, with its exact number.
 *
 * @module
 */
import { checkOptions, type Expected, NUMBER_OR_NULL } from "../events/arguments.ts";
import { durationMs } from "../events/time.ts";
import type { History } from "./history.ts";
import { checkLimit } from "./limits.ts";

/** What a channel keeps at most. The oldest events are dropped first. */
export interface Retention {
  /** Maximum number of events; `null` for any number. */
  readonly events?: number | null;
  /** Maximum number of bytes; `null` for any number. */
  readonly bytes?: number | null;
  /** Maximum age: a number of seconds, or a text like `"7d"` (s, m, h or d); `null` for any age. */
  readonly age?: number | string | null;
}

/** How many bytes a channel keeps elsewhere than in memory if nothing else is asked for. */
export const DEFAULT_BYTES: number = 1024 ** 3;

/** The limits of a retention, infinite if there are none. */
export interface RetentionLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

const RETENTION: Readonly<Record<keyof Retention, Expected>> = {
  events: NUMBER_OR_NULL,
  bytes: NUMBER_OR_NULL,
  age: {
    text: 'a number of seconds, a text like "7d", or null',
    accepts: (value) => NUMBER_OR_NULL.accepts(value) || typeof value === "string",
  },
};

/**
 * Checks a retention.
 *
 * @param least minimum number of bytes
 * @throws {TypeError} if there is no such limit, or it is of another kind
 * @throws {RangeError} if a limit is too small, not a whole number, or no duration
 */
export function retentionLimits({ ...keep }: Retention, least: number): RetentionLimits {
  checkOptions("keep", keep, RETENTION);
  const { events, bytes, age } = keep;
  return {
    maxEvents: events == null ? Infinity : checkLimit("keep.events", events, 1),
    maxBytes: bytes == null ? Infinity : checkLimit("keep.bytes", bytes, least),
    maxAgeMs: age == null ? Infinity : ageMs(age),
  };
}

function ageMs(age: number | string): number {
  const ms = typeof age === "number" ? age * 1000 : durationMs(age);
  if (ms !== undefined && ms >= 1 && ms < Infinity) return ms;
  throw new RangeError(
    `keep.age must be a number of seconds or a text like "7d", not ${JSON.stringify(age)}`,
  );
}

/** Drops events of a history that are too old. */
export interface Expiry {
  /** Looks at them every second, as long as there are any. A second call has no effect. */
  start(): void;
  /** Drops no more. */
  stop(): void;
}

/** The interval at which events are dropped, in milliseconds. */
const INTERVAL_MS = 1000;

/** Makes an expiry that has no timer yet: a channel may be made where none is allowed, as at module scope in Workers. */
export function createExpiry(log: History, maxAgeMs: number): Expiry {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;

  function start(): void {
    if (isStopped || timer !== undefined || log.first > log.last) return;
    timer = setTimeout(() => {
      timer = undefined;
      log.forgetOlderThan(Date.now() - maxAgeMs);
      start();
    }, INTERVAL_MS);
    (timer as { unref?: () => void }).unref?.(); // It keeps no process running.
  }

  return {
    start,
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
