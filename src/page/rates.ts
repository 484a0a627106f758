/**
 * The number of events in each of the last seconds, by group.
 *
 * @module
 */
import { EVENT_GROUPS, type EventGroup } from "./event_groups.ts";

/** The counts of the last seconds. */
export interface Rates {
  /** Number of seconds kept. */
  readonly seconds: number;
  /** Counts an event that was published at this time, in milliseconds since 1970. */
  count(group: EventGroup, time: number): void;
  /** Returns the number of events of a group in this second since 1970. */
  of(group: EventGroup, second: number): number;
  clear(): void;
}

/** Makes the counts of this number of seconds. */
export function createRates(seconds: number): Rates {
  /** A ring: the second that each place holds, and below its count for each group. */
  const stamps = new Float64Array(seconds);
  const counts = EVENT_GROUPS.map(() => new Uint32Array(seconds));
  return {
    seconds,
    count: (group, time) => {
      const second = Math.floor(time / 1000);
      const place = second % seconds;
      // The second is older than those that the ring holds.
      if (stamps[place]! > second) return;
      if (stamps[place] !== second) {
        stamps[place] = second;
        for (const ring of counts) ring[place] = 0;
      }
      counts[EVENT_GROUPS.indexOf(group)]![place]!++;
    },
    of: (group, second) => {
      const place = second % seconds;
      return stamps[place] === second ? counts[EVENT_GROUPS.indexOf(group)]![place]! : 0;
    },
    clear: () => void stamps.fill(0),
  };
}
