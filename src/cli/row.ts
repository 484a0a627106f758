/**
 * Formats an event as one row of a terminal: its time, its type, its subject and its payload.
 *
 * @module
 */
import { styleText } from "node:util";
import stringWidth from "string-width";
import { printable } from "../text/printable.ts";
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

/** Number of columns to which types are padded: the longest type of Tribler fits. */
const TYPE_COLUMNS = 28;
/** Maximum number of columns of a value, so that a long one leaves room for the others. */
const VALUE_COLUMNS = 48;
/**
 * Maximum number of characters of a text that are measured: no terminal has room for more. Measuring is slow, so one
 * publisher of long texts could block every terminal.
 */
const MAX_MEASURED_CHARACTERS = 2000;
const GROUP_STYLES: readonly Style[] = ["cyan", "green", "blue", "magenta", "cyanBright", "greenBright"];

/** Formats an event as a row. */
export function eventRow(event: DisplayEvent, style: TerminalStyle): string {
  const type = printable(event.type);
  const spans: Span[] = [
    [`${clock(timeOf(event))}  `, "dim"],
    [type.padEnd(TYPE_COLUMNS), styleOf(type)],
    ["  "],
    ...subjectSpans(event),
    ...payloadSpans(event.event),
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
function subjectSpans({ subject, event }: DisplayEvent): Span[] {
  const isShown = typeof event === "object" && event !== null && Object.values(event).includes(subject);
  if (typeof subject !== "string" || isShown) return [];
  return [[cut(printable(subject), VALUE_COLUMNS), "bold"], [" "]];
}

/** Formats a payload: `key=value` for each key. */
function payloadSpans(payload: unknown): Span[] {
  return pairsOf(payload).flatMap(([key, text]): Span[] => {
    return key === undefined ? [[text]] : [[`${key}=`, "dim"], [cut(text, VALUE_COLUMNS)], [" "]];
  });
}

/** Joins the spans into a text no wider than the terminal; an ellipsis replaces what does not fit. */
export function fit(spans: readonly Span[], { columns, colours }: TerminalStyle): string {
  const isWhole = fitsIn(spans, columns);
  let row = "";
  let left = isWhole ? columns : columns - 1;
  for (const [text, style] of spans) {
    const shown = beginningOf(text, left);
    row += colours && style !== undefined ? styleText(style, shown, { validateStream: false }) : shown;
    left -= stringWidth(shown);
    if (shown !== text) break;
  }
  return isWhole ? row : `${row}…`;
}

function fitsIn(spans: readonly Span[], columns: number): boolean {
  let width = 0;
  for (const [text] of spans) {
    if (text.length > MAX_MEASURED_CHARACTERS) return false;
    width += stringWidth(text);
    if (width > columns) return false;
  }
  return true;
}

/** Shortens a text that is wider than this; an ellipsis replaces the rest. */
function cut(text: string, columns: number): string {
  const shown = beginningOf(text, columns);
  return shown === text ? text : `${beginningOf(text, columns - 1)}…`;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Returns as much of the beginning of a text as fits. */
function beginningOf(text: string, columns: number): string {
  // No character takes more than two columns, so most texts fit without being measured.
  if (text.length * 2 <= columns) return text;
  if (text.length <= MAX_MEASURED_CHARACTERS && stringWidth(text) <= columns) return text;
  let shown = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text.slice(0, MAX_MEASURED_CHARACTERS))) {
    width += stringWidth(segment);
    if (width > columns) break;
    shown += segment;
  }
  return shown;
}
