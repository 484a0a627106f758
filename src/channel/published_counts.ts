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

/** Makes counters for the types of a catalogue, all at 0. */
export function createPublishedCounts(types: readonly string[]): PublishedCounts {
  const counts = new Map(types.map((type) => [type, 0]));
  return {
    count: (type) => void counts.set(type, counts.get(type)! + 1),
    read: () => Object.fromEntries(counts),
  };
}
