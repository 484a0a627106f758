/**
 * How many events were published when, by group: each of the last seconds, and the whole past in coarser steps.
 *
 * @module
 */
import { EVENT_GROUPS, type EventGroup } from "./event_groups.ts";

/** The counts of a stretch of time, in steps of the same length. */
export interface Series {
  /** When it begins, in seconds since 1970; a multiple of `step`. */
  readonly start: number;
  /** Number of seconds in a step. */
  readonly step: number;
  /** Number of steps. */
  readonly length: number;
  /** For each group the number of events in each step. */
  readonly counts: ReadonlyMap<EventGroup, ArrayLike<number>>;
}

/** The counts. */
export interface Rates {
  /** Counts an event that was published at this time, in milliseconds since 1970. */
  count(group: EventGroup, time: number): void;
  /** Returns the number of events of a group in this second since 1970. */
  of(group: EventGroup, second: number): number;
  /** Returns the counts of the seconds before `end`, which are at most as many as are kept. */
  recent(end: number, seconds: number, step: number): Series;
  /** Returns all counts, up to `end`, and from `start` on if that is earlier. */
  whole(end: number, start: number): Series;
  clear(): void;
}

/** The lengths of a step of the whole past, in seconds. Each is a multiple of the one before. */
const STEPS = [1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800];

/** The least number of seconds that the whole past has: fewer would be drawn as a few broad bars. */
const MIN_SECONDS = 60;

/**
 * Makes the counts.
 *
 * @param seconds how many seconds are kept one by one
 * @param maxSteps how many steps the whole past has at most
 */
export function createRates(seconds: number, maxSteps: number): Rates {
  const recent = createSeconds(seconds);
  const past = createPast(maxSteps);
  return {
    count: (name, time) => {
      const second = Math.floor(time / 1000);
      const group = EVENT_GROUPS.indexOf(name);
      recent.count(group, second);
      past.count(group, second);
    },
    of: (group, second) => recent.of(EVENT_GROUPS.indexOf(group), second),
    recent: (end, amount, step) => {
      // Steps that begin at a multiple of their length do not change as the time goes on.
      const start = Math.floor(end / step) * step - amount;
      return seriesOf(start, step, amount / step, (group, i) => {
        let sum = 0;
        for (let second = 0; second < step; second++) sum += recent.of(group, start + i * step + second);
        return sum;
      });
    },
    whole: past.series,
    clear: () => {
      recent.clear();
      past.clear();
    },
  };
}

/** Counts seconds one by one, in a ring. */
function createSeconds(seconds: number) {
  /** The second that each place holds, and below its count for each group. */
  const stamps = new Float64Array(seconds);
  const counts = EVENT_GROUPS.map(() => new Uint32Array(seconds));
  return {
    count: (group: number, second: number) => {
      const place = second % seconds;
      // The second is older than those that the ring holds.
      if (stamps[place]! > second) return;
      if (stamps[place] !== second) {
        stamps[place] = second;
        for (const ring of counts) ring[place] = 0;
      }
      counts[group]![place]!++;
    },
    of: (group: number, second: number) => {
      const place = second % seconds;
      return stamps[place] === second ? counts[group]![place]! : 0;
    },
    clear: () => void stamps.fill(0),
  };
}

/** Counts the whole past, in steps that become longer as it does. */
function createPast(maxSteps: number) {
  /** The counts of each group by the number of their step. */
  let past = new Map<number, Uint32Array>();
  let first = Infinity;
  let last = -Infinity;
  let coarseness = 0;

  /** Makes the steps longer until the past has few enough of them. */
  function coarsen(end: number): void {
    while ((end - first) / STEPS[coarseness]! >= maxSteps && coarseness < STEPS.length - 1) {
      const factor = STEPS[coarseness + 1]! / STEPS[coarseness]!;
      coarseness++;
      const coarser = new Map<number, Uint32Array>();
      for (const [at, amounts] of past) {
        const place = Math.floor(at / factor);
        const sums = coarser.get(place);
        if (sums === undefined) coarser.set(place, amounts);
        else for (let i = 0; i < sums.length; i++) sums[i]! += amounts[i]!;
      }
      past = coarser;
    }
  }

  return {
    count: (group: number, second: number) => {
      first = Math.min(first, second);
      last = Math.max(last, second);
      coarsen(last);
      const at = Math.floor(second / STEPS[coarseness]!);
      let amounts = past.get(at);
      if (amounts === undefined) past.set(at, amounts = new Uint32Array(EVENT_GROUPS.length));
      amounts[group]!++;
    },
    series: (end: number, start: number) => {
      first = Math.min(first, end - MIN_SECONDS, start);
      coarsen(end);
      const step = STEPS[coarseness]!;
      const from = Math.floor(first / step);
      const length = Math.max(1, Math.floor(end / step) - from);
      return seriesOf(from * step, step, length, (group, i) => past.get(from + i)?.[group] ?? 0);
    },
    clear: () => {
      past = new Map();
      [first, last, coarseness] = [Infinity, -Infinity, 0];
    },
  };
}

/** Makes the steps longer until there are few enough of them to be drawn. Each has the highest rate of those that it replaces. */
export function peaksOf(series: Series, maxSteps: number): Series {
  const factor = Math.ceil(series.length / maxSteps);
  if (factor <= 1) return series;
  const step = series.step * factor;
  // Steps that begin at a multiple of their length do not change as the time goes on.
  const first = Math.floor(series.start / step);
  const skipped = (series.start - first * step) / series.step;
  const length = Math.ceil((skipped + series.length) / factor);
  return seriesOf(first * step, step, length, (group, i) => {
    const counts = series.counts.get(EVENT_GROUPS[group]!)!;
    let most = 0;
    for (let at = 0; at < factor; at++) most = Math.max(most, counts[i * factor + at - skipped] ?? 0);
    return most * factor;
  });
}

function seriesOf(
  start: number,
  step: number,
  length: number,
  at: (group: number, i: number) => number,
): Series {
  const counts = EVENT_GROUPS.map((name, group) =>
    [name, Float64Array.from({ length }, (_, i) => at(group, i))] as const
  );
  return { start, step, length, counts: new Map(counts) };
}
