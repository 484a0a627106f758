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

/** Writes the line. */
export function lastLine(state: ViewState, style: TerminalStyle): string {
  const [sign, words] = stateOf(state.status, state.retryAt);
  if (state.panelHint !== undefined) {
    const counts = `${countsOf(state)}  `;
    return fit([sign, [` ${counts}`], ...limitSpans(state), [state.panelHint, "dim"]], style);
  }
  const hint = `? keys  / filter  space ${state.paused === undefined ? "pause" : "resume"}  q quit  `;
  const spans: Span[] = [
    sign,
    [` ${words}  ${countsOf(state)}  ${state.perSecond.toFixed(1)}/s  `],
    ...limitSpans(state),
    [state.hasKeyboard ? hint : "", "dim"],
    [state.place, "dim"],
  ];
  return fit(spans, style);
}

/** The number of events, or how many of those that are held match. */
function countsOf({ count, held, matching, filter, types }: ViewState): string {
  if (filter === "" && types === "") return `${count.toLocaleString("en")} event${count === 1 ? "" : "s"}`;
  return `${matching.toLocaleString("en")} of ${held.toLocaleString("en")} match`;
}

/** Says what limits the rows; of a filter with mistakes only these. */
function limitSpans({ filter, unclear, types, paused }: ViewState): Span[] {
  const filterText = unclear.length === 0 ? filter : unclear.join(" ");
  const shownFilter = cut(printable(filterText), FILTER_COLUMNS);
  const limits = [
    ...(paused === undefined ? [] : [`paused, ${paused.toLocaleString("en")} new`]),
    ...(filter === "" ? [] : [unclear.length === 0 ? `/${shownFilter}` : `not understood: ${shownFilter}`]),
    ...(types === "" ? [] : [types]),
  ];
  return limits.map((text) => [`${text}  `, "yellow"]);
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
