/**
 * The next turn of the event loop.
 *
 * @module
 */

interface HasImmediate {
  readonly setImmediate?: (callback: () => void) => unknown;
}

const { setImmediate } = globalThis as HasImmediate;

/** How long an immediate is waited for, in milliseconds: on Deno 2.9 one seems to be lost now and then. */
const LOST_AFTER_MS = 10;

/**
 * Calls the function in a turn of its own, after everything that this one has still to do: at once if the platform has
 * `setImmediate`, otherwise after the shortest timer.
 */
export function nextTurn(callback: () => void): void {
  if (setImmediate === undefined) return void setTimeout(callback);
  let isOver = false;
  const run = () => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    callback();
  };
  const timer = setTimeout(run, LOST_AFTER_MS);
  setImmediate(run);
}
