/**
 * Waking the readers of a channel: once a turn, so that events published in a row are read as one batch.
 *
 * @module
 */

/** The readers that wait for something new. */
export interface Wakeups {
  /** How many readers wait. */
  readonly size: number;
  /** Calls the reader at each {@linkcode wake}, until it leaves. */
  readonly listen: (reader: () => void) => void;
  /** Takes {@linkcode listen} back. */
  readonly leave: (reader: () => void) => void;
  /** Calls every reader at the end of this turn. */
  readonly wake: () => void;
}

/** Makes an empty set of readers. */
export function createWakeups(): Wakeups {
  const readers = new Set<() => void>();
  const wakeLater = oncePerTurn(() => {
    for (const reader of readers) reader();
  });
  return {
    get size() {
      return readers.size;
    },
    listen: (reader) => void readers.add(reader),
    leave: (reader) => void readers.delete(reader),
    wake: () => {
      if (readers.size > 0) wakeLater();
    },
  };
}

/** Joins calls: the function returned runs `run` in a microtask, once for all calls made before it. */
export function oncePerTurn(run: () => void): () => void {
  let isScheduled = false;
  const runScheduled = () => {
    isScheduled = false;
    run();
  };
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(runScheduled);
  };
}
