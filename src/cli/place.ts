/**
 * Reads a place in a stream as people write it: an id, a duration back, or a time, which is a local one without a zone.
 *
 * @module
 */
import { isCursor } from "../events/cursor.ts";
import { durationMs, isoTime, parseTime } from "../events/time.ts";
import { lastTimeOfDay, localTime } from "../text/local_time.ts";
import { UsageError } from "./usage.ts";

/** What `--since` and `--until` take beside the id of an event, for the help and for refusals. */
const PLACES = {
  since: "earliest, latest, a time (12:00, noon, midnight, 2026-11-28T12:00, 2026-11-28T03:00:00Z)",
  until: "a time (2026-11-28T12:00, 2026-11-28T03:00:00Z)",
};

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
  const time = localTime(text) ?? (flag === "since" ? lastTimeOfDay(text, now) : undefined);
  if (time !== undefined) return isoTime(time);
  const given = JSON.stringify(text.slice(0, 80));
  throw new UsageError(
    `--${flag} takes the id of an event, ${PLACES[flag]}, or a duration back (10m), not ${given}`,
  );
}
