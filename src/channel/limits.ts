/**
 * Limits and their checks.
 *
 * @module
 */

/** How much an in-memory history keeps. */
export interface HistoryLimits {
  /** The most events; default 100 000. */
  readonly events?: number;
  /** The most bytes of JSON in UTF-8, at least 1024; default 32 MiB. No single event may be larger. */
  readonly bytes?: number;
}

/**
 * Checks the limits of a history and fills in the defaults.
 *
 * @throws {RangeError} if one is not a whole number or too small
 */
export function historyLimits(
  { events = 100_000, bytes = 32 * 1024 * 1024 }: HistoryLimits = {},
): { readonly maxEvents: number; readonly maxBytes: number } {
  return {
    maxEvents: checkLimit("history.events", events, 1),
    maxBytes: checkLimit("history.bytes", bytes, 1024),
  };
}

/**
 * Checks a limit and returns it.
 *
 * @throws {RangeError} if it is not a whole number or smaller than `least`
 */
export function checkLimit(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}`);
  }
  return value;
}
