/**
 * Listening for the end of a channel while waiting for something else.
 *
 * @module
 */
import type { EventLog } from "./channel.ts";
import { delay } from "../events/timing.ts";

/**
 * Calls the listener once when the log is closed; at once if it already is. The function returned removes the listener.
 */
export type OnClose = (listener: () => void) => () => void;

/** Pause before a log whose iterator failed is watched again, in milliseconds. */
const RETRY_MS = 1000;

/** Watches the log for its end, as long as there are listeners. */
export function watchClose(log: EventLog): OnClose {
  const listeners = new Set<() => void>();
  /** Aborted when the last listener is removed; each watch has its own, because one can start while another still ends. */
  let current: AbortController | undefined;

  function report(): void {
    const closing = [...listeners];
    listeners.clear();
    current?.abort();
    current = undefined;
    for (const listener of closing) listener();
  }

  async function watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await untilDone(log, signal).catch(() => {}); // A log that cannot be read has not ended.
      if (signal.aborted) return;
      if (log.closed) return report();
      await delay(RETRY_MS, signal).catch(() => {});
    }
  }

  return (listener) => {
    if (log.closed) {
      listener();
      return () => {};
    }
    const own = () => listener(); // The same function may listen more than once.
    listeners.add(own);
    if (current === undefined) {
      current = new AbortController();
      watch(current.signal);
    }
    return () => {
      listeners.delete(own);
      if (listeners.size > 0) return;
      current?.abort();
      current = undefined;
    };
  };
}

/** Reads the log until its iterator ends or the signal is aborted. */
async function untilDone(log: EventLog, signal: AbortSignal): Promise<void> {
  const batches = log.batches("latest");
  const leave = () => void batches.return?.();
  signal.addEventListener("abort", leave);
  try {
    while (!(await batches.next()).done);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
