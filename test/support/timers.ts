/**
 * Timers, counted for the whole process.
 *
 * @module
 */

/** A count that goes on until it is ended. */
export interface TimerCount {
  /** How many timers made since it began were neither cleared nor, unless they repeat, fired. */
  running(): number;
  /** Ends it: timers are the runtime's own again. */
  end(): void;
}

/**
 * Begins to count the timers that are made.
 *
 * @param atLeast the shortest that counts, in milliseconds
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
