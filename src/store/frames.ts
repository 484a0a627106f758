/**
 * When a page is updated, and when it gets to draw.
 *
 * @module
 */

/** What a browser has for frames; absent elsewhere. */
const page: {
  readonly requestAnimationFrame?: (callback: () => void) => number;
  readonly cancelAnimationFrame?: (id: number) => void;
} = globalThis as object;

/** The longest wait for a frame, in milliseconds: a page that is not visible has none, and may show a number in its title. */
const HIDDEN_MS = 1_000;
/** What stands for a frame where there are none, in milliseconds. */
const FRAME_MS = 16;

/** Calls a function once, before the next frame is drawn. Returns a function that cancels it. */
export function onNextFrame(callback: () => void): () => void {
  const { requestAnimationFrame, cancelAnimationFrame } = page;
  if (requestAnimationFrame === undefined) return onTimeout(callback, FRAME_MS);
  const cancel = () => {
    cancelTimeout();
    cancelAnimationFrame?.(frame);
  };
  const run = () => {
    cancel();
    callback();
  };
  const cancelTimeout = onTimeout(run, HIDDEN_MS);
  const frame = requestAnimationFrame(run);
  return cancel;
}

/** Calls a function once, after some milliseconds. Returns a function that cancels it. */
export function onTimeout(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

/** Resolves in a task of its own, in which a browser may draw. A timer would wait for a second in a page that is not visible. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
