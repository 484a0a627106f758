/**
 * Event text: how an event is shown on a terminal and on the page. Its time, its group, and the content of its payload.
 *
 * @module
 */
import { jsonLine, oneLine, printable } from "./printable.ts";

/** An event as it was received. */
export interface DisplayEvent {
  readonly type: string;
  readonly event?: unknown;
  readonly time?: unknown;
}

/** Maximum number of keys of a payload that are read: no screen has room for more. */
const MAX_KEYS = 2000;

/** Returns when it was published; now if it does not say. */
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

/** Returns the group of an event: `trouble`, `events` for control events, or else what its type begins with. */
export function groupOf(type: string): string {
  if (/error|exception|corrupt|low_space/.test(type)) return "trouble";
  return type.split(/[_.:/-]/, 1)[0]!;
}

/** Returns the content of a payload, one text for each key; one that is not a dictionary has one text and no key. */
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
