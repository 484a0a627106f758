/**
 * Reading a channel in its own process: an iterator over batches.
 *
 * @module
 */
import type { Batch, EventLog, Start } from "./channel.ts";
import type { Loss } from "./event.ts";

/** One iteration asks for at most so many bytes of JSON in a batch. */
const BATCH_BYTES = 256 * 1024;

/**
 * An iterator over what follows a position. It is written by hand, because the `return()` of an async generator
 * queues behind a pending `next()` and so would never come while nothing is published.
 */
export function iterate(
  channel: EventLog,
  start: Start,
  listen: (reader: () => void) => void,
  leave: (reader: () => void) => void,
): AsyncIterableIterator<Batch> {
  let position = start.position;
  let lost: Loss["reason"] | undefined = start.unknownEpoch
    ? "unknown_epoch"
    : start.position < channel.first - 1
    ? "history_expired"
    : undefined; // What is still kept now is lost later by nothing but slowness.
  let done = false;
  /** Those who wait for a batch. Only while there are any is the channel told to wake this iterator. */
  const waiting: ((result: IteratorResult<Batch>) => void)[] = [];

  function take(): IteratorResult<Batch> | undefined {
    if (done) return { done, value: undefined };
    const batch = channel.read(position, BATCH_BYTES);
    const newest = batch.entries.at(-1);
    if (newest === undefined) {
      if (!channel.closed) return undefined;
      done = true;
      return { done, value: undefined };
    }
    position = newest.position;
    const reason = lost;
    lost = undefined;
    if (reason === "unknown_epoch") {
      return { done: false, value: { ...batch, lost: { reason, count: null } } };
    }
    if (reason === "history_expired" && batch.lost) {
      return { done: false, value: { ...batch, lost: { reason, count: batch.lost.count } } };
    }
    return { done: false, value: batch };
  }

  function settle(): void {
    for (let result; waiting.length > 0 && (result = take()) !== undefined;) waiting.shift()!(result);
    if (waiting.length === 0) leave(settle);
  }

  return {
    next: () => {
      const result = waiting.length === 0 ? take() : undefined;
      if (result !== undefined) return Promise.resolve(result);
      listen(settle);
      return new Promise((resolve) => waiting.push(resolve));
    },
    return: () => {
      done = true;
      settle();
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
