/**
 * Limits and their checks.
 *
 * @module
 */

import { checkOptions, type Expected, NUMBER } from "../events/arguments.ts";

/** How much an in-memory history keeps. */
export interface HistoryLimits {
  /** The most events; default 100 000. */
  readonly events?: number;
  /** The most bytes of JSON in UTF-8, at least 1024; default 32 MiB. No single event may be larger. */
  readonly bytes?: number;
}

const LIMITS: Readonly<Record<keyof HistoryLimits, Expected>> = { events: NUMBER, bytes: NUMBER };

/**
 * Checks the limits of a history and fills in the defaults.
 *
 * @throws {TypeError} if there is no such limit, or it is no number
 * @throws {RangeError} if one is not a whole number or too small
 */
export function historyLimits(
  limits: HistoryLimits = {},
): { readonly maxEvents: number; readonly maxBytes: number } {
  checkOptions("history", limits, LIMITS);
  const { events = 100_000, bytes = 32 * 1024 * 1024 } = limits;
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
