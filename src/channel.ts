/**
 * The channel: an ordered, bounded log of published events that can be read from any position still kept.
 *
 * @module
 */
import { iterate } from "./batches.ts";
import {
  type Catalogue,
  checkEvent,
  type Draft,
  type PayloadArguments,
  type PublishableType,
  type PublishedEvent,
  refusal,
  type Schemas,
} from "./catalogue.ts";
import { EventsError, type Fault } from "./errors.ts";
import { formatCursor, type Loss, parseCursor } from "./event.ts";
import { createHistory } from "./history.ts";
import { toJson, utf8Length } from "./json.ts";

/** One published event as the channel keeps it. */
export interface Entry {
  /** Its sequence number: 1 for the first event of the channel, and no gaps. */
  readonly position: number;
  /** Its cursor, as it stands in the dictionary's `id`. */
  readonly id: string;
  /** The name of its type. */
  readonly type: string;
  /** The whole dictionary as one line of JSON, the same in every wire format. */
  readonly json: string;
  /** The length of `json` in UTF-8, in bytes. */
  readonly bytes: number;
}

/** Some events in a row, in the order of publication. */
export interface Batch {
  /** What the reader misses between the last batch and this one. */
  readonly lost?: Loss;
  /** The events. */
  readonly entries: readonly Entry[];
}

/** What a channel holds at the moment. */
export interface ChannelStats {
  /** How many events are kept. */
  readonly events: number;
  /** The bytes of their JSON in UTF-8. */
  readonly bytes: number;
  /** How many events were published since the channel was made, by type; every type of the catalogue is there. */
  readonly published: Readonly<Record<string, number>>;
  /** How many iterators wait for the next event. */
  readonly readers: number;
}

/** The reading side of a channel: what does not depend on its catalogue. */
export interface EventLog {
  /** Names this life of the channel: part of every cursor. */
  readonly epoch: string;
  /** The position of the oldest event kept; one after {@linkcode last} where none is. */
  readonly first: number;
  /** The position of the newest event; 0 before the first. */
  readonly last: number;
  /** Whether it was closed. */
  readonly closed: boolean;

  /**
   * Reads what follows a position, at once.
   *
   * @param position the last position already read
   * @param maxBytes where to end the batch, in bytes of JSON; it holds at least one event where there is one
   * @returns the batch, empty where nothing follows yet; `lost` where the position is no longer kept
   */
  read(position: number, maxBytes: number): Batch;

  /**
   * Reads from a cursor on, and waits for more: an iterator over batches that ends when the channel is closed.
   * Leaving the loop leaves nothing behind, also while a batch is awaited.
   *
   * @param since a cursor; `"earliest"` for everything kept; `"latest"` for what is published from now on
   * @throws {EventsError} `InvalidCursor`
   */
  batches(since?: string): AsyncIterableIterator<Batch>;

  /** Ends the channel: every iterator ends once it has read what was published. */
  close(): void;

  /** What the channel holds at the moment. */
  stats(): ChannelStats;
}

/** An ordered, bounded log of published events, typed by its catalogue. */
export interface Channel<S extends Schemas = Schemas> extends EventLog {
  /** The event types it carries. */
  readonly catalogue: Catalogue<S>;

  /**
   * Publishes one event.
   *
   * @returns the event's `id`
   * @throws {EventsError} `InvalidEvent` where the payload does not fit its schema or cannot be JSON;
   *   `ChannelClosed` after {@linkcode close}. Nothing is published then.
   */
  publish<T extends PublishableType<S>>(type: T, ...payload: PayloadArguments<S, T>): string;

  /**
   * Publishes several events in a row: all of them, or on an error none.
   *
   * @returns the `id` of each
   * @throws {EventsError} `InvalidEvent` with every fault of every event; `ChannelClosed`
   */
  publishBatch(drafts: readonly Draft<S>[]): string[];

