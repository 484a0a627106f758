/**
 * The channel in the memory of this process.
 *
 * @module
 */
import { iterate } from "./iterator.ts";
import type { Catalogue, Draft, PayloadArguments, PublishableType, Schemas } from "../events/catalogue.ts";
import { type Batch, type Channel, locate, type Start } from "./channel.ts";
import { encodeEvents, type UncheckedDraft } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import { formatCursor } from "../events/event.ts";
import { createHistory } from "./history.ts";
import { utf8Length } from "../events/json.ts";

/** A channel that keeps its events in memory, and so does everything at once. */
export interface MemoryChannel<S extends Schemas = Schemas> extends Channel<S> {
  /** Publishes one event: see {@linkcode Channel.publish}. */
  publish<T extends PublishableType<S>>(type: T, ...payload: PayloadArguments<S, T>): string;
  /** Publishes several events in a row, all or none; a key means nothing here: see {@linkcode Channel.publishBatch}. */
  publishBatch(drafts: readonly Draft<S>[], key?: string): string[];
  /** Reads what follows a position: see {@linkcode EventLog.read}. */
  read(position: number, maxBytes: number): Batch;
  /** Finds where a reader starts: see {@linkcode EventLog.locate}. */
  locate(since: string): Start;
}

/** How much an in-memory channel keeps. */
export interface HistoryLimits {
  /** At most so many events; default 100 000. */
  readonly events?: number;
  /** At most so many bytes of JSON in UTF-8, 1024 or more; default 32 MiB. No single event may be larger. */
  readonly bytes?: number;
}

/** Options of {@linkcode createChannel}. */
export interface ChannelOptions {
  /**
   * How much is kept for those who resume or read slowly. What goes beyond it is forgotten, oldest first, and so
   * is what a burst larger than it publishes in one turn of the event loop.
   */
  readonly history?: HistoryLimits;
}

/**
 * Makes a channel that keeps its events in memory.
 *
 * @param catalogue the event types it carries
 * @throws {RangeError} where a limit is not a whole number or too small
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { createChannel, defineEvents } from "events-endpoint";
 *
 * const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }), { history: { events: 500 } });
 * channel.publish("tick", { n: 1 });
 * channel.close();
 * for await (const { entries } of channel.batches("earliest")) {
 *   for (const { json } of entries) console.log(json); // {"type":"tick","event":{"n":1},"id":"…-1","time":"…"}
 * }
 * ```
 */
export function createChannel<S extends Schemas>(
  catalogue: Catalogue<S>,
  options: ChannelOptions = {},
): MemoryChannel<S> {
  const { maxEvents, maxBytes } = historyLimits(options.history);
  const epoch = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  const log = createHistory(maxEvents, maxBytes);
  const readers = new Set<() => void>();
  const published = new Map(catalogue.types.map((type) => [type, 0]));
  let closed = false;
  let waking = false;

  function append(type: string, payload: string, time: number, isoTime: string): string {
    const position = log.last + 1;
    const id = formatCursor(epoch, position);
    const json = `{"type":"${type}",${payload}"id":"${id}","time":"${isoTime}"}`;
    log.push({ position, id, type, json, bytes: utf8Length(json), time });
    published.set(type, published.get(type)! + 1);
    return id;
  }

  function checkOpen(): void {
    if (closed) throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
  }

  function publishBatch(drafts: readonly UncheckedDraft[]): string[] {
    checkOpen();
    const prepared = encodeEvents(catalogue, drafts, maxBytes);
    checkOpen(); // What was published may have getters.
    const now = new Date();
    const time = now.getTime();
    const isoTime = now.toISOString();
    const ids = prepared.map(({ type, payload }) => append(type, payload, time, isoTime));
    wake();
    return ids;
  }

  /** Readers are woken once a turn, so that what is published in a row is read as one batch. */
  function wake(): void {
    if (waking || readers.size === 0) return;
    waking = true;
    queueMicrotask(() => {
      waking = false;
      for (const reader of readers) reader();
    });
  }

  const channel: MemoryChannel<S> = {
    catalogue,
    epoch,
    get first() {
      return log.first;
    },
    get last() {
      return log.last;
    },
    get closed() {
      return closed;
    },
    publish: (type, ...[payload]) => publishBatch([{ type, event: payload }])[0]!,
    publishBatch,
    parse: ({ json }) => JSON.parse(json),
    read: (position, maxBytes) => log.read(position, maxBytes),
    locate: (since) => locate(channel, since),
    batches: (since = "latest") =>
      iterate(channel, since, (reader) => readers.add(reader), (reader) => readers.delete(reader)),
    close: () => {
      closed = true;
      wake();
    },
    stats: () => ({
      events: log.last - log.first + 1,
      bytes: log.bytes,
      published: Object.fromEntries(published),
      readers: readers.size,
    }),
  };
  return channel;
}

/**
 * The limits of a history, checked, with their defaults.
 *
 * @throws {RangeError} where one is not a whole number or too small
 */
export function historyLimits(
  { events = 100_000, bytes = 32 * 1024 * 1024 }: HistoryLimits = {},
): { readonly maxEvents: number; readonly maxBytes: number } {
  return {
    maxEvents: checkLimit("history.events", events, 1),
    maxBytes: checkLimit("history.bytes", bytes, 1024),
  };
}

/**
 * A limit, where it is one.
 *
 * @throws {RangeError} where it is not a whole number or too small
 */
export function checkLimit(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}`);
  }
  return value;
}
