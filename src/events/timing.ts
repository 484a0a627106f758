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

/** What is called when a signal is aborted, and the one listener that calls it. */
interface SharedListener {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const shared = new WeakMap<AbortSignal, SharedListener>();

/**
 * Calls a function when a signal is aborted. A signal has one listener for all of them: Node warns of a leak at the eleventh.
 *
 * @returns a function that removes it, and the listener with the last one
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = shared.get(signal) ?? listenTo(signal);
  const own = () => callback(); // The same function may be there twice.
  callbacks.add(own);
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0) return;
    signal.removeEventListener("abort", listener);
    shared.delete(signal);
  };
}

function listenTo(signal: AbortSignal): SharedListener {
  const callbacks = new Set<() => void>();
  const listener = () => {
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        queueMicrotask(() => { // As if it were a listener of its own: the others are still called.
          throw error;
        });
      }
    }
  };
  const made = { callbacks, listener };
  shared.set(signal, made);
  signal.addEventListener("abort", listener);
  return made;
}
