/**
 * Announces to screen readers: important news at once, and the number of new events every 15 seconds. A region that
 * announced each event would never be silent.
 *
 * @module
 */
/// <reference lib="dom" />
import type { EventRecord } from "./records.ts";

/** Announces news to screen readers. */
export interface Announcer {
  /** Announces a text at once. */
  announce(text: string): void;
  /** Counts an event for the next announcement. */
  count(record: EventRecord): void;
}

/** Number of milliseconds in which events are counted before they are announced. */
const COUNT_INTERVAL_MS = 15_000;

/** Makes an announcer. */
export function createAnnouncer(region: HTMLElement): Announcer {
  let count = 0;
  let last: EventRecord | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function announce(text: string): void {
    region.textContent = text;
  }

  return {
    announce,
    count: (record) => {
      count++;
      last = record;
      timer ??= setTimeout(() => {
        timer = undefined;
        announce(
          `${count.toLocaleString("en")} new ${count === 1 ? "event" : "events"}; the last: ${last!.type}, ${
            last!.summary
          }`,
        );
        count = 0;
      }, COUNT_INTERVAL_MS);
    },
  };
}
