/**
 * Histograms: how many values there were, by their size.
 *
 * @module
 */

/** How many values there were, by their size. */
export interface Histogram {
  /** The largest value of each bucket but the last, ascending. */
  readonly bounds: readonly number[];
  /** How many values are in each bucket; the last one holds those above every bound. */
  readonly counts: readonly number[];
  /** The sum of the values. */
  readonly sum: number;
}

/** A histogram that is being made. */
export interface Counting {
  /** Counts a value. */
  add(value: number): void;
  /** What was counted so far: a copy. */
  read(): Histogram;
}

/** Makes an empty histogram with these bounds, ascending. */
export function createHistogram(bounds: readonly number[]): Counting {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  return {
    add: (value) => {
      let bucket = 0;
      while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
      counts[bucket]!++;
      sum += value;
    },
    read: () => ({ bounds, counts: counts.slice(), sum }),
  };
}
