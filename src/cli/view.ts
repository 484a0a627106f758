/**
 * What `tail` shows on a terminal: a row for each event, and at the bottom how the connection is and how much it carries.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { clock, type DisplayEvent, timeOf } from "../text/event_text.ts";
import { eventRow, fit, type Span } from "./row.ts";
import { createScreen, type Terminal } from "./screen.ts";

/** A view of a stream of events. */
export interface View {
  /** Shows an event; false where the terminal does not keep up. */
  event(event: DisplayEvent): boolean;
  /** Shows how the connection is. */
  status(status: Status): void;
  /** Shows a row that is no event. */
  note(text: string): void;
  /** Leaves the terminal as it is, without the last line. */
  close(): void;
}

/** Number of seconds over which the rate is averaged. */
const RATE_SECONDS = 5;

/**
 * Makes a view.
 *
 * @param place the address, as it may be shown
 */
export function createView(terminal: Terminal, place: string, colours: boolean): View {
  const screen = createScreen(terminal, lastLine);
  const paper = () => ({ columns: screen.columns, colours });
  const rate = createRate(RATE_SECONDS);
  let status: Status = { type: "connecting", attempt: 1 };
  let until = 0;
  let count = 0;
  let day = new Date().toDateString();

  function lastLine(columns: number): string {
    const [sign, words] = stateOf(status, until);
    const spans: Span[] = [
      sign,
      [` ${words}  `],
      [`${count.toLocaleString("en")} event${count === 1 ? "" : "s"}  ${rate.perSecond().toFixed(1)}/s  `],
      [place, "dim"],
    ];
    return fit(spans, { columns, colours });
  }

  /** A row for each day that is not that of the row before. */
  function tellDay(date: Date): void {
    if (day === date.toDateString()) return;
    day = date.toDateString();
    screen.print(fit([[`-- ${day} --`, "dim"]], paper()));
  }

  function show(event: DisplayEvent): boolean {
    tellDay(timeOf(event));
    return screen.print(eventRow(event, paper()));
  }

  return {
    event: (event) => {
      count++;
      rate.count();
      return show(event);
    },
    status: (now) => {
      status = now;
      if (now.type === "waiting") until = Date.now() + now.delay * 1000;
      if (now.type === "open" && now.start !== undefined) show(now.start as unknown as DisplayEvent);
      screen.refresh();
    },
    note: (text) => void screen.print(fit([[`${clock(new Date())}  `, "dim"], [text, "yellow"]], paper())),
    close: screen.close,
  };
}

/** A sign for the connection and words for it. */
function stateOf(status: Status, until: number): [sign: Span, words: string] {
  switch (status.type) {
    case "open":
      return [["●", "green"], "connected"];
    case "connecting":
      return [["○", "yellow"], `connecting${status.attempt > 1 ? `, attempt ${status.attempt}` : ""}`];
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      return [["○", "red"], `not connected, attempt ${status.attempt} in ${seconds} s`];
    }
    default:
      return [["○", "red"], "not connected"];
  }
}

/** Counts occurrences, and returns their recent rate per second. */
function createRate(seconds: number) {
  const started = Date.now();
  /** How much happened in each of the last seconds, by the second. */
  const counts = new Map<number, number>();
  const now = () => Math.floor(Date.now() / 1000);
  return {
    count(): void {
      counts.set(now(), (counts.get(now()) ?? 0) + 1);
    },
    perSecond(): number {
      const since = Date.now() / 1000 - seconds;
      let sum = 0;
      for (const [second, count] of counts) {
        if (second < since) counts.delete(second);
        else sum += count;
      }
      return sum / Math.min(seconds, Math.max(1, (Date.now() - started) / 1000));
    },
  };
}
