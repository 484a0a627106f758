/**
 * The next turn of the event loop.
 *
 * @module
 */

interface HasImmediate {
  readonly setImmediate?: (callback: () => void) => unknown;
}

const { setImmediate } = globalThis as HasImmediate;

/**
 * Calls the function in a turn of its own, after everything that this one has still to do: at once where the platform
 * has `setImmediate`, elsewhere after the shortest timer.
 */
export const nextTurn: (callback: () => void) => void = setImmediate ??
  ((callback) => void setTimeout(callback));
