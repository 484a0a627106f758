/**
 * The last line of `tail`: the state of the connection, what limits the rows, and what keys do.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { printable } from "../text/printable.ts";
import { cut, fit, type Span, type TerminalStyle } from "./row.ts";
import { widthOf } from "./width.ts";

/** What the line shows. */
export interface ViewState {
  readonly status: Status;
  /** When the next attempt begins, in milliseconds of a clock that is never set. */
  readonly retryAt: number;
  /** The number of events that have arrived, without losses. */
  readonly count: number;
  /** The number of events that are held, without losses. */
  readonly held: number;
  /** The number of them that match the filter and the chosen types. */
  readonly matching: number;
  readonly perSecond: number;
  /** The filter; empty for none. */
  readonly filter: string;
  /** The terms of the filter that are mistakes. */
  readonly unclear: readonly string[];
  /** Which types are shown, in few words; empty for all. */
  readonly types: string;
  /** The number of events that came since a pause began; `undefined` while there is none. */
  readonly paused: number | undefined;
  /** What the keys of the panel do that fills the terminal, first the one that leaves it; `undefined` if none does. */
  readonly panelHint: string | undefined;
  readonly hasKeyboard: boolean;
  /** The address. */
  readonly place: string;
}

/** Maximum number of columns of the filter, so that the keys have room too. */
const FILTER_COLUMNS = 24;

/** Minimum number of columns of a text that is cut. */
const MIN_CUT_COLUMNS = 8;

/** A part of the line, and how it is shortened to a number of columns; one that cannot be is left out where it does not fit. */
interface Part {
  readonly span: Span;
  readonly shorten?: (columns: number) => string;
}

/** Writes the line: first what a narrow terminal must show too. */
export function lastLine(state: ViewState, style: TerminalStyle): string {
  const [sign, words] = stateOf(state.status, state.retryAt);
  const { panelHint, perSecond } = state;
  const [stateWords, rate, hint, place] = panelHint === undefined
    ? [words, `${perSecond.toFixed(1)}/s`, state.hasKeyboard ? keysOf(state) : "", state.place]
    : [state.status.type === "open" ? "" : words, "", panelHint, ""];
  const parts: Part[] = [
    ...warningsOf(state),
    { span: [stateWords], shorten: () => stateWords.split(",")[0]! },
    { span: [countsOf(state)] },
    { span: [rate] },
    ...limitsOf(state),
  ];
  const columns = style.columns - 2 - columnsKept(panelHint);
  const shown = partsIn(columns, parts);
  const width = shown.reduce((sum, [text]) => sum + widthOf(text) + 2, 0);
  // Of a hint for which there is no room, an ellipsis would remain.
  const hasHint = panelHint !== undefined || width + MIN_CUT_COLUMNS <= columns;
  const spans: Span[] = hasHint ? [...shown, [hint, "dim"]] : shown;
  const separated = spans.flatMap((span, index): Span[] => index === 0 ? [span] : [["  "], span]);
  return fit([sign, [" "], ...separated, ...(hasHint ? [[place, "dim"] as const] : [])], style);
}

/** Returns the number of columns that no part may take: in a panel those of the key that leaves it, and one for an ellipsis. */
function columnsKept(panelHint: string | undefined): number {
  if (panelHint === undefined) return 1;
  const leave = panelHint.split(", ")[0]!;
  return 2 + widthOf(leave) + (leave === panelHint ? 0 : 1);
}

/** Returns the parts for which there is room. */
function partsIn(columns: number, parts: readonly Part[]): Span[] {
  let room = columns;
  return parts.flatMap(({ span: [text, ...style], shorten }): Span[] => {
    const shown = widthOf(text) <= room ? text : shorten?.(room) ?? "";
    if (shown === "" || widthOf(shown) > room) return [];
    room -= widthOf(shown) + 2;
    return [[shown, ...style]];
  });
}

/** What keys do while rows are printed. */
function keysOf({ paused }: ViewState): string {
  return `? keys  / filter  space ${paused === undefined ? "pause" : "resume"}  q quit  `;
}

/** The number of events, or how many of those that are held match. */
function countsOf({ count, held, matching, filter, types }: ViewState): string {
  if (filter === "" && types === "") return `${count.toLocaleString("en")} event${count === 1 ? "" : "s"}`;
  return `${matching.toLocaleString("en")} of ${held.toLocaleString("en")} match`;
}

/** Says that rows are held back, and what of the filter is a mistake. */
function warningsOf({ unclear, paused }: ViewState): Part[] {
  return [
    ...(paused === undefined ? [] : [{ span: yellow(`paused, ${paused.toLocaleString("en")} new`) }]),
    ...(unclear.length === 0 ? [] : [textPart(`not understood: ${shortened(unclear.join(" "))}`)]),
  ];
}

/** Says what limits the rows. A filter with mistakes is not repeated. */
function limitsOf({ filter, unclear, types }: ViewState): Part[] {
  return [
    ...(filter === "" || unclear.length > 0 ? [] : [textPart(`/${shortened(filter)}`)]),
    { span: yellow(types) },
  ];
}

function textPart(text: string): Part {
  return { span: yellow(text), shorten: (columns) => columns < MIN_CUT_COLUMNS ? "" : cut(text, columns) };
}

function yellow(text: string): Span {
  return [text, "yellow"];
}

function shortened(filter: string): string {
  return cut(printable(filter), FILTER_COLUMNS);
}

/** Returns a sign and words for the state of the connection. */
function stateOf(status: Status, retryAt: number): [sign: Span, words: string] {
  switch (status.type) {
    case "open":
      return [["●", "green"], "connected"];
    case "connecting":
      return [["○", "yellow"], `connecting${status.attempt > 1 ? `, attempt ${status.attempt}` : ""}`];
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
      return [["○", "red"], `not connected, attempt ${status.attempt} in ${seconds} s`];
    }
    default:
      return [["○", "red"], "not connected"];
  }
}
