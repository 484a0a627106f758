/**
 * Lines that `tail` wrote, as events to publish: without what the server adds to each.
 *
 * @module
 */
import { isControlType } from "../events/event.ts";
import { isDictionary } from "../events/json.ts";
import { membersOf } from "../events/json_text.ts";

/** What a line holds: an event to publish, or a control event, which the target makes itself. */
export type DraftLine =
  | { readonly draft: string; readonly control?: never }
  | { readonly control: Readonly<Record<string, unknown>>; readonly draft?: never };

/** The keys that the target adds itself. */
const ADDED: readonly string[] = ["id", "time"];

/**
 * Reads a line. All other text of an event stays as it is: every digit, the order of keys, escapes. A line that is no event is
 * a draft unchanged: the target reports what is wrong with it.
 */
export function draftOf(text: string): DraftLine {
  // Most lines of a program are drafts already, and are not parsed.
  if (!/"(?:id|time|events_\w+)"|\\u/.test(text)) return { draft: text };
  const event = parsed(text);
  if (event === undefined) return { draft: text };
  const type = event["type"];
  if (typeof type === "string" && isControlType(type)) return { control: event };
  if (!ADDED.some((key) => Object.hasOwn(event, key))) return { draft: text };
  const members = [...membersOf(text)].filter(([key]) => !ADDED.includes(key));
  return { draft: `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}` };
}

/** Returns what a control event reports as lost; `undefined` if it reports nothing. */
export function lossIn(control: Readonly<Record<string, unknown>>): { count: number | null } | undefined {
  if (control["type"] !== "events_lost") return undefined;
  const { count } = (control["event"] ?? {}) as { count?: unknown };
  return { count: typeof count === "number" ? count : null };
}

/** Says how many events are missing. */
export function lossText(count: number | null): string {
  if (count === null) return "an unknown number of events is missing";
  return count === 1 ? "1 event is missing" : `${count} events are missing`;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isDictionary(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
