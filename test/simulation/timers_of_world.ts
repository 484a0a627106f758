/**
 * What the channel in a file imports of `node:timers`: the timers of the world. `load.ts` puts it in the place of the module.
 *
 * @module
 */
export const clearInterval: typeof globalThis.clearInterval = (timer) => globalThis.clearInterval(timer);
export const setInterval =
  ((callback: () => void, ms: number) =>
    globalThis.setInterval(callback, ms)) as typeof globalThis.setInterval;
export const setImmediate =
  ((callback: () => void) => globalThis.setImmediate(callback)) as typeof globalThis.setImmediate;
