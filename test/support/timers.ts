/**
 * Timers, counted for the whole process.
 *
 * @module
 */

/** A running count of timers. */
export interface TimerCount {
  /** Returns the number of timers set since it began that were neither cleared nor, unless they repeat, fired. */
  running(): number;
  /** Ends the count, and restores the timers of the runtime. */
  end(): void;
}

/**
 * Begins to count timers.
 *
 * @param atLeast the shortest timer that counts, in milliseconds
 */
export function countTimers(atLeast: number = 0): TimerCount {
  const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
  const running = new Set<unknown>();
  Object.assign(globalThis, {
    setTimeout: (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer = setTimeout(() => {
        running.delete(timer);
        callback(...args);
      }, ms);
      if ((ms ?? 0) >= atLeast) running.add(timer);
      return timer;
    },
    clearTimeout: (timer: ReturnType<typeof setTimeout>) => {
      running.delete(timer);
      clearTimeout(timer);
    },
    setInterval: (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer = setInterval(() => callback(...args), ms);
      running.add(timer);
      return timer;
    },
    clearInterval: (timer: ReturnType<typeof setInterval>) => {
      running.delete(timer);
      clearInterval(timer);
    },
  });
  return {
    running: () => running.size,
    end: () => void Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval }),
  };
}
