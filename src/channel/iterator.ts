/**
 * Reading a channel in its own process: an iterator over batches.
 *
 * @module
 */
import { type Batch, type EventLog, positionAfter } from "./channel.ts";
import { type PendingLoss, type ReadPosition, resetToEpoch, startAt, takeLoss } from "./read_position.ts";

/** The most bytes of JSON in one batch. */
const BATCH_BYTES = 256 * 1024;

/** One pending `next()`. */
interface Waiting {
  resolve(result: IteratorResult<Batch>): void;
  reject(error: unknown): void;
}

/**
 * Iterates over what follows a position.
 *
 * @param since where to start, as for `EventLog.locate`
 * @param listen asks the channel to call the function whenever there is something new
 * @param leave takes that back
 * @throws {EventsError} `InvalidCursor` if that is known at once; otherwise the first `next()` rejects with it
 */
export function iterate(
  channel: EventLog,
  since: string,
  listen: (reader: () => void) => void,
  leave: (reader: () => void) => void,
): AsyncIterableIterator<Batch> {
  return new BatchIterator(channel, since, listen, leave);
}

/**
 * The iterator. It is written by hand, because the `return()` of an async generator queues behind a pending `next()`,
 * which settles only when something is published.
 */
class BatchIterator implements AsyncIterableIterator<Batch>, ReadPosition {
  position = 0;
  lossReason: PendingLoss = "slow_consumer";
  readonly #channel: EventLog;
  readonly #listen: (reader: () => void) => void;
  readonly #leave: (reader: () => void) => void;
  #epoch: string;
  #isDone = false;
  /** Whether an answer of the channel is awaited: the start or a batch. */
  #isAsking = false;
  /** A batch that was read and not yet taken. */
  #batch: Batch | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** The channel wakes this iterator only while a `next()` waits. */
  readonly #waiting: Waiting[] = [];
  readonly #settle = () => this.#settleWaiting();

  constructor(
    channel: EventLog,
    since: string,
    listen: (reader: () => void) => void,
    leave: (reader: () => void) => void,
  ) {
    this.#channel = channel;
    this.#epoch = channel.epoch;
    this.#listen = listen;
    this.#leave = leave;
    this.#ask(channel.locate(since), (start) => {
      this.#epoch = channel.epoch;
      startAt(this, channel, start);
    });
  }

  next(): Promise<IteratorResult<Batch>> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ resolve, reject }) > 1) return;
      this.#settleWaiting();
      if (this.#waiting.length > 0) this.#listen(this.#settle);
    });
  }

  return(): Promise<IteratorResult<Batch>> {
    this.#isDone = true;
    this.#settleWaiting();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Uses the answer, now or as soon as it is there. */
  #ask<T extends object>(answer: T | Promise<T>, use: (answer: T) => void): void {
    if (!(answer instanceof Promise)) return use(answer);
    this.#isAsking = true;
    answer.then(use).catch((error: unknown) => this.#failure = { error }).finally(() => {
      this.#isAsking = false;
      this.#settleWaiting();
    });
  }

  #settleWaiting(): void {
    try {
      for (let result; this.#waiting.length > 0 && (result = this.#take()) !== undefined;) {
        this.#waiting.shift()!.resolve(result);
      }
    } catch (error) {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
    if (this.#waiting.length === 0) this.#leave(this.#settle);
  }

  /** The next result; `undefined` while there is none. */
  #take(): IteratorResult<Batch> | undefined {
    const channel = this.#channel;
    if (this.#isDone) return { done: true, value: undefined };
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isAsking) return undefined;
    if (channel.epoch !== this.#epoch) return this.#takeNewEpoch();
    const batch = this.#nextBatch();
    if (batch === undefined) return undefined;
    const { lost: { count } = { count: 0 }, ...found } = batch;
    if (count === 0 && found.entries.length === 0) {
      if (!channel.closed) return undefined;
      this.#isDone = true;
      return { done: true, value: undefined };
    }
    this.position = positionAfter(batch, this.position);
    const lost = takeLoss(this, count ?? 0);
    return { done: false, value: lost === undefined ? found : { lost, ...found } };
  }

  /** The next batch with anything in it, or the empty one at the end of the log; `undefined` while it is awaited. */
  #nextBatch(): Batch | undefined {
    for (;;) {
      if (this.#batch === undefined) {
        this.#ask(this.#channel.read(this.position, BATCH_BYTES), (batch) => this.#batch = batch);
      }
      const batch = this.#batch as Batch | undefined; // It was read just now, unless the channel answers later.
      this.#batch = undefined;
      if (batch === undefined || batch.entries.length > 0 || batch.last === undefined) return batch;
      if (batch.lost !== undefined) return batch;
      this.position = batch.last; // All events up to there were erased.
    }
  }

  /** The loss with which a new epoch begins; it has no events, because there may be none yet. */
  #takeNewEpoch(): IteratorResult<Batch> {
    this.#epoch = this.#channel.epoch;
    this.#batch = undefined;
    resetToEpoch(this, this.#channel);
    const lost = takeLoss(this, 0)!;
    return { done: false, value: { lost, entries: [] } };
  }
}
