/**
 * Pacing: whether a batch is held back so that more events share its writes.
 *
 * A write costs far more than the bytes in it. A publisher that runs ahead of the deliveries gains when many events go
 * out together, because it publishes while nothing is written. At a pace of its own, holding back only makes events
 * older, even where the deliveries fill the time: what is published meanwhile goes out together anyway. The load tells
 * the two apart: the share of the time that it would take to deliver every event by itself. A publisher that waits for
 * each delivery keeps it at 1, and shows what it can do only when a batch is held back: so one is, now and then.
 *
 * @module
 */

/** Below this load there is time to spare. */
const SPARE_LOAD = 0.4;
/** From this load on a batch is held back now and then, to see whether the publisher runs ahead. */
const FULL_LOAD = 0.7;
/** From this load on each batch is held back for a moment. */
const CROWDED_LOAD = 4;
/** From this load on each batch is held back as long as the one before took: the publisher runs ahead of the deliveries. */
const OVERLOAD = 10;
/** The least time between the first two trials, in milliseconds; it doubles while they show a publisher at a pace of its own. */
const FIRST_PAUSE_MS = 30;
/** The most time between two trials, in milliseconds. */
const LONGEST_PAUSE_MS = 500;
/** How fast the load forgets, in milliseconds. */
const MEMORY_MS = 25;

/** What is known about the last deliveries of a pipeline. */
export interface Pacing {
  /** Returns whether the batch after the one that was delivered at this time is held back for a moment. */
  holds(startMs: number): boolean;
  /** Whether there is by far more than can be delivered one by one: batches are held back as long as the one before took. */
  readonly isOverloaded: boolean;
  /**
   * Counts a delivery.
   *
   * @param events how many events went out together
   * @param startMs when that began, in `performance.now()`
   * @param costMs how long it kept the event loop busy
   */
  count(events: number, startMs: number, costMs: number): void;
}

/** Makes a pacing that has seen nothing. */
export function createPacing(): Pacing {
  let workMs = 0;
  let elapsedMs = 0;
  let lastStartMs = -Infinity;
  let lastTrialMs = -Infinity;
  let pauseMs = FIRST_PAUSE_MS;
  const isLoaded = (load: number) => workMs > elapsedMs * load;
  return {
    holds(startMs) {
      if (isLoaded(CROWDED_LOAD)) return true;
      if (!isLoaded(FULL_LOAD) || startMs - lastTrialMs < pauseMs) return false;
      lastTrialMs = startMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      return true;
    },
    get isOverloaded() {
      return isLoaded(OVERLOAD);
    },
    count(events, startMs, costMs) {
      const sinceLastMs = startMs - lastStartMs;
      lastStartMs = startMs;
      if (startMs === lastTrialMs) { // What follows a trial shows the publisher's pace by itself.
        workMs = elapsedMs = 0;
        return;
      }
      const kept = Math.exp(-sinceLastMs / MEMORY_MS);
      workMs = workMs * kept + events * costMs;
      elapsedMs = elapsedMs * kept + Math.min(sinceLastMs, MEMORY_MS);
      if (isLoaded(CROWDED_LOAD) || !isLoaded(SPARE_LOAD)) pauseMs = FIRST_PAUSE_MS;
    },
  };
}
