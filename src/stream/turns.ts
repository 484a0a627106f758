/**
 * Turns: readers that have much to catch up with take one piece each, in the order in which they came, so that none waits
 * for another's mebibytes, and live events and new connections wait for none of them.
 *
 * @module
 */
import { nextTurn } from "./next_turn.ts";

/** How long turns are taken in a row, in milliseconds: what live events and new connections wait at most, beside one piece. */
const MAX_BUSY_MS = 0.25;

/** The readers that wait for a turn. */
export interface Turns<Reader> {
  /** Takes a turn now: returns whether there is time for it and none waits. Otherwise the reader has to queue. */
  take(): boolean;
  /** Puts a reader at the end of the queue, unless it is in it. */
  queue(reader: Reader): void;
  /** Takes a reader out of the queue. */
  leave(reader: Reader): void;
}

/**
 * Makes an empty queue.
 *
 * @param give gives a reader its turn, in which it may queue again
 */
export function createTurns<Reader>(give: (reader: Reader) => void): Turns<Reader> {
  const waiting = new Set<Reader>();
  let isScheduled = false;
  /** Until when turns may be taken in this turn of the event loop, in `performance.now()`. */
  let end = 0;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    nextTurn(giveTurns);
  }

  function giveTurns(): void {
    isScheduled = false;
    end = performance.now() + MAX_BUSY_MS;
    for (const reader of waiting) {
      waiting.delete(reader);
      give(reader);
      if (performance.now() >= end) break;
    }
    if (waiting.size > 0) schedule();
  }

  return {
    take: () => {
      if (waiting.size > 0) return false;
      const now = performance.now();
      if (!isScheduled) end = now + MAX_BUSY_MS;
      schedule();
      return now < end;
    },
    queue: (reader) => {
      waiting.add(reader);
      schedule();
    },
    leave: (reader) => void waiting.delete(reader),
  };
}
