/**
 * What people are shown of an event, on a terminal and on the page: when it was, of what kind, and what its payload says.
 *
 * @module
 */
import { jsonLine, oneLine, printable } from "./printable.ts";

/** An event as it was received. */
export interface Told {
  readonly type: string;
  readonly event?: unknown;
  readonly time?: unknown;
}

/** Of a payload no more keys than this are looked at: there is nothing to show it on that has room for them. */
const MAX_KEYS = 2000;

/** When it was published; where it does not say, now. */
export function timeOf({ time }: Told): Date {
  const date = new Date(typeof time === "string" ? time : NaN);
  return Number.isNaN(date.getTime()) ? new Date() : date;
}

/** The time of day here, `HH:MM:SS`. */
export function clock(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => `${n}`.padStart(2, "0")).join(
    ":",
  );
}

/** The kind of an event: `trouble`, `events` for what the stream says of itself, or else what its type begins with. */
export function kindOf(type: string): string {
  if (/error|exception|corrupt|low_space/.test(type)) return "trouble";
  return type.split(/[_.:/-]/, 1)[0]!;
}

/** What a payload says, one text for each key; a payload that is no dictionary has one text, and no key. */
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
