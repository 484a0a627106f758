/**
 * Histograms: counts of values by their size.
 *
 * @module
 */

/** Counts of values by their size. */
export interface Histogram {
  /** The largest value of each bucket but the last, ascending. */
  readonly bounds: readonly number[];
  /** The number of values in each bucket; the last one holds those above every bound. */
  readonly counts: readonly number[];
  /** The sum of the values. */
  readonly sum: number;
}

/** A histogram that values are added to. */
export interface HistogramCounter {
  /** Adds a value. */
  add(value: number): void;
  /** Returns a copy of what was counted so far. */
  read(): Histogram;
}

/** Makes an empty histogram with these bounds, ascending. */
export function createHistogram(bounds: readonly number[]): HistogramCounter {
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
