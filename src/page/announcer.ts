/**
 * What a screen reader is told: what matters at once, and of events now and then how many there were. A region that
 * told each event would never be silent.
 *
 * @module
 */
/// <reference lib="dom" />
import type { EventRecord } from "./records.ts";

/** Tells it. */
export interface Announcer {
  say(text: string): void;
  /** An event came. */
  happened(record: EventRecord): void;
}

/** Of events it is told every so many milliseconds at most. */
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
