/**
 * The channel in the memory of this process.
 *
 * @module
 */
import { iterate } from "./iterator.ts";
import type { Catalogue, Draft, PayloadArguments, PublishableType, Schemas } from "../events/catalogue.ts";
import { type Batch, type Channel, type ErasedEvents, locate, type Start } from "./channel.ts";
import { createErasures, subjectToErase } from "./erased.ts";
import {
  draftOf,
  type EncodedEvent,
  encodeEvent,
  encodeEvents,
  type UncheckedDraft,
} from "../events/encode.ts";
import { CATALOGUE, checkArgument, checkOptions, type Expected, OBJECT } from "../events/arguments.ts";
import { EventsError } from "../events/errors.ts";
import { createEntryWriter } from "./entry_writer.ts";
import { createHistory, type History } from "./history.ts";
import { type HistoryLimits, historyLimits } from "./limits.ts";
import { createExpiry, type Expiry, type Retention, retentionLimits } from "./retention.ts";
import { createPublishedCounts } from "./published_counts.ts";
import { createWakeups } from "./wakeups.ts";

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
  /** Erases every event of a subject: see {@linkcode Channel.erase}. */
  erase(events: ErasedEvents): number;
}

/** Options of {@linkcode createChannel}. */
export interface ChannelOptions {
  /**
   * How much is kept for those who resume or read slowly. What goes beyond it is forgotten, oldest first, and so
   * is what a burst larger than it publishes in one turn of the event loop.
   */
  readonly history?: HistoryLimits;
  /** Further limits, the age among them: `{ age: "1h" }`. By default there are none. */
  readonly keep?: Retention;
}

const OPTIONS: Readonly<Record<keyof ChannelOptions, Expected>> = { history: OBJECT, keep: OBJECT };

/**
 * Makes a channel that keeps its events in memory.
 *
 * @param catalogue the event types it carries
 * @throws {TypeError} if the catalogue is none, there is no such option, or its value is of another kind
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
  checkArgument("createChannel: the catalogue", catalogue, CATALOGUE);
  checkOptions("createChannel", options, OPTIONS);
  const { log, expiry, maxEventBytes } = openHistory(options);
  const wakeups = createWakeups();
  const erasures = createErasures();
  const published = createPublishedCounts(catalogue.types);
  let closed = false;
  const write = createEntryWriter(catalogue.types);
  const epochOf = createEpoch();

  function checkOpen(): void {
    if (closed) throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
  }

  function append(event: EncodedEvent, time: number): string {
    const entry = write(event, epochOf(), log.last + 1, time);
    log.push(entry);
    published.count(entry.type);
    wakeups.wake();
    expiry?.start();
    return entry.id;
  }

  const channel: MemoryChannel<S> = {
    ...createPublishing(catalogue, maxEventBytes, checkOpen, append),
    catalogue,
    get epoch() {
      return epochOf();
    },
    get first() {
      return log.first;
    },
    get last() {
      return log.last;
    },
    get hasErased() {
      return log.size < log.last - log.first + 1;
    },
    get closed() {
      return closed;
    },
    parse: ({ json }) => JSON.parse(json),
    read: (position, maxBytes) => log.read(position, maxBytes),
    locate: (since) => locate(channel, since),
    onErase: erasures.listen,
    erase: (events) => {
      const subject = subjectToErase(events);
      checkOpen();
      const count = log.erase(subject, log.last);
      while (log.detachTexts());
      if (count > 0) erasures.report();
      return count;
    },
    batches: (since = "latest") => iterate(channel, since, wakeups.listen, wakeups.leave),
    close: () => {
      closed = true;
      expiry?.stop();
      wakeups.wake();
    },
    stats: () => ({ events: log.size, bytes: log.bytes, published: published.read(), readers: wakeups.size }),
  };
  return channel;
}

/** Makes the functions that publish: they encode events, and append them if all fit. */
function createPublishing<S extends Schemas>(
  catalogue: Catalogue<S>,
  maxEventBytes: number,
  checkOpen: () => void,
  append: (event: EncodedEvent, time: number) => string,
): Pick<MemoryChannel<S>, "publish" | "publishBatch"> {
  return {
    publish: (type, ...[payload, options]) => {
      checkOpen();
      const event = encodeEvent(catalogue, draftOf(type, payload, options), maxEventBytes);
      checkOpen(); // What was published may have getters.
      return append(event, Date.now());
    },
    publishBatch: (drafts: readonly UncheckedDraft[], key) => {
      checkOpen();
      const events = encodeEvents(catalogue, drafts, maxEventBytes, key);
      checkOpen(); // As above.
      const time = Date.now();
      return events.map((event) => append(event, time));
    },
  };
}

/** Makes a function that names the epoch when it is first called: Workers allow nothing random before their first request. */
function createEpoch(): () => string {
  let epoch: string | undefined;
  return () => epoch ??= crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}

/** Makes the history within its limits, and what drops events by their age, if that is limited. */
function openHistory({ history, keep }: ChannelOptions): {
  readonly log: History;
  readonly expiry: Expiry | undefined;
  readonly maxEventBytes: number;
} {
  const held = historyLimits(history);
  const kept = retentionLimits(keep ?? {}, 1024);
  const maxEventBytes = Math.min(held.maxBytes, kept.maxBytes);
  const log = createHistory(Math.min(held.maxEvents, kept.maxEvents), maxEventBytes);
  const expiry = kept.maxAgeMs < Infinity ? createExpiry(log, kept.maxAgeMs) : undefined;
  return { log, expiry, maxEventBytes };
}
