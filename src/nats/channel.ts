/**
 * The channel on a stream of NATS JetStream, shared by as many processes as there are.
 *
 * @module
 */
import { jetstream, JetStreamApiError, jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection, QueuedIterator, Status } from "@nats-io/nats-core";
import { iterate } from "../channel/iterator.ts";
import type { Catalogue, Draft, PayloadArguments, PublishableType, Schemas } from "../events/catalogue.ts";
import { type Batch, type Channel, locate, type Start } from "../channel/channel.ts";
import { encodeEvents, type UncheckedDraft } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import { formatCursor, parseCursor } from "../events/event.ts";
import { utf8Length } from "../events/json.ts";
import { checkLimit, type HistoryLimits, historyLimits } from "../channel/limits.ts";
import { createPublishedCounts } from "../channel/published_counts.ts";
import { createWakeups, oncePerTurn } from "../channel/wakeups.ts";
import { createPositionWaiters } from "./position_waiters.ts";
import { createRequests } from "./requests.ts";
import { createReplica } from "./replica.ts";
import { createFetcher } from "./fetcher.ts";
import { startConsumerLoop } from "./consumer_loop.ts";
import { entryOf, messageOf } from "./message.ts";
import { createPages } from "./pages.ts";
import { createPublisher, isForbidden, unavailable, unconfirmed } from "./publisher.ts";
import { isMissing, markAnew, openStream, type StreamLimits, type StreamPlace } from "./stream.ts";
import { createSubjects } from "./subject.ts";

/** Options of {@linkcode natsChannel}. */
export interface NatsChannelOptions {
  /** The name of the stream; default `EVENTS`. */
  readonly stream?: string;
  /** What its subjects begin with; default the stream's name in lower case, so `events.order_placed`. */
  readonly prefix?: string;
  /** What a stream is to keep that is not there yet; one that is there is used as it is. */
  readonly create?: StreamLimits;
  /** How much of it this process holds for those who resume or read slowly; what is older is read from the stream. */
  readonly history?: HistoryLimits;
  /** Called with errors that no pending call could report; default: `console.error`. */
  readonly onProblem?: (problem: Error) => void;
}

/** A channel whose events are kept by a stream of NATS JetStream, for all who share it. */
export interface NatsChannel<S extends Schemas = Schemas> extends Channel<S> {
  /** Publishes one event; resolves once the stream has stored it: see {@linkcode Channel.publish}. */
  publish<T extends PublishableType<S>>(type: T, ...payload: PayloadArguments<S, T>): Promise<string>;
  /**
   * Publishes several events in a row; resolves once the stream has stored them: see {@linkcode Channel.publishBatch}.
   * The stream takes what has the same key but once, for as long as its `duplicate_window` says.
   *
   * @throws {RangeError} where the key has line breaks
   */
  publishBatch(drafts: readonly Draft<S>[], key?: string): Promise<string[]>;
}

/** How long a reader waits until this process reaches its cursor, in milliseconds. */
const CATCH_UP_TIMEOUT_MS = 5000;
/** How long a publisher waits until this process has received its events as well, in milliseconds. */
const READ_YOUR_WRITES_TIMEOUT_MS = 1000;
/** The stream is asked so often how far it has lost its beginning, and whether it still is the same, in milliseconds. */
const REFRESH_INTERVAL_MS = 5000;
/** The stream is asked for so many bytes ahead of what has come. */
const AHEAD_BYTES = 2 * 1024 * 1024;
/** What stands around a key in the header of a message is never longer: `Nats-Msg-Id` and the index of the event. */
const HEADER_BYTES = 64;

/**
 * Makes a channel on a stream of NATS JetStream. Processes that name the same stream have one channel between them:
 * all deliver what is published on any of them, and a cursor of one is valid at the others.
 *
 * The connection stays the caller's: whatever its transport, and to be closed after the channel. It should reconnect
 * for ever (`maxReconnectAttempts: -1`): while it is away, streams go on with what this process holds, and publishing
 * is refused at once.
 *
 * @param connection a connection to a server with JetStream, 2.9 or later
 * @param catalogue the event types it carries
 * @throws {EventsError} `StreamMismatch` where the stream is there and cannot hold a channel; `ChannelUnavailable` where
 *   it cannot be opened
 * @throws {RangeError} where a limit is not a whole number or too small, or a name cannot be one in NATS
 *
 * @example
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 * import { natsChannel } from "events-endpoint/nats";
 *
 * const connection = await connect({ servers: "nats://127.0.0.1:4222", maxReconnectAttempts: -1 });
 * const channel = await natsChannel(connection, defineEvents({ tick: v.object({ n: v.number() }) }));
 * await channel.publish("tick", { n: 1 });
 * channel.close();
 * await connection.close();
 * ```
 */
