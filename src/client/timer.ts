/**
 * The timer of a connection. There is one, because a connection never waits for two things at the same time.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";

/** A timer and its two uses. */
export interface Timer {
  /**
   * Returns the promise, which rejects if it takes longer.
   *
   * @param ms number of milliseconds; infinity for no limit
   * @param what what did not happen, for the message of the error
   * @throws {EventsError} `Timeout`
   */
  limit<T>(promise: Promise<T>, ms: number, what: string): Promise<T>;
  /** Resolves after this number of milliseconds. */
  sleep(ms: number): Promise<void>;
  /** Stops the timer: its limit no longer applies, and its sleep never resolves. */
  clear(): void;
}

/** Makes a timer that does not run. */
export function createTimer(): Timer {
  let timer: ReturnType<typeof setTimeout> | undefined;

  function start(callback: () => void, ms: number): ReturnType<typeof setTimeout> {
    return timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
  }

  return {
    limit: (promise, ms, what) => {
      if (ms === Infinity) return promise;
      return new Promise((resolve, reject) => {
        const own = start(() => reject(new EventsError("Timeout", `${what} for ${ms / 1000} s`)), ms);
        promise.finally(() => clearTimeout(own)).then(resolve, reject);
      });
    },
    sleep: (ms) => new Promise((resolve) => start(resolve, ms)),
    clear: () => clearTimeout(timer),
  };
}