  /** The event of an entry, typed; parsed anew at each call, so it is the caller's own. */
  parse(entry: Entry): PublishedEvent<S>;
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

/** Where a reader starts: a position, and whether it comes from a channel that is gone. */
export interface Start {
  /** The last position not to be read. */
  readonly position: number;
  /** Whether the cursor is of another epoch, so that nobody knows how much its holder misses. */
  readonly unknownEpoch: boolean;
}

/**
 * Finds where a reader starts.
 *
 * @param since a cursor, `"earliest"` or `"latest"`
 * @throws {EventsError} `InvalidCursor` where it is malformed or ahead of the channel
 */
export function locate(channel: EventLog, since: string): Start {
  if (since === "latest") return { position: channel.last, unknownEpoch: false };
  const beforeFirst = channel.first - 1;
  if (since === "earliest") return { position: beforeFirst, unknownEpoch: false };
  const { epoch, position } = parseCursor(since);
  if (epoch !== channel.epoch) return { position: beforeFirst, unknownEpoch: true };
  if (position > channel.last) {
    throw new EventsError(
      "InvalidCursor",
      `the cursor "${since}" is ahead of the channel, which has reached "${
        formatCursor(epoch, channel.last)
      }"`,
    );
  }
  return { position, unknownEpoch: false };
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
 * import { createChannel, defineEvents } from "./mod.ts";
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
): Channel<S> {
  const maxEvents = limit("history.events", options.history?.events ?? 100_000, 1);
  const maxBytes = limit("history.bytes", options.history?.bytes ?? 32 * 1024 * 1024, 1024);
  const epoch = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  const log = createHistory(maxEvents, maxBytes);
  const readers = new Set<() => void>();
  const published = new Map(catalogue.types.map((type) => [type, 0]));
  let closed = false;
  let waking = false;

  /** One draft as the text of its payload, checked, or its faults. Looks at the draft once: it may have getters. */
  function prepare(
    { type, event }: { type: string; event?: unknown },
    index: number,
  ): { type: string; payload: string } | { faults: Fault[] } {
    if (event === undefined) {
      const faults = checkEvent(catalogue, type, undefined, index);
      return faults.length > 0 ? { faults } : { type, payload: "" };
    }
    const json = toJson(event);
    if ("fault" in json) {
      const { path, message } = json.fault;
      return { faults: [{ index, path: path === "" ? "event" : `event.${path}`, message }] };
    }
    // What is checked is what the consumers will parse, so nothing (a Date, a Map, a getter) can be one thing here
    // and another there.
    const faults = checkEvent(catalogue, type, JSON.parse(json.text), index);
    const bytes = faults.length > 0 ? 0 : utf8Length(json.text);
    if (bytes > maxBytes - ENVELOPE_BYTES) {
      faults.push({
        index,
        path: "event",
        message: `${bytes} bytes are more than a history of ${maxBytes} can hold`,
      });
    }
    return faults.length > 0 ? { faults } : { type, payload: `"event":${json.text},` };
  }

  function append(type: string, payload: string, time: string): string {
    const position = log.last + 1;
    const id = formatCursor(epoch, position);
    const json = `{"type":"${type}",${payload}"id":"${id}","time":"${time}"}`;
    log.push({ position, id, type, json, bytes: utf8Length(json) });
    published.set(type, published.get(type)! + 1);
    return id;
  }

  function publishBatch(drafts: readonly { type: string; event?: unknown }[]): string[] {
    const prepared = drafts.map(prepare);
    if (closed) throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
    const faults = prepared.flatMap((one) => "faults" in one ? one.faults : []);
    if (faults.length > 0) throw refusal(faults, drafts);
    const time = new Date().toISOString();
    const ids = prepared.flatMap((one) => "faults" in one ? [] : [append(one.type, one.payload, time)]);
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

  const channel: Channel<S> = {
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
    batches: (since = "latest") => {
      const start = locate(channel, since);
      return iterate(channel, start, (reader) => readers.add(reader), (reader) => readers.delete(reader));
    },
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

/** What stands around a payload in its dictionary is never longer: type, id and time with their keys. */
const ENVELOPE_BYTES = 256;

function limit(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}`);
  }
  return value;
}
