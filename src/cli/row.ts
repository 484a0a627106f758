/**
 * An event as one row of a terminal: when, what, and a summary of its payload.
 *
 * @module
 */
import { styleText } from "node:util";
import stringWidth from "string-width";
import { printable } from "../text/printable.ts";
import { clock, type DisplayEvent, groupOf, pairsOf, timeOf } from "../text/event_text.ts";

/** How a terminal is written to. */
export interface Paper {
  /** How many columns it has. */
  readonly columns: number;
  /** Whether it is to have colours. */
  readonly colours: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** A piece of a row and how it looks. */
export type Span = readonly [text: string, style?: Style];

/** Types are aligned as long as they are no longer than this, which is as long as those of Tribler get. */
const TYPE_COLUMNS = 28;
/** Maximum number of columns of a value in a summary, so that a long one leaves room for the others. */
const VALUE_COLUMNS = 48;
/**
 * Of a text no more characters than this are looked at: there is no terminal that has room for them. To measure a text
 * takes long, and one publisher could hold up every terminal.
 */
const MAX_LOOKED_AT = 2000;
const KIND_STYLES: readonly Style[] = ["cyan", "green", "blue", "magenta", "cyanBright", "greenBright"];

/** The row of an event. */
export function eventRow(event: DisplayEvent, paper: Paper): string {
  const type = printable(event.type);
  const spans: Span[] = [
    [`${clock(timeOf(event))}  `, "dim"],
    [type.padEnd(TYPE_COLUMNS), styleOf(type)],
    ["  "],
    ...summaryOf(event.event),
  ];
  return fit(spans, paper);
}

/** Trouble is red, what the stream says of itself yellow, and the others by their kind. */
function styleOf(type: string): Style {
  const kind = groupOf(type);
  if (kind === "trouble") return ["red", "bold"];
  if (kind === "events") return ["yellow", "bold"];
  let hash = 0;
  for (const char of kind) hash = (hash * 31 + char.codePointAt(0)!) % 65521;
  return KIND_STYLES[hash % KIND_STYLES.length]!;
}

/** What a payload says, on one line: `key=value` for each key. */
function summaryOf(payload: unknown): Span[] {
  return pairsOf(payload).flatMap(([key, text]): Span[] => {
    return key === undefined ? [[text]] : [[`${key}=`, "dim"], [cut(text, VALUE_COLUMNS)], [" "]];
  });
}

/** The spans as a text no wider than the terminal; an ellipsis stands for what is cut off. */
export function fit(spans: readonly Span[], { columns, colours }: Paper): string {
  const isWhole = haveRoom(spans, columns);
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

function haveRoom(spans: readonly Span[], columns: number): boolean {
  let width = 0;
  for (const [text] of spans) {
    if (text.length > MAX_LOOKED_AT) return false;
    width += stringWidth(text);
    if (width > columns) return false;
  }
  return true;
}

/** The text, or as much of its beginning as there is room for, and an ellipsis. */
function cut(text: string, columns: number): string {
  const shown = beginningOf(text, columns);
  return shown === text ? text : `${beginningOf(text, columns - 1)}…`;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** As much of the text as there is room for. */
function beginningOf(text: string, columns: number): string {
  // No character takes more than two columns; most texts are short enough by far.
  if (text.length * 2 <= columns) return text;
  if (text.length <= MAX_LOOKED_AT && stringWidth(text) <= columns) return text;
  let shown = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text.slice(0, MAX_LOOKED_AT))) {
    width += stringWidth(segment);
    if (width > columns) break;
    shown += segment;
  }
  return shown;
}
