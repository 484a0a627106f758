/**
 * Times and durations, and how they are written.
 *
 * @module
 */

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Returns the milliseconds of a duration like `7d`, `12h`, `10m` or `1.5s`; `undefined` if the text is none. */
export function durationMs(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(number) * UNITS_MS[unit]!;
}

const TIME =
  /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3])(?::[0-5]\d){2})(?:\.(\d{1,9}))?([Zz]|[+ -](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Whether there is such a day. V8 takes February 30 for March 2. */
function isDay(date: string): boolean {
  const ms = Date.parse(date);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date);
}

/**
 * Returns the time of a text, in milliseconds since 1970: RFC 3339 (`2026-11-28T03:00:00Z`), or a duration back (`-10m`);
 * `undefined` if it is neither. A `+` may have become a space, as it does in the query of a URL.
 */
export function parseTime(text: string, now: number): number | undefined {
  const back = text.startsWith("-") ? durationMs(text.slice(1)) : undefined;
  if (back !== undefined) return now - back;
  const [, date, time, fraction = "0", zone] = TIME.exec(text) ?? [];
  if (zone === undefined || !isDay(date!)) return undefined;
  const ms = Date.parse(
    `${date}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}${zone.toUpperCase().replace(" ", "+")}`,
  );
  return Number.isNaN(ms) ? undefined : ms;
}

let lastMs = NaN;
let lastText = "";

/** Formats a time as events have it: RFC 3339, UTC, milliseconds. Consecutive events often have the same. */
export function isoTime(ms: number): string {
  if (ms !== lastMs) [lastMs, lastText] = [ms, new Date(ms).toISOString()];
  return lastText;
}
