/**
 * The end of a channel, for those who wait for something else meanwhile.
 *
 * @module
 */
import type { EventLog } from "./channel.ts";

/** Calls the listener once the log is closed; what it returns takes that back. */
export type OnClose = (listener: () => void) => () => void;

/** Watches the log for its end, while there are any who want to be told. */
export function watchClose(log: EventLog): OnClose {
  const listeners = new Set<() => void>();
  let batches: ReturnType<EventLog["batches"]> | undefined;

  async function watch(): Promise<void> {
    const reader = batches = log.batches("latest");
    while (!(await reader.next()).done);
    // Or nobody wanted to be told any more.
    if (log.closed) { for (const listener of listeners) listener(); }
  }

  return (listener) => {
    listeners.add(listener);
    if (batches === undefined) watch().catch(() => {}); // A log that cannot be read is no log that has ended.
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      batches?.return?.();
      batches = undefined;
    };
  };
}