export async function natsChannel<S extends Schemas>(
  connection: NatsConnection,
  catalogue: Catalogue<S>,
  options: NatsChannelOptions = {},
): Promise<NatsChannel<S>> {
  const { stream = "EVENTS", prefix = stream.toLowerCase(), create = {}, onProblem = console.error } =
    options;
  const { maxEvents, maxBytes } = historyLimits(options.history);
  const place = placeOf(stream, prefix, create);
  const subjects = createSubjects(prefix, catalogue.types);
  const client = jetstream(connection);
  const requests = createRequests();
  const publisher = createPublisher(client, stream);
  const wakeups = createWakeups();
  const published = createPublishedCounts(catalogue.types);
  const positionWaiters = createPositionWaiters();
  /** Aborted when what was asked of the stream is wanted no more. */
  let epochAbort = new AbortController();
  let closed = false;
  let isSilent = false;

  const manager = await jetstreamManager(connection, { checkAPI: false });
  let info: StreamInfo;
  try {
    info = await openStream(manager, place);
  } catch (error) {
    if (error instanceof EventsError) throw error;
    const { message } = error as Error;
    throw new EventsError("ChannelUnavailable", `cannot open stream ${stream}: ${message}`, {
      cause: error,
    });
  }
  const replica = createReplica(info, {
    maxEvents,
    maxBytes,
    entryOf: (message, epoch) => entryOf(message, epoch, subjects),
    onNews: wake,
    onAnew: (why) => {
      pages.clear();
      epochAbort.abort();
      epochAbort = new AbortController();
      positionWaiters.end();
      consumerLoop.restart();
      wake();
      onProblem(new Error(`the stream ${stream} ${why}: its readers receive events_lost`));
    },
    onLostEnd: () => void refresh().catch(() => {}), // Then the next one will tell.
    onBehind: () => consumerLoop.restart(),
    onInvalidMessage: ({ seq, subject }) =>
      onProblem(new Error(`message ${seq} of the stream ${stream} is no event: ${subject}`)),
  });
  const fetcher = createFetcher(client, manager, {
    stream,
    ask: requests.ask,
    bytesEach: info.state.bytes / Math.max(1, info.state.messages),
    entryOf: (message) => entryOf(message, replica.epoch, subjects),
  });
  const pages = createPages({
    fetch: (after, last) => fetcher.fetch(after, last, epochAbort.signal),
    refresh: async () => void await refresh().catch(() => {}),
  });
  const releaseWaiters = oncePerTurn(() => positionWaiters.arrived(replica.window.last));
  let refreshing: Promise<StreamInfo> | undefined;
  let renewing: Promise<StreamInfo> | undefined;
  const timer = setInterval(
    () => void (requests.isConnected && refresh().catch(() => {})),
    REFRESH_INTERVAL_MS,
  );
  const status = connection.status() as QueuedIterator<Status>;
  watchConnection();
  const consumerLoop = startConsumerLoop(client, {
    stream,
    ask: requests.ask,
    prepare: async () => void await requestInfo(() => openStream(manager, place)),
    next: () => replica.next,
    ahead: () => fetcher.countIn(AHEAD_BYTES),
    onMessage: (message) => {
      if (closed) return;
      fetcher.saw(message.data.length);
      replica.take(message);
    },
  });

  /** Requests the state of the stream; concurrent calls share one request. */
  function refresh(): Promise<StreamInfo> {
    return refreshing ??= requestInfo(() => manager.streams.info(stream)).then((info) => {
      isSilent = false;
      publisher.answered();
      return info;
    }, (error) => {
      if (isMissing(error)) consumerLoop.restart();
      else isSilent = requests.isConnected; // A request that broke with the connection says nothing about the stream.
      throw error;
    }).finally(() => refreshing = undefined);
  }

  /** Learns what the stream says of itself, which may be that it has lost its end. */
  async function requestInfo(request: () => Promise<StreamInfo>): Promise<StreamInfo> {
    const before = replica.standing;
    const info = await requests.ask(request);
    if (!closed) replica.applyInfo(info, before);
    if (!replica.hasLostEnd || closed) return info;
    return await (renewing ??= renew(info).finally(() => renewing = undefined));
  }

  /** A stream that has lost its end gets another epoch, for all servers; where that may not be, for this one. */
  async function renew(info: StreamInfo): Promise<StreamInfo> {
    const before = replica.standing;
    try {
      const renewed = await requests.ask(() => markAnew(manager, stream, replica.known));
      if (!closed) replica.applyInfo(renewed, before);
      return renewed;
    } catch (error) {
      // The server rejects an invalid change with 500, and one that can be made later with 503.
      const isRefused = error instanceof JetStreamApiError && error.apiError().code !== 503 ||
        isForbidden(error);
      if (closed || isMissing(error) || !isRefused) throw error;
      if (replica.hasLostEnd) replica.beginAlone(info);
      return info;
    }
  }

  function wake(): void {
    wakeups.wake();
    if (positionWaiters.size > 0) releaseWaiters();
  }

  /** Whether the position is reached within so many milliseconds. */
  async function reaches(position: number, ms: number): Promise<boolean> {
    return replica.window.last >= position || (!closed && await positionWaiters.wait(position, ms));
  }

  async function watchConnection(): Promise<void> {
    for await (const { type } of status) {
      if (type === "disconnect" || type === "close") {
        requests.disconnected();
        publisher.disconnected();
        fetcher.disconnected();
      } else if (type === "reconnect") {
        requests.reconnected();
        consumerLoop.restart();
      }
    }
  }

  function problem(): string | undefined {
    if (closed) return undefined;
    if (connection.isClosed()) return "the connection to NATS was closed";
    if (!requests.isConnected) return "the connection to NATS is down";
    if (isSilent) return "the stream does not answer";
    return publisher.problem ?? consumerLoop.problem ?? fetcher.problem;
  }

  function checkOpen(): void {
    if (closed) throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
    if (connection.isClosed()) throw unavailable("the connection to NATS was closed");
    // The client would queue the event and send it after its publisher has long had an error.
    if (!requests.isConnected) throw unavailable("the connection to NATS is down");
  }

  async function publishBatch(drafts: readonly UncheckedDraft[], key?: string): Promise<string[]> {
    if (closed) checkOpen();
    if (key !== undefined && /[\r\n]/.test(key)) throw new RangeError("a key must not have line breaks");
    // The server counts the header with the key.
    const room = key === undefined ? 0 : HEADER_BYTES + utf8Length(key);
    const most = Math.min(
      maxBytes,
      Math.min(connection.info?.max_payload ?? Infinity, replica.largest) - room,
    );
    const prepared = encodeEvents(catalogue, drafts, most);
    checkOpen();
    const ofEpoch = replica.epoch;
    const { last } = replica.window;
    const stored = await publisher.publish(prepared.map((draft, index) => ({
      subject: subjects.subjectOf(draft.type),
      data: messageOf(draft),
      ...(key !== undefined && { id: `${key}:${index}` }),
    })));
    // A stream that was made anew counts from the beginning: what is not after all that was told may be another's.
    if (replica.epoch === ofEpoch && stored.some(({ seq }) => seq <= last)) {
      if (stored.some(({ seq, duplicate }) => seq <= last && !duplicate)) replica.markTruncated();
      await refresh().catch(({ message }) => {
        throw unconfirmed(message, stored.length);
      });
    }
    // Later numbers may be another publisher's, too, until this process has received them.
    if (replica.epoch === ofEpoch) {
      await reaches(stored.reduce((most, { seq }) => Math.max(most, seq), 0), READ_YOUR_WRITES_TIMEOUT_MS);
    }
    if (replica.epoch !== ofEpoch) throw unconfirmed("the stream was made anew", stored.length);
    for (const [index, { type }] of prepared.entries()) {
      if (!stored[index]!.duplicate) published.count(type);
    }
    return stored.map(({ seq }) => formatCursor(ofEpoch, seq));
  }

  async function locateEarliest(): Promise<Start> {
    // If the stream does not answer, the known state is used: events deleted since are reported as lost.
    if (!isSilent) await refresh().catch(() => {});
    return locate(channel, "earliest");
  }

  /** Where a cursor is that is not in the window: what has become of the stream has to be asked first. */
  async function locateElsewhere(since: string): Promise<Start> {
    const cursor = parseCursor(since);
    let last: number;
    try {
      last = (await refresh()).state.last_seq;
      // A shared request may have been answered before that event was stored.
      if (cursor.epoch !== replica.epoch || cursor.position > last) last = (await refresh()).state.last_seq;
    } catch (error) {
      throw new EventsError(
        "ChannelUnavailable",
        `the stream ${stream} does not say whether it has "${since}"`,
        {
          cause: error,
        },
      );
    }
    const isAhead = cursor.epoch === replica.epoch && cursor.position > replica.window.last &&
      cursor.position <= last;
    if (!isAhead || await reaches(cursor.position, CATCH_UP_TIMEOUT_MS)) return locate(channel, since);
    throw new EventsError("ChannelUnavailable", `this server has not come as far as "${since}" yet`);
  }

  const channel: NatsChannel<S> = {
    catalogue,
    get epoch() {
      return replica.epoch;
    },
    get first() {
      return replica.first;
    },
    get last() {
      return replica.window.last;
    },
    get closed() {
      return closed;
    },
    get problem() {
      return problem();
    },
    read: (position, size): Batch | Promise<Batch> => {
      if (position < replica.first - 1) return lostUntil(replica.first - 1, position);
      if (position >= replica.window.first - 1) return replica.window.read(position, size);
      if (closed) return { entries: [] };
      const batch = pages.read(position, replica.window.last, size);
      if (!(batch instanceof Promise)) return batch;
      // While it was fetched more may have gone than a page tells.
      return batch.then((batch) =>
        position < replica.first - 1 ? lostUntil(replica.first - 1, position) : batch
      );
    },
    locate: (since) => {
      if (since === "latest") return locate(channel, since);
      if (since === "earliest") return locateEarliest();
      const cursor = parseCursor(since);
      const isHeld = cursor.epoch === replica.epoch && cursor.position >= replica.window.first - 1 &&
        cursor.position <= replica.window.last;
      return isHeld ? locate(channel, since) : locateElsewhere(since);
    },
    batches: (since = "latest") => iterate(channel, since, wakeups.listen, wakeups.leave),
    publish: async (type, ...[payload]) => (await publishBatch([{ type, event: payload }]))[0]!,
    publishBatch,
    parse: ({ json }) => JSON.parse(json),
    close: () => {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      status.stop();
      consumerLoop.stop();
      epochAbort.abort();
      positionWaiters.end();
      wake();
    },
    stats: () => ({
      events: replica.window.last - replica.window.first + 1,
      bytes: replica.window.bytes,
      published: published.read(),
      readers: wakeups.size,
    }),
  };
  return channel;
}

function placeOf(name: string, prefix: string, create: StreamLimits): StreamPlace {
  const { maxAge = 7 * 24 * 3600, maxBytes = 1024 ** 3, replicas = 1 } = create;
  if (!/^[\w-]+$/.test(name)) {
    throw new RangeError(`stream must be letters, digits, _ and -, not ${JSON.stringify(name)}`);
  }
  if (!/^[\w-]+(?:\.[\w-]+)*$/.test(prefix)) {
    throw new RangeError(
      `prefix must be letters, digits, _ and -, with dots between, not ${JSON.stringify(prefix)}`,
    );
  }
  const limits = {
    maxAge: checkLimit("create.maxAge", maxAge, 1),
    maxBytes: checkLimit("create.maxBytes", maxBytes, 1024),
    replicas: checkLimit("create.replicas", replicas, 1),
  };
  return { name, prefix, limits };
}

function lostUntil(last: number, position: number): Batch {
  return { lost: { reason: "slow_consumer", count: last - position }, entries: [] };
}
