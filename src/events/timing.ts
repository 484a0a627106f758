/**
 * Waiting with a limit: for some time, for a promise until a deadline, or until a signal is aborted. What is waited with
 * leaves no timer and no listener behind.
 *
 * @module
 */

/** The longest delay of a timer, in milliseconds (HTML 8.7: a 32-bit integer); a longer one would fire at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/**
 * Waits for a promise until a deadline.
 *
 * @param ms how long, in milliseconds; infinity for any time
 * @param late the result if the promise has not settled by then
 */
export async function withDeadline<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  if (ms === Infinity) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<L>((resolve) => timer = setTimeout(resolve, ms, late));
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for some time.
 *
 * @param ms how long, in milliseconds
 * @throws the reason of the signal, once it is aborted
 */
export async function delay(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await abortable(new Promise<void>((resolve) => timer = setTimeout(resolve, ms)), signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for a promise until a signal is aborted; the work behind the promise is not stopped.
 *
 * @throws the reason of the signal, once it is aborted
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
