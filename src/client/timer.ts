/**
 * The one timer of a connection, which never waits for two things at once.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { MAX_DELAY } from "./options.ts";

/** A timer, and the two things that it is for. */
export interface Timer {
  /**
   * The promise, or where it takes longer than so many milliseconds an error.
   *
   * @param what what did not happen, for the error
   * @throws {EventsError} `Timeout`
   */
  limit<T>(promise: Promise<T>, ms: number, what: string): Promise<T>;
  /** Resolves after so many milliseconds. */
  sleep(ms: number): Promise<void>;
  /** Stops it: what waits for it waits for good. */
  clear(): void;
}

/** Makes a timer that is not running. */
export function createTimer(): Timer {
  let timer: ReturnType<typeof setTimeout> | undefined;

  function start(callback: () => void, ms: number): ReturnType<typeof setTimeout> {
    return timer = setTimeout(callback, Math.min(ms, MAX_DELAY));
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
