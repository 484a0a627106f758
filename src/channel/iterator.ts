/**
 * Reading a channel in its own process: an iterator over batches.
 *
 * @module
 */
import type { Batch, EventLog, Start } from "./channel.ts";
import type { LossReason } from "../events/event.ts";

/** One iteration asks for at most so many bytes of JSON in a batch. */
const BATCH_BYTES = 256 * 1024;

/** Who waits for a batch. */
interface Waiting {
  resolve(result: IteratorResult<Batch>): void;
  reject(error: unknown): void;
}

/**
 * An iterator over what follows a position. It is written by hand, because the `return()` of an async generator
 * queues behind a pending `next()` and so would never come while nothing is published.
 *
 * @param listen tells the channel to wake this iterator when there is something new
 * @param leave tells it that nobody waits any more
 * @throws {EventsError} `InvalidCursor`, where that is known at once; else the first `next()` rejects with it
 */
export function iterate(
  channel: EventLog,
  since: string,
  listen: (reader: () => void) => void,
  leave: (reader: () => void) => void,
): AsyncIterableIterator<Batch> {
  let { epoch } = channel;
  let position = 0;
  /** What a loss would be called that is found next. */
  let reason: LossReason = "slow_consumer";
  let done = false;
  /** Whether the start, or a batch, is still being asked for. */
  let isAsking = false;
  let fetched: Batch | undefined;
  let failure: { readonly error: unknown } | undefined;
  /** Only while there are any is the channel told to wake this iterator. */
  const waiting: Waiting[] = [];

  function begin(start: Start): void {
    ({ position } = start);
    epoch = channel.epoch;
    // What is still kept now is lost later by nothing but slowness.
    if (start.unknownEpoch) reason = "unknown_epoch";
    else if (position < channel.first - 1) reason = "history_expired";
  }

  /** Goes on with the answer, now or when it is there. */
  function ask<T extends object>(answer: T | Promise<T>, use: (answer: T) => void): void {
    if (!(answer instanceof Promise)) return use(answer);
    isAsking = true;
    answer.then(use).catch((error: unknown) => failure = { error }).finally(() => {
      isAsking = false;
      settle();
    });
  }

  function take(): IteratorResult<Batch> | undefined {
    if (done) return { done, value: undefined };
    if (failure !== undefined) throw failure.error;
    if (isAsking) return undefined;
    if (channel.epoch !== epoch) return beginAnew();
    if (fetched === undefined) ask(channel.read(position, BATCH_BYTES), (batch) => fetched = batch);
    if (fetched === undefined) return undefined;
    const batch: Batch = fetched;
    fetched = undefined;
    const { lost, entries } = batch;
    if (lost === undefined && entries.length === 0) {
      if (!channel.closed) return undefined;
      done = true;
      return { done, value: undefined };
    }
    position = entries.at(-1)?.position ?? position + (lost?.count ?? 0);
    const found = reason;
    reason = "slow_consumer";
    if (found === "unknown_epoch") {
      return { done: false, value: { entries, lost: { reason: found, count: null } } };
    }
    return { done: false, value: lost === undefined ? batch : { entries, lost: { ...lost, reason: found } } };
  }

  /** What is kept elsewhere is counted anew: nobody knows what is missing. */
  function beginAnew(): IteratorResult<Batch> {
    ({ epoch } = channel);
    position = channel.first - 1;
    reason = "slow_consumer";
    fetched = undefined;
    return { done: false, value: { lost: { reason: "unknown_epoch", count: null }, entries: [] } };
  }

  function settle(): void {
    try {
      for (let result; waiting.length > 0 && (result = take()) !== undefined;) {
        waiting.shift()!.resolve(result);
      }
    } catch (error) {
      for (const { reject } of waiting.splice(0)) reject(error);
    }
    if (waiting.length === 0) leave(settle);
  }

  ask(channel.locate(since), begin);
  return {
    next: () =>
      new Promise((resolve, reject) => {
        if (waiting.push({ resolve, reject }) > 1) return;
        settle();
        if (waiting.length > 0) listen(settle);
      }),
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
