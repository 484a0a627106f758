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
  /**
   * Begins to wait for something that happens again and again; {@linkcode Timer.unwatch} ends the wait. It costs next to
   * nothing: the timer runs on, and finds out when it fires whether the last wait was that long.
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
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  /** When the current wait began; `undefined` if there is none. */
  let since: number | undefined;

  function watchFor(left: number, ms: number, onSilence: (ms: number) => void): void {
    watchdog = setTimeout(() => {
      watchdog = undefined;
      if (since === undefined) return;
      const left = since + ms - performance.now();
      if (left > 0) watchFor(left, ms, onSilence);
      else onSilence(ms);
    }, Math.min(left, MAX_TIMER_MS));
  }

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
      since = performance.now();
      if (watchdog === undefined) watchFor(ms, ms, onSilence);
    },
    unwatch: () => since = undefined,
    sleep: (ms) => new Promise((resolve) => start(resolve, ms)),
    clear: () => {
      clearTimeout(timer);
      clearTimeout(watchdog);
      watchdog = since = undefined;
    },
  };
}
