/** What every server of the bench sends, and the clock that stamps it. */

/** The payload of one `tick`: its number, when it was published, and padding. */
export interface Tick {
  n: number;
  at: number;
  pad: string;
  [key: string]: unknown;
}

/** Numbers start here, so that every line has the same length. */
export const FIRST = 100_000;

/**
 * What the peers send first, so that a runtime that holds its headers back until there is a body sends them.
 */
export const START_LINE = `{"type":"events_start","event":{"heartbeat":null}}\n`;
export const START_SSE = `event: events_start\ndata: {"type":"events_start","event":{"heartbeat":null}}\n\n`;

let wallMinusMonotonic = 0;

/**
 * Finds the wall clock's microseconds: `Date.now()` has none, but the moment it moves on is one.
 * Not every runtime's `performance.timeOrigin` agrees with the wall clock, which the load client reads.
 */
export function alignClock(): void {
  wallMinusMonotonic = -Infinity;
  for (let flips = 0; flips < 4; flips++) {
    const start = Date.now();
    let now = start;
    while (now === start) now = Date.now();
    // A thread that lost its core between these two lines sees too small a difference.
    wallMinusMonotonic = Math.max(wallMinusMonotonic, now - performance.now());
  }
}

/** Microseconds since 1970, comparable between the processes of one machine after `alignClock()`. */
export function microseconds(): number {
  return Math.round((wallMinusMonotonic + performance.now()) * 1000);
}

export function idOf(n: number): string {
  return `bench-${n}`;
}

/** The dictionary as one line without its end: what a server does once per event, whoever listens. */
export function dictionary(tick: Tick): string {
  return JSON.stringify({ type: "tick", event: tick, id: idOf(tick.n), time: new Date().toISOString() });
}

const FILLER = "x".repeat(65_536);
const LINE_WITHOUT_PAD = dictionary({ n: FIRST, at: 1_700_000_000_000_000, pad: "" }).length + 1;

/** A tick whose line, in the peers' dictionary, has `bytes` bytes with its newline. */
export function tick(n: number, at: number, bytes: number): Tick {
  return { n, at, pad: FILLER.slice(0, Math.max(0, bytes - LINE_WITHOUT_PAD)) };
}
