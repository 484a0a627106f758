/**
 * Event text: the time, the group and the payload of an event, as a terminal and the page show them.
 *
 * @module
 */
import { jsonLine, oneLine, printable } from "./printable.ts";

/** The part of a received event that is shown. */
export interface DisplayEvent {
  readonly type: string;
  readonly subject?: unknown;
  readonly event?: unknown;
  readonly time?: unknown;
}

/** Maximum number of keys of a payload that are shown: no screen has room for more. */
const MAX_KEYS = 2000;

/** Returns when an event was published; the current time if it has no valid `time`. */
export function timeOf({ time }: DisplayEvent): Date {
  const date = new Date(typeof time === "string" ? time : NaN);
  return Number.isNaN(date.getTime()) ? new Date() : date;
}

/** Formats the local time of day, `HH:MM:SS`. */
export function clock(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => `${n}`.padStart(2, "0")).join(
    ":",
  );
}

/**
 * What types of trouble contain, unless they say after it that it is over. An offer or a session that times out ends as it
 * should.
 */
const TROUBLE = new RegExp(
  "(?:error|exception|fail|corrupt|low_space|crash|fatal|critical|panic|abort|denied|declined|rejected|refused|" +
    "(?<!(?:ask|bid|session)_?)time(?:d[_.:/-]?)?out|alert|outage|unhealthy|unreachable)" +
    "(?!.*(?:resolved|recovered|cleared|fixed))",
  "i",
);

/** Returns the group of a type: `trouble`, `events` for control events, or else the first word of the type. */
export function groupOf(type: string): string {
  if (TROUBLE.test(type)) return "trouble";
  return type.split(/[_.:/-]/, 1)[0]!;
}

/** Returns the keys of a payload with their values as text. A payload that is not a dictionary has one text and no key. */
export function pairsOf(payload: unknown): (readonly [key: string | undefined, text: string])[] {
  if (payload === undefined) return [];
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) {
    return [[undefined, valueText(payload)]];
  }
  return Object.entries(payload).slice(0, MAX_KEYS).map(([key, value]) => [printable(key), valueText(value)]);
}

function valueText(value: unknown): string {
  if (typeof value !== "string") return jsonLine(value);
  const text = oneLine(value);
  return /[\s="]|^$/.test(text) ? jsonLine(text) : printable(text);
}

/** Writes a value that stands by itself, and needs no quotes. */
export function wordsOf(value: unknown): string {
  return typeof value === "string" ? printable(value) : jsonLine(value);
}
