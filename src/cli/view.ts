/**
 * The view of `tail` on a terminal: a row for each event, and below them the state of the connection and its rate.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { clock, type DisplayEvent, timeOf } from "../text/event_text.ts";
import { eventRow, fit, type Span, type TerminalStyle } from "./row.ts";
import { createScreen, type Terminal } from "./screen.ts";

/** A view of a stream of events. */
export interface View {
  /**
   * Shows an event; returns false if the terminal does not keep up, or a promise of when there can be another one.
   *
   * @param text its JSON, as it was received
   * @param onOut called when it is written out
   */
  event(event: DisplayEvent, text: string, onOut?: () => void): boolean | Promise<void>;
  /** The file that it writes, and its size, if it writes one. */
  readonly file?: { readonly path: string; readonly bytes: number };
  /** Shows the state of the connection. */
  status(status: Status): void;
  /** Shows a message in a row of its own. */
  note(text: string): void;
  /** Removes the last line, and leaves the rows above it. */
  close(): void;
}

/** Number of seconds over which the rate is averaged. */
const RATE_SECONDS = 5;

/**
 * Makes a view.
 *
 * @param place the address to show
 * @param colours whether rows are coloured
 */
export function createView(terminal: Terminal, place: string, colours: boolean): View {
  const screen = createScreen(terminal, lastLine);
  const style = (): TerminalStyle => ({ columns: screen.columns, colours });
  const rate = createRate(RATE_SECONDS);
  let status: Status = { type: "connecting", attempt: 1 };
  /** When the next attempt begins, in milliseconds of a clock that is never set. */
  let retryAt = 0;
  let count = 0;
  let day = new Date().toDateString();

  function lastLine(columns: number): string {
    const [sign, words] = stateOf(status, retryAt);
    const spans: Span[] = [
      sign,
      [` ${words}  `],
      [`${count.toLocaleString("en")} event${count === 1 ? "" : "s"}  ${rate.perSecond().toFixed(1)}/s  `],
      [place, "dim"],
    ];
    return fit(spans, { columns, colours });
  }

  /** Adds a row with the date if it is not that of the row before. */
  function showDay(date: Date): void {
    if (day === date.toDateString()) return;
    day = date.toDateString();
    screen.print(fit([[`-- ${day} --`, "dim"]], style()));
  }

  function show(event: DisplayEvent): boolean {
    showDay(timeOf(event));
    return screen.print(eventRow(event, style()));
  }

  return {
    event: (event, _text, onOut) => {
      count++;
      rate.count();
      const hasRoom = show(event);
      onOut?.();
      return hasRoom;
    },
    status: (now) => {
      status = now;
      if (now.type === "waiting") retryAt = performance.now() + now.delay * 1000;
      if (now.type === "open" && now.start !== undefined) show(now.start as unknown as DisplayEvent);
      screen.refresh();
    },
    note: (text) => void screen.print(fit([[`${clock(new Date())}  `, "dim"], [text, "yellow"]], style())),
    close: screen.close,
  };
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

/** Counts occurrences, and returns their recent rate per second. */
function createRate(seconds: number) {
  const started = performance.now();
  /** The counts of the last seconds, by the second of a clock that is never set. */
  const counts = new Map<number, number>();
  const now = () => Math.floor(performance.now() / 1000);
  return {
    count(): void {
      counts.set(now(), (counts.get(now()) ?? 0) + 1);
    },
    perSecond(): number {
      const since = performance.now() / 1000 - seconds;
      let sum = 0;
      for (const [second, count] of counts) {
        if (second < since) counts.delete(second);
        else sum += count;
      }
      return sum / Math.min(seconds, Math.max(1, (performance.now() - started) / 1000));
    },
  };
}
