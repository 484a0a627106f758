/**
 * Pacing: whether a batch is held back so that more events share its writes.
 *
 * A write costs far more than the bytes in it. A publisher that runs ahead of the deliveries gains when many events go
 * out together, because it publishes while nothing is written. At a pace that leaves time to spare, holding back only
 * makes events older. The load tells the two apart: the share of the time that it would take to deliver every event by
 * itself. It hardly depends on how many events do go out together.
 *
 * @module
 */

/** From this load on batches are held back as long as the one before took: the publisher runs ahead of the deliveries. */
const OVERLOAD = 2;
/** From this load on batches are held back for a moment. */
const FULL_LOAD = 0.9;
/** Below this load they are held back no longer. */
const SPARE_LOAD = 0.7;
/** How fast the load forgets, in milliseconds. */
const MEMORY_MS = 25;

/** What is known about the last deliveries of a pipeline. */
export interface Pacing {
  /** Whether there is no time to spare: batches are held back for a moment. */
  readonly isFlooded: boolean;
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
  let isFlooded = false;
  return {
    get isFlooded() {
      return isFlooded;
    },
    get isOverloaded() {
      return workMs > elapsedMs * OVERLOAD;
    },
    count(events, startMs, costMs) {
      const sinceLastMs = startMs - lastStartMs;
      const kept = Math.exp(-sinceLastMs / MEMORY_MS);
      lastStartMs = startMs;
      workMs = workMs * kept + events * costMs;
      elapsedMs = elapsedMs * kept + Math.min(sinceLastMs, MEMORY_MS);
      isFlooded = workMs > elapsedMs * (isFlooded ? SPARE_LOAD : FULL_LOAD);
    },
  };
}
