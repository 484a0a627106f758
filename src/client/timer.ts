/**
 * The timer of a connection. There is one, because a connection never waits for two things at the same time.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";

/** Number of milliseconds within which waits share a timer. To set one for each, or to read the clock, is 5 to 50 % of decoding. */
const SHARED_MS = 10;

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
  /**
   * Begins to wait for something that happens again and again; {@linkcode Timer.unwatch} ends the wait. Most calls do nothing:
   * waits that begin within the same 10 ms share a timer, so the callback may come that much too early.
   *
   * @param ms number of milliseconds, infinity for no limit; the same until {@linkcode Timer.clear} is called
   * @param onSilence called if the wait takes longer
   */
  watch(ms: number, onSilence: (ms: number) => void): void;
  /** Ends the wait that {@linkcode Timer.watch} began. */
  unwatch(): void;
  /** Resolves after this number of milliseconds. */
  sleep(ms: number): Promise<void>;
  /** Stops the timer: its limits no longer apply, and its sleep never resolves. */
  clear(): void;
}

/** Makes a timer that does not run. */
export function createTimer(): Timer {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isWaiting = false;
  /** Whether the timer runs that waits share. */
  let isShared = false;

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
    watch: (ms, onSilence) => {
      if (ms === Infinity) return;
      isWaiting = true;
      if (isShared) return;
      isShared = true;
      clearTimeout(timer);
      const sharedMs = Math.min(SHARED_MS, ms / 10);
      start(() => {
        isShared = false;
        start(() => isWaiting && onSilence(ms), ms - sharedMs);
      }, sharedMs);
    },
    unwatch: () => isWaiting = false,
    sleep: (ms) => new Promise((resolve) => start(resolve, ms)),
    clear: () => {
      clearTimeout(timer);
      isWaiting = isShared = false;
    },
  };
}
