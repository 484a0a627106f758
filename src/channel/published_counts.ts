/**
 * Counters of published events, by type.
 *
 * @module
 */

/** How many events were published of each type. */
export interface PublishedCounts {
  /** Counts one event. */
  count(type: string): void;
  /** Copies the counters; every type of the catalogue is there. */
  read(): Record<string, number>;
}

/** Maximum number of further types with a counter of their own: each is a label of the metrics. */
const MAX_FURTHER_TYPES = 500;
/** Counts all types beyond that. It is the name of no type. */
const OTHERS = "(other)";

/** Makes counters for the types of a catalogue, all at 0. Types that it does not name get theirs with their first event. */
export function createPublishedCounts(types: readonly string[]): PublishedCounts {
  const counts = new Map(types.map((type) => [type, 0]));
  const most = counts.size + MAX_FURTHER_TYPES;
  return {
    count: (type) => {
      const count = counts.get(type);
      if (count !== undefined || counts.size < most) counts.set(type, (count ?? 0) + 1);
      else counts.set(OTHERS, (counts.get(OTHERS) ?? 0) + 1);
    },
    read: () => Object.fromEntries(counts),
  };
}
