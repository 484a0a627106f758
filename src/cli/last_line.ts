/**
 * The last line of `tail`: the state of the connection, what limits the rows, and what keys do.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { printable } from "../text/printable.ts";
import { cut, fit, type Span, type TerminalStyle } from "./row.ts";

/** What the line shows. */
export interface ViewState {
  readonly status: Status;
  /** When the next attempt begins, in milliseconds of a clock that is never set. */
  readonly retryAt: number;
  /** The number of events that have arrived. */
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
  /** What the keys of the panel do that fills the terminal; `undefined` if none does. */
  readonly panelHint: string | undefined;
  readonly hasKeyboard: boolean;
  /** The address. */
  readonly place: string;
}

/** Maximum number of columns of the filter, so that the keys have room too. */
const FILTER_COLUMNS = 24;

/** Writes the line: first what a narrow terminal must show too. */
export function lastLine(state: ViewState, style: TerminalStyle): string {
  const [sign, words] = stateOf(state.status, state.retryAt);
  const { panelHint, perSecond } = state;
  const [stateWords, rate, hint, place] = panelHint === undefined
    ? [words, `${perSecond.toFixed(1)}/s`, state.hasKeyboard ? keysOf(state) : "", state.place]
    : [state.status.type === "open" ? "" : words, "", panelHint, ""];
  const figures = [stateWords, countsOf(state), rate].filter((text) => text !== "");
  return fit([
    sign,
    [" "],
    ...warningSpans(state),
    ...figures.map((text): Span => [`${text}  `]),
    ...limitSpans(state),
    [hint, "dim"],
    [place, "dim"],
  ], style);
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
function warningSpans({ unclear, paused }: ViewState): Span[] {
  return yellow([
    ...(paused === undefined ? [] : [`paused, ${paused.toLocaleString("en")} new`]),
    ...(unclear.length === 0 ? [] : [`not understood: ${shortened(unclear.join(" "))}`]),
  ]);
}

/** Says what limits the rows. A filter with mistakes is not repeated. */
function limitSpans({ filter, unclear, types }: ViewState): Span[] {
  return yellow([
    ...(filter === "" || unclear.length > 0 ? [] : [`/${shortened(filter)}`]),
    ...(types === "" ? [] : [types]),
  ]);
}

function yellow(texts: readonly string[]): Span[] {
  return texts.map((text) => [`${text}  `, "yellow"]);
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
