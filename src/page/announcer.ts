/**
 * Announces to screen readers: important news at once, and the number of new events now and then. A region that announced
 * each event would never be silent.
 *
 * @module
 */
/// <reference lib="dom" />
import type { EventRecord } from "./records.ts";

/** Announces the text at once. */
export interface Announcer {
  say(text: string): void;
  /** Counts an event. */
  happened(record: EventRecord): void;
}

/** Least number of milliseconds between two announcements of events. */
const PACE = 15_000;

/** Makes an announcer. */
export function createAnnouncer(region: HTMLElement): Announcer {
  let count = 0;
  let last: EventRecord | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function say(text: string): void {
    region.textContent = text;
  }

  return {
    say,
    happened: (record) => {
      count++;
      last = record;
      timer ??= setTimeout(() => {
        timer = undefined;
        say(
          `${count.toLocaleString("en")} new ${count === 1 ? "event" : "events"}; the last: ${last!.type}, ${
            last!.summary
          }`,
        );
        count = 0;
      }, PACE);
    },
  };
}
