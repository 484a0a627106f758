/**
 * The channel on a stream of NATS JetStream, shared by all processes that use the stream.
 *
 * @module
 */
import { jetstream, type JetStreamManager, jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import {
  type Batch,
  type Channel,
  type ChannelStats,
  type Entry,
  type ErasedEvents,
  locate,
  type Start,
} from "../channel/channel.ts";
import { subjectToErase } from "../channel/erased.ts";
import { iterate } from "../channel/iterator.ts";
import { checkLimit, type HistoryLimits, historyLimits } from "../channel/limits.ts";
import { type HeldLog, readHeld } from "../channel/pages.ts";
import { DEFAULT_BYTES, type Retention, retentionLimits } from "../channel/retention.ts";
import { createEntryWriter } from "../channel/entry_writer.ts";
import { createPublishedCounts } from "../channel/published_counts.ts";
import { createWakeups } from "../channel/wakeups.ts";
import type {
  Catalogue,
  Draft,
  PayloadArguments,
  PublishableType,
  PublishedEvent,
  Schemas,
} from "../events/catalogue.ts";
import {
  CATALOGUE,
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  NUMBER,
  OBJECT,
  STRING,
} from "../events/arguments.ts";
import { draftOf } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import { parseCursor } from "../events/cursor.ts";
import { createPublish, type Publish } from "./publication.ts";
import { createPublisher } from "./publisher.ts";
import type { Replica } from "./replica.ts";
import { StreamMonitor, type StreamMonitorOptions } from "./stream_monitor.ts";
import { openStream, storedSubjects, type StreamPlace } from "./stream.ts";
import { createSubjects } from "./subject.ts";

/** Options of `natsChannel`. */
export interface NatsChannelOptions {
  /** The name of the stream; default `EVENTS`. */
  readonly stream?: string;
  /** The prefix of its subjects; default the stream's name in lower case, as in `events.order_placed`. */
  readonly prefix?: string;
  /** What the stream keeps if it has to be created; default 1 GiB. An existing stream is used as it is. */
  readonly keep?: Retention;
  /** Number of servers of the cluster that store the stream if it has to be created; default 1. */
  readonly replicas?: number;
  /** Limits of the newest events that this process holds; older ones are read from the stream. */
  readonly history?: HistoryLimits;
  /** Called with errors that no pending call can report; default `console.error`. */
  readonly onProblem?: (problem: Error) => void;
}

const OPTIONS: Readonly<Record<keyof NatsChannelOptions, Expected>> = {
  stream: STRING,
  prefix: STRING,
  keep: OBJECT,
  replicas: NUMBER,
  history: OBJECT,
  onProblem: FUNCTION,
};

/** A channel whose events are stored in a stream of NATS JetStream, which several processes can share. */
export interface NatsChannel<S extends Schemas = Schemas> extends Channel<S> {
  /** Publishes one event; resolves once the stream has stored it: see {@linkcode Channel.publish}. */
  publish<T extends PublishableType<S>>(type: T, ...payload: PayloadArguments<S, T>): Promise<string>;
  /**
   * Publishes several events in a row; resolves once the stream has stored them: see {@linkcode Channel.publishBatch}.
   * The stream stores events with the same key only once within its `duplicate_window`.
   *
   * @throws {RangeError} if the key has line breaks
   */
  publishBatch(drafts: readonly Draft<S>[], key?: string): Promise<string[]>;
  /** Always rejects with `EraseNotSupported`: other processes hold the events too. */
  erase(events: ErasedEvents): Promise<number>;
}

/** How long `locate` waits until this process has received the cursor's event. */
const CATCH_UP_TIMEOUT_MS = 5000;
/** A connection: what `jetstream()` and the channel call. */
const CONNECTION: Expected = {
  text: "a connection to NATS, as connect() of @nats-io/transport-node resolves to",
  accepts: (value) => {
    const { request, publish, isClosed } = (value ?? {}) as Record<string, unknown>;
    return [request, publish, isClosed].every(FUNCTION.accepts);
  },
};

/** Does what `natsChannel` does: this module needs the packages of NATS, and is loaded on demand. */
export async function openChannel<S extends Schemas>(
  connection: NatsConnection,
  catalogue: Catalogue<S>,
  options: NatsChannelOptions,
): Promise<NatsChannel<S>> {
  checkArgument("natsChannel: the connection", connection, CONNECTION);
  checkArgument("natsChannel: the catalogue", catalogue, CATALOGUE);
  checkOptions("natsChannel", options, OPTIONS);
  const { stream = "EVENTS", prefix = stream.toLowerCase(), onProblem = console.error } = options;
  const limits = historyLimits(options.history);
  const place = placeOf(stream, prefix, options);
  const subjects = createSubjects(prefix, catalogue.types);
  const client = jetstream(connection);
  const publisher = createPublisher(client, stream);
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const info = await openAt(manager, place);
  const stored = await storedSubjects(manager, place).catch(() => []);
  const storedTypes = stored.flatMap((subject) => subjects.typeOf(subject) ?? []);
  return new StreamChannel(catalogue, storedTypes, {
    connection,
    client,
    manager,
    place,
    info,
    subjects,
    writeEntry: createEntryWriter(catalogue.types),
    publisher,
    limits,
    onProblem,
  });
}

async function openAt(manager: JetStreamManager, place: StreamPlace): Promise<StreamInfo> {
  try {
    return await openStream(manager, place);
  } catch (error) {
    if (error instanceof EventsError) throw error;
    const { message } = error as Error;
    throw new EventsError("ChannelUnavailable", `cannot open stream ${place.name}: ${message}`, {
      cause: error,
    });
  }
}

class StreamChannel<S extends Schemas> implements NatsChannel<S> {
  readonly catalogue: Catalogue<S>;
  readonly storedTypes: readonly string[];
  readonly #options: Omit<StreamMonitorOptions, "onNews">;
  readonly #publish: Publish;
  readonly #monitor: StreamMonitor;
  readonly #replica: Replica;
  readonly #held: HeldLog;
  readonly #wakeups = createWakeups();
  readonly #published: ReturnType<typeof createPublishedCounts>;
  #closed = false;

  constructor(
    catalogue: Catalogue<S>,
    storedTypes: readonly string[],
    options: Omit<StreamMonitorOptions, "onNews">,
  ) {
    this.catalogue = catalogue;
    this.storedTypes = storedTypes;
    this.#options = options;
    this.#published = createPublishedCounts(catalogue.types);
    this.#monitor = new StreamMonitor({ ...options, onNews: this.#wakeups.wake });
    this.#replica = this.#monitor.replica;
    this.#held = heldLogOf(this.#monitor, () => this.#closed);
    this.#publish = createPublish({
      ...options,
      catalogue,
      monitor: this.#monitor,
      isClosed: () => this.#closed,
      count: this.#published.count,
    });
  }

  get epoch(): string {
    return this.#replica.epoch;
  }

  get first(): number {
    return this.#replica.first;
  }

  get last(): number {
    return this.#replica.window.last;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get problem(): string | undefined {
    return this.#monitor.problem;
  }

  read(position: number, maxBytes: number): Batch | Promise<Batch> {
    return readHeld(this.#held, position, maxBytes);
  }

  locate(since: string): Start | Promise<Start> {
    if (since === "latest") return locate(this, since);
    if (since === "earliest") return this.#locateEarliest();
    const cursor = parseCursor(since);
    const { epoch, window } = this.#replica;
    const isHeld = cursor.epoch === epoch && cursor.position >= window.first - 1 &&
      cursor.position <= window.last;
    return isHeld ? locate(this, since) : this.#locateElsewhere(since);
  }

  batches(since: string = "latest"): AsyncIterableIterator<Batch> {
    return iterate(this, since, this.#wakeups.listen, this.#wakeups.leave);
  }

  async publish<T extends PublishableType<S>>(
    type: T,
    ...[payload, options]: PayloadArguments<S, T>
  ): Promise<string> {
    return (await this.#publish([draftOf(type, payload, options)]))[0]!;
  }

  publishBatch(drafts: readonly Draft<S>[], key?: string): Promise<string[]> {
    return this.#publish(drafts, key);
  }

  erase(events: ErasedEvents): Promise<number> {
    subjectToErase(events);
    return Promise.reject(
      new EventsError(
        "EraseNotSupported",
        "a stream of NATS cannot erase events: its other readers would miss them as lost. Give such events a stream of their own with a short maxAge, or keep them in memory or in a file",
      ),
    );
  }

  parse({ json }: Entry): PublishedEvent<S> {
    return JSON.parse(json);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#monitor.close();
  }

  stats(): ChannelStats {
    const { window } = this.#replica;
    return {
      events: window.last - window.first + 1,
      bytes: window.bytes,
      published: this.#published.read(),
      readers: this.#wakeups.size,
    };
  }

  async #locateEarliest(): Promise<Start> {
    // If the stream does not answer, the last known state is used: events dropped since are reported as lost.
    if (!this.#monitor.isSilent) await this.#monitor.refresh().catch(() => {});
    return locate(this, "earliest");
  }

  /** Locates a cursor outside the window, which needs the current state of the stream. */
  async #locateElsewhere(since: string): Promise<Start> {
    const replica = this.#replica;
    const cursor = parseCursor(since);
    let last: number;
    try {
      last = (await this.#monitor.refresh()).state.last_seq;
      // The response to a shared request may be older than the event.
      if (cursor.epoch !== replica.epoch || cursor.position > last) {
        last = (await this.#monitor.refresh()).state.last_seq;
      }
    } catch (cause) {
      const message = `cannot locate "${since}": the stream ${this.#options.place.name} does not answer`;
      throw new EventsError("ChannelUnavailable", message, { cause });
    }
    // A closed channel no longer learns that its stream was replaced, or has lost events: the cursor may have been right.
    const isAhead = cursor.epoch === replica.epoch && cursor.position > replica.window.last &&
      (this.#closed || cursor.position <= last);
    if (!isAhead || await this.#monitor.reaches(cursor.position, CATCH_UP_TIMEOUT_MS)) {
      return locate(this, since);
    }
    throw new EventsError(
      "ChannelUnavailable",
      `this server has not received "${since}" yet: try again later`,
    );
  }
}

/** The log as it is at each moment: a page may arrive after the stream has changed. */
function heldLogOf({ replica, pages }: StreamMonitor, isClosed: () => boolean): HeldLog {
  return {
    pages,
    get first() {
      return replica.first;
    },
    get window() {
      return replica.window;
    },
    get isClosed() {
      return isClosed();
    },
  };
}

/** The least bytes and milliseconds that a stream can keep. */
const LEAST_BYTES = 1024;
const LEAST_AGE_MS = 100;

function placeOf(
  name: string,
  prefix: string,
  { keep, replicas = 1 }: Pick<NatsChannelOptions, "keep" | "replicas">,
): StreamPlace {
  if (!/^[\w-]+$/.test(name)) {
    throw new RangeError(`stream must be letters, digits, _ and -, not ${JSON.stringify(name)}`);
  }
  if (!/^[\w-]+(?:\.[\w-]+)*$/.test(prefix)) {
    throw new RangeError(
      `prefix must be letters, digits, _ and -, with dots between, not ${JSON.stringify(prefix)}`,
    );
  }
  const limits = retentionLimits({ bytes: DEFAULT_BYTES, ...keep }, LEAST_BYTES);
  if (limits.maxAgeMs < LEAST_AGE_MS) {
    throw new RangeError(`keep.age must be at least ${LEAST_AGE_MS} ms on NATS, not ${limits.maxAgeMs} ms`);
  }
  return { name, prefix, keep: limits, replicas: checkLimit("replicas", replicas, 1) };
}
