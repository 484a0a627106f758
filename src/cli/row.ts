/**
 * Formats an event as one row of a terminal: its time, its type, its subject and its payload.
 *
 * @module
 */
import { styleText } from "node:util";
import { lossSentence } from "../text/loss_text.ts";
import { printable } from "../text/printable.ts";
import { widthOf } from "./width.ts";
import { sentence } from "../tribler/summary.ts";
import { clock, type DisplayEvent, groupOf, pairsOf, timeOf } from "../text/event_text.ts";

/** The width of a terminal, and whether it shows colours. */
export interface TerminalStyle {
  /** Number of columns of a row. */
  readonly columns: number;
  /** Whether rows are coloured. */
  readonly colours: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** A piece of a row, and its style. */
export type Span = readonly [text: string, style?: Style];

/** Number of columns to which types are padded in a wide terminal: the longest type of Tribler fits. */
const TYPE_COLUMNS = 28;
/** The part of a narrow terminal that types have. */
const TYPE_SHARE = 0.28;
/** Maximum number of columns of a value, so that a long one leaves room for the others. */
const VALUE_COLUMNS = 48;
/** The keys whose values people look for first; the first of these that a payload has comes first, without its key. */
const NAME_KEYS = ["name", "title", "text", "message", "error", "description"];
/** A hash or a key, in hexadecimal digits. */
const HASH = /^[0-9a-f]{32,}$/i;
/**
 * Maximum number of characters of a text that are measured: no terminal has room for more. Measuring is slow, so one
 * publisher of long texts could block every terminal.
 */
const MAX_MEASURED_CHARACTERS = 2000;
const GROUP_STYLES: readonly Style[] = ["cyan", "green", "blue", "magenta", "cyanBright", "greenBright"];

/** Formats an event as a row. */
export function eventRow(event: DisplayEvent, style: TerminalStyle): string {
  const columns = Math.min(TYPE_COLUMNS, Math.max(8, Math.floor(style.columns * TYPE_SHARE)));
  const type = printable(event.type);
  const shown = cutMiddle(type, columns);
  const spans: Span[] = [
    [`${clock(timeOf(event))}  `, "dim"],
    [shown + " ".repeat(Math.max(0, columns - widthOf(shown))), styleOf(type)],
    ["  "],
    ...[...subjectParts(event), ...payloadParts(event)].flatMap((part, index): Span[] =>
      index === 0 ? part : [[" "], ...part]
    ),
  ];
  return fit(spans, style);
}

/** Returns the style of a type: red for trouble, yellow for control events, and else a colour for its group. */
function styleOf(type: string): Style {
  const group = groupOf(type);
  if (group === "trouble") return ["red", "bold"];
  if (group === "events") return ["yellow", "bold"];
  let hash = 0;
  for (const char of group) hash = (hash * 31 + char.codePointAt(0)!) % 65521;
  return GROUP_STYLES[hash % GROUP_STYLES.length]!;
}

/** Formats a subject, unless a key of the payload shows it. */
function subjectParts({ subject, event }: DisplayEvent): Span[][] {
  const isShown = typeof event === "object" && event !== null && Object.values(event).includes(subject);
  if (typeof subject !== "string" || isShown) return [];
  return [[[cut(shortHash(printable(subject)), VALUE_COLUMNS), "bold"]]];
}

/** Formats a payload: a loss and the types of Tribler in words, others by their name, and `key=value` for each other key. */
function payloadParts({ type, event: payload }: DisplayEvent): Span[][] {
  const words = type === "events_lost" ? lossSentence(payload) : sentence(type, payload);
  if (words !== undefined) return [[[printable(words.slice(0, MAX_MEASURED_CHARACTERS))]]];
  const name = nameOf(payload);
  const first: Span[][] = name === undefined ? [] : [[[cut(name.text, VALUE_COLUMNS), "bold"]]];
  const others = pairsOf(payload).filter(([key]) => key === undefined || key !== name?.key);
  return [
    ...first,
    ...others.map(([key, text]): Span[] =>
      key === undefined ? [[text]] : [[`${key}=`, "dim"], [cut(shortHash(text), VALUE_COLUMNS)]]
    ),
  ];
}

/** Returns the value that names what an event is about; `undefined` if there is none. */
function nameOf(payload: unknown): { readonly key: string; readonly text: string } | undefined {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) return undefined;
  const values = payload as Readonly<Record<string, unknown>>;
  const key = NAME_KEYS.find((key) => Object.hasOwn(values, key) && typeof values[key] === "string");
  const text = key === undefined ? "" : printable(values[key] as string).trim();
  return key === undefined || text === "" ? undefined : { key, text };
}

/** Shortens a hash to its beginning, which is enough to distinguish it. */
function shortHash(text: string): string {
  return HASH.test(text) ? `${text.slice(0, 8)}…` : text;
}

/** Joins the spans into a text no wider than the terminal; an ellipsis replaces what does not fit. */
export function fit(spans: readonly Span[], { columns, colours }: TerminalStyle): string {
  const isWhole = fitsIn(spans, columns);
  let row = "";
  let left = isWhole ? columns : columns - 1;
  for (const [text, style] of spans) {
    const shown = beginningOf(text, left);
    row += colours && style !== undefined ? styleText(style, shown, { validateStream: false }) : shown;
    left -= widthOf(shown);
    if (shown !== text) break;
  }
  return isWhole ? row : `${row}…`;
}

function fitsIn(spans: readonly Span[], columns: number): boolean {
  let width = 0;
  for (const [text] of spans) {
    if (text.length > MAX_MEASURED_CHARACTERS) return false;
    width += widthOf(text);
    if (width > columns) return false;
  }
  return true;
}

/** Shortens a text that is wider than this; an ellipsis replaces the rest. */
export function cut(text: string, columns: number): string {
  const shown = beginningOf(text, columns);
  return shown === text ? text : `${beginningOf(text, columns - 1)}…`;
}

/** Shortens a text that is wider than this in its middle: types differ at both ends. */
export function cutMiddle(text: string, columns: number): string {
  if (
    widthOf(text.slice(0, MAX_MEASURED_CHARACTERS)) <= columns && text.length <= MAX_MEASURED_CHARACTERS
  ) {
    return text;
  }
  const start = beginningOf(text, Math.ceil((columns - 1) / 2));
  return `${start}…${endOf(text, Math.floor((columns - 1) / 2))}`;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Returns as much of the beginning of a text as fits. */
export function beginningOf(text: string, columns: number): string {
  // No character takes more than two columns, so most texts fit without being measured.
  if (text.length * 2 <= columns) return text;
  if (text.length <= MAX_MEASURED_CHARACTERS && widthOf(text) <= columns) return text;
  let shown = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text.slice(0, MAX_MEASURED_CHARACTERS))) {
    width += widthOf(segment);
    if (width > columns) break;
    shown += segment;
  }
  return shown;
}

/** Returns as much of the end of a text as fits. */
export function endOf(text: string, columns: number): string {
  let shown = "";
  let width = 0;
  for (const { segment } of [...graphemes.segment(text.slice(-MAX_MEASURED_CHARACTERS))].reverse()) {
    width += widthOf(segment);
    if (width > columns) break;
    shown = segment + shown;
  }
  return shown;
}
