/**
 * How the list writes an event: in parts, of which names are loud, and hashes short and quiet.
 *
 * @module
 */
import { clock, type DisplayEvent, pairsOf, wordsOf } from "../text/event_text.ts";
import { lossSentence } from "../text/loss_text.ts";
import { printable } from "../text/printable.ts";
import { summaryOf } from "../tribler/summary.ts";

/** A part of the text of an event. */
export interface TextPart {
  readonly kind: "name" | "text" | "quiet";
  readonly text: string;
}

/** The keys of a payload that name something, the best first. */
const NAMES = ["name", "title", "text", "message", "error", "label", "id"];
/** What Tribler's summaries leave of a hash. */
const HASH = /\b[0-9a-f]{8}…/;
/** What looks like a hash or an identifier that no person reads. */
const LONG_HASH = /^(?:[0-9a-f]{24,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;
const MAX_TEXT = 300;

/** Returns what an event says, in parts. The hash of its subject is left out, because the subject stands beside it. */
export function textParts(event: DisplayEvent): readonly TextPart[] {
  const { type, subject } = event;
  if (type === "events_lost") return [{ kind: "name", text: lossSentence(event.event) }];
  const summary = summaryOf(event);
  if (summary === plainText(event.event)) return pairParts(event.event, subject);
  const hash = typeof subject === "string" ? ` ${shortened(subject)}` : undefined;
  const text = hash !== undefined && summary.endsWith(hash) ? summary.slice(0, -hash.length) : summary;
  return sentenceParts(text, nameOf(event.event));
}

/** Returns the same as one text. */
export function summaryText(event: DisplayEvent): string {
  return textParts(event).map(({ text }) => text).join("");
}

/** Shortens a hash to its beginning, which is enough to distinguish it; other texts stay whole. */
export function shortened(text: string): string {
  return LONG_HASH.test(text) ? `${text.slice(0, 8)}…` : text;
}

/** Formats the time of day; for another day the date and as much of the time as fits. */
export function placeInTime(time: number): string {
  const date = new Date(time);
  const isToday = Math.abs(Date.now() - time) < 86_400_000 && date.getDate() === new Date().getDate();
  if (isToday) return clock(date);
  return `${date.toLocaleDateString("en", { month: "short", day: "numeric" })} ${clock(date).slice(0, 5)}`;
}

/** Returns what a dictionary calls the subject that it is about; `undefined` if it does not name it. */
export function subjectName({ event }: DisplayEvent): string | undefined {
  const { name, title, result } = (event ?? {}) as Readonly<Record<string, unknown>>;
  const nested = (result as { name?: unknown } | null | undefined)?.name;
  const found = [name, title, nested].find((one) => typeof one === "string" && one !== "");
  return found === undefined ? undefined : printable(found as string);
}

/** Says what the figures of the page are of, after "events/s"; empty for all events. */
export function scopeText(
  { types, subjects }: { readonly types: readonly string[]; readonly subjects: readonly string[] },
): string {
  const [chosen, name] = subjects.length > 0 ? [subjects, "subject"] : [types, "type"];
  return chosen.length === 0 ? "" : ` of ${chosen.length} ${name}${chosen.length === 1 ? "" : "s"}`;
}

/** The text of a payload that has no sentence of its own. */
function plainText(payload: unknown): string {
  const text = pairsOf(payload).map(([key, value]) => key === undefined ? value : `${key}=${value}`).join(
    " ",
  );
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text;
}

/** Returns the text that names what a payload is about; empty if it has none at the places where Tribler has it. */
function nameOf(payload: unknown): string {
  const { name, result, error } = (payload ?? {}) as {
    name?: unknown;
    result?: { name?: unknown };
    error?: unknown;
  };
  const found = [name, result?.name, error].find((one) => typeof one === "string");
  return found === undefined ? "" : printable(found as string);
}

/** Splits a sentence: into its name, if it begins with that or else what stands before the first comma; hashes; the rest. */
function sentenceParts(text: string, name: string): readonly TextPart[] {
  const isNamed = name !== "" && text.startsWith(name);
  const end = isNamed
    ? name.length
    : /, (?=order \d|a trade|failed)| [0-9a-f]{8}…/.exec(text)?.index ?? text.length;
  const first = text.slice(0, end);
  const parts: TextPart[] = isNamed || !HASH.test(first) ? [{ kind: "name", text: first }] : [];
  for (const [i, piece] of text.slice(parts.length === 0 ? 0 : end).split(/(\s?\b[0-9a-f]{8}…)/).entries()) {
    if (piece !== "") parts.push({ kind: i % 2 === 1 ? "quiet" : "text", text: piece });
  }
  return parts;
}

/** Writes a payload as its keys and values: first what names it, without the key. */
function pairParts(payload: unknown, subject: unknown): readonly TextPart[] {
  const pairs = pairsOf(payload);
  const name = NAMES.map((key) => pairs.find(([own, text]) => own === key && text !== '""'))
    .find((pair) => pair !== undefined);
  const parts: TextPart[] = [];
  let length = 0;
  const add = (kind: TextPart["kind"], text: string) => {
    if (length > MAX_TEXT) return;
    length += text.length;
    parts.push({ kind, text: length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text });
  };
  if (name !== undefined) {
    add("name", shortened(wordsOf((payload as Readonly<Record<string, unknown>>)[name[0]!])));
  }
  for (const pair of pairs) {
    const [key, text] = pair;
    const value = key === undefined ? wordsOf(payload) : text;
    if (pair === name || (value === subject && key !== undefined)) continue;
    const space = parts.length === 0 ? "" : "  ";
    if (key !== undefined) add("quiet", `${space}${key} `);
    add(LONG_HASH.test(value) ? "quiet" : "text", shortened(value));
  }
  return parts;
}
