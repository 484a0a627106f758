/**
 * How many events there were in each of the last seconds, by kind.
 *
 * @module
 */
import { type Kind, KINDS } from "./event_groups.ts";

/** The counts of the last seconds. */
export interface Rates {
  /** How many seconds it looks back. */
  readonly seconds: number;
  /** Counts an event that was published at this time, in milliseconds since 1970. */
  count(kind: Kind, time: number): void;
  /** How many of a kind there were in this second since 1970. */
  of(kind: Kind, second: number): number;
  clear(): void;
}

/** Counts so many seconds back. */
export function createRates(seconds: number): Rates {
  /** For each second, in a ring, which one it is and a count for each kind. */
  const stamps = new Float64Array(seconds);
  const counts = KINDS.map(() => new Uint32Array(seconds));
  return {
    seconds,
    count: (kind, time) => {
      const second = Math.floor(time / 1000);
      const place = second % seconds;
      // Of an older time than what is in its place: it would be out of sight.
      if (stamps[place]! > second) return;
      if (stamps[place] !== second) {
        stamps[place] = second;
        for (const ring of counts) ring[place] = 0;
      }
      counts[KINDS.indexOf(kind)]![place]!++;
    },
    of: (kind, second) => {
      const place = second % seconds;
      return stamps[place] === second ? counts[KINDS.indexOf(kind)]![place]! : 0;
    },
    clear: () => void stamps.fill(0),
  };
}
