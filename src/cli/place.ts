/**
 * Reads a place in a stream as people write it: an id, a duration back, or a time, which is a local one without a zone.
 *
 * @module
 */
import { isCursor } from "../events/cursor.ts";
import { durationMs, isoTime, parseTime } from "../events/time.ts";
import { UsageError } from "./usage.ts";

/** What `--since` and `--until` take beside the id of an event, for the help and for refusals. */
const PLACES = {
  since: "earliest, latest, a time (12:00, noon, midnight, 2026-11-28T12:00, 2026-11-28T03:00:00Z)",
  until: "a time (2026-11-28T12:00, 2026-11-28T03:00:00Z)",
};
const DAY_TIMES: Readonly<Record<string, string>> = { noon: "12:00", midnight: "00:00" };
const DAY_TIME = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;
const LOCAL_TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?)?$/;

/**
 * Returns the place as a server takes it; `undefined` if the flag was not given.
 *
 * @param now the current time, in milliseconds since 1970
 * @throws {UsageError}
 */
export function readPlace(flag: "since" | "until", text: unknown, now: number): string | undefined {
  if (typeof text !== "string" || text === "") return text as undefined;
  if (durationMs(text) !== undefined) return `-${text}`;
  if (isCursor(text) || parseTime(text, now) !== undefined) return text;
  if (flag === "since" && (text === "earliest" || text === "latest")) return text;
  const time = localTime(text) ?? (flag === "since" ? lastTime(DAY_TIMES[text] ?? text, now) : undefined);
  if (time !== undefined) return isoTime(time);
  const given = JSON.stringify(text.slice(0, 80));
  throw new UsageError(
    `--${flag} takes the id of an event, ${PLACES[flag]}, or a duration back (10m), not ${given}`,
  );
}

/** Reads a date with or without a time of day; `undefined` for another text, and for a day that does not exist. */
function localTime(text: string): number | undefined {
  const [, year, month, day, ...clock] = LOCAL_TIME.exec(text) ?? [];
  if (year === undefined) return undefined;
  const [hours = 0, minutes = 0, seconds = 0] = clock.map((part) => Number(part ?? 0));
  const time = new Date(Number(year), Number(month) - 1, Number(day), hours, minutes, seconds);
  return time.getMonth() === Number(month) - 1 && time.getDate() === Number(day) ? time.getTime() : undefined;
}

/** Returns when it was this time of day for the last time; `undefined` for a text that is none. */
function lastTime(text: string, now: number): number | undefined {
  const [, hours, minutes, seconds = "0"] = DAY_TIME.exec(text) ?? [];
  if (hours === undefined) return undefined;
  const time = new Date(now);
  time.setHours(Number(hours), Number(minutes), Number(seconds), 0);
  if (time.getTime() > now) time.setDate(time.getDate() - 1);
  return time.getTime();
}
