/**
 * Time that a test controls: the timers and `performance.now()` of this process.
 *
 * @module
 */
import { setImmediate } from "node:timers";

/** The time of a test. */
export interface VirtualTime {
  /** Milliseconds since it began. */
  now(): number;
  /** Lets this many milliseconds pass, and the timers in them fire. */
  elapse(ms: number): Promise<void>;
  /** Returns the outcome of the promise. Rejects if it never settles. */
  settled<T>(promise: Promise<T>): Promise<T>;
}

/** Resolves after all pending microtasks, and those that they queue. */
export function flush(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** The longest step. A process that is blocked for longer extends the timeouts of its readers by that time. */
const LONGEST_STEP_MS = 25_000;

/**
 * Replaces the time of this process by one that passes only on demand. It advances in leaps: timers fire late and in their
 * order, as in a busy event loop.
 */
export async function inVirtualTime(use: (time: VirtualTime) => Promise<void>): Promise<void> {
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  const setNow = (value: () => number) =>
    Object.defineProperty(performance, "now", { value, configurable: true, writable: true });
  const timers = new Map<number, { readonly due: number; readonly run: () => void }>();
  let made = 0;
  let time = 0;
  Object.assign(globalThis, {
    setTimeout: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      timers.set(++made, { due: time + ms, run: () => callback(...args) });
      return made;
    },
    clearTimeout: (timer: number) => void timers.delete(timer),
  });
  setNow(() => time);

  async function elapse(ms: number): Promise<void> {
    for (let left = ms; left >= LONGEST_STEP_MS; left -= LONGEST_STEP_MS) await leap(LONGEST_STEP_MS);
    await leap(ms % LONGEST_STEP_MS);
  }

  async function leap(ms: number): Promise<void> {
    await flush();
    time += ms;
    const due = [...timers].filter(([, timer]) => timer.due <= time).sort(([, a], [, b]) => a.due - b.due);
    for (const [id, { run }] of due) {
      if (!timers.delete(id)) continue; // An earlier timer has cleared it.
      run();
      await flush();
    }
  }

  async function settled<T>(promise: Promise<T>): Promise<T> {
    let isOpen = true;
    const close = () => isOpen = false;
    promise.then(close, close);
    for (let waited = 0; isOpen; waited++) {
      if (waited === 100) throw new Error("the promise does not settle, however much time passes");
      await elapse(waited === 0 ? 0 : 1);
    }
    return await promise;
  }

  try {
    await use({ now: () => time, elapse, settled });
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
    setNow(now);
  }
}
