/**
 * The stream monitor: keeps the replica up to date, and reads events that left its window.
 *
 * @module
 */
import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { NatsConnection, QueuedIterator, Status } from "@nats-io/nats-core";
import type { EntryWriter } from "../channel/entry_writer.ts";
import { oncePerTurn } from "../channel/wakeups.ts";
import { type ConsumerLoop, startConsumerLoop } from "./consumer_loop.ts";
import { createFetcher, type Fetcher } from "./fetcher.ts";
import { entryOf } from "./message.ts";
import { createPages, type Pages } from "../channel/pages.ts";
import { createPositionWaiters } from "./position_waiters.ts";
import { isForbidden, type Publisher } from "./publisher.ts";
import { createReplica, type Replica } from "./replica.ts";
import { createRequests } from "./requests.ts";
import { assignNewEpoch, isMissing, openStream, type StreamPlace } from "./stream.ts";
import type { Subjects } from "./subject.ts";

/** The events of a page: the fewer pages, the less often the stream waits for the next request. */
const PAGE_EVENTS = 4096;

/** Options of {@linkcode StreamMonitor}. */
export interface StreamMonitorOptions {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly place: StreamPlace;
  /** The state of the stream when it was opened. */
  readonly info: StreamInfo;
  readonly subjects: Subjects;
  readonly writeEntry: EntryWriter;
  readonly publisher: Publisher;
  /** Maximum number of events, and of their bytes, in the window. */
  readonly limits: { readonly maxEvents: number; readonly maxBytes: number };
  /** Called when the last position or the epoch has changed, and when the monitor is closed. */
  onNews(): void;
  /** Called with errors that no pending call could report. */
  onProblem(problem: Error): void;
}

/** The interval of requests for the state of the stream: they show dropped events and another epoch. */
const REFRESH_INTERVAL_MS = 5000;
/** Number of bytes that the consumer requests ahead. */
const AHEAD_BYTES = 2 * 1024 * 1024;

/** Follows a stream until it is closed. */
export class StreamMonitor {
  readonly replica: Replica;
  readonly pages: Pages;
  readonly #options: StreamMonitorOptions;
  readonly #fetcher: Fetcher;
  readonly #consumerLoop: ConsumerLoop;
  readonly #requests = createRequests();
  readonly #positionWaiters = createPositionWaiters();
  readonly #releaseWaiters = oncePerTurn(() => this.#positionWaiters.arrived(this.replica.window.last));
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #status: QueuedIterator<Status>;
  /** Aborts the reads of an epoch when the next one begins, or the monitor is closed. */
  #epochAbort = new AbortController();
  #refreshing: Promise<StreamInfo> | undefined;
  #assigning: Promise<StreamInfo> | undefined;
  /** Whether the stream did not answer the last request for its state. */
  #isSilent = false;
  #isClosed = false;

  /** Starts to follow the stream. */
  constructor(options: StreamMonitorOptions) {
    this.#options = options;
    this.replica = this.#createReplica();
    this.#fetcher = this.#createFetcher();
    this.pages = createPages({
      pageEvents: PAGE_EVENTS,
      fetch: (after, last) => this.#fetcher.fetch(after, last, this.#epochAbort.signal),
      refresh: async () => void await this.refresh().catch(() => {}),
    });
    this.#timer = setInterval(
      () => void (this.#requests.isConnected && this.refresh().catch(() => {})),
      REFRESH_INTERVAL_MS,
    );
    this.#status = options.connection.status() as QueuedIterator<Status>;
    void this.#watchConnection();
    this.#consumerLoop = this.#startConsumerLoop();
  }

  /** Whether the connection is up, as far as this process knows. */
  get isConnected(): boolean {
    return this.#requests.isConnected;
  }

  /** Whether the stream did not answer the last request for its state. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Describes why events cannot be received or published at the moment; `undefined` if they can. */
  get problem(): string | undefined {
    if (this.#isClosed) return undefined;
    if (this.#options.connection.isClosed()) return "the connection to NATS was closed";
    if (!this.#requests.isConnected) return "the connection to NATS is down";
    if (this.#isSilent) return "the stream does not answer";
    return this.#options.publisher.problem ?? this.#consumerLoop.problem ?? this.#fetcher.problem;
  }

  /** Requests the state of the stream; concurrent calls share one request. */
  refresh(): Promise<StreamInfo> {
    const { manager, place, publisher } = this.#options;
    return this.#refreshing ??= this.#requestInfo(() => manager.streams.info(place.name)).then((info) => {
      this.#isSilent = false;
      publisher.answered();
      return info;
    }, (error) => {
      if (isMissing(error)) this.#consumerLoop.restart();
      // A request that ended with the connection says nothing about the stream.
      else this.#isSilent = this.#requests.isConnected;
      throw error;
    }).finally(() => this.#refreshing = undefined);
  }

  /** Waits at most this number of milliseconds until this process has received the position; `false` if it has not. */
  reaches(position: number, ms: number): boolean | Promise<boolean> {
    if (this.replica.window.last >= position) return true;
    return !this.#isClosed && this.#positionWaiters.wait(position, ms);
  }

  /** Stops following the stream, and ends all pending waits. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#status.stop();
    this.#consumerLoop.stop();
    this.#epochAbort.abort();
    this.#fetcher.dropConsumers();
    this.pages.clear();
    this.#positionWaiters.end();
    this.#reportNews();
  }

  #createReplica(): Replica {
    const { info, limits, place: { name }, subjects, writeEntry } = this.#options;
    return createReplica(info, {
      ...limits,
      entryOf: (message, epoch) => entryOf(message, epoch, subjects, writeEntry),
      onNews: () => this.#reportNews(),
      onReset: (reason) => {
        this.pages.clear();
        this.#epochAbort.abort();
        this.#epochAbort = new AbortController();
        this.#fetcher.dropConsumers();
        this.#positionWaiters.end();
        this.#consumerLoop.restart();
        this.#reportNews();
        this.#report(`the stream ${name} ${reason}: its readers receive events_lost`);
      },
      // If it fails, the next refresh assigns the epoch.
      onTruncated: () => void this.refresh().catch(() => {}),
      onBehind: () => this.#consumerLoop.restart(),
      onInvalidMessage: ({ seq, subject }) =>
        this.#report(`message ${seq} of the stream ${name} is not an event: ${subject}`),
    });
  }

  #createFetcher(): Fetcher {
    const { client, manager, info: { state }, place: { name }, subjects, writeEntry } = this.#options;
    return createFetcher(client, manager, {
      stream: name,
      request: this.#requests.request,
      bytesEach: state.bytes / Math.max(1, state.messages),
      entryOf: (message) => entryOf(message, this.replica.epoch, subjects, writeEntry),
    });
  }

  #startConsumerLoop(): ConsumerLoop {
    const { client, manager, place } = this.#options;
    return startConsumerLoop(client, {
      stream: place.name,
      request: this.#requests.request,
      prepare: async () => void await this.#requestInfo(() => openStream(manager, place)),
      next: () => this.replica.next,
      ahead: () => this.#fetcher.countIn(AHEAD_BYTES),
      onMessage: (message) => {
        if (this.#isClosed) return;
        this.#fetcher.addSample(message.data.length);
        this.replica.take(message);
      },
    });
  }

  /** Reports a problem. A listener that throws must not break off what is being applied. */
  #report(message: string): void {
    try {
      this.#options.onProblem(new Error(message));
    } catch (error) {
      console.error(error);
    }
  }

  #reportNews(): void {
    this.#options.onNews();
    if (this.#positionWaiters.size > 0) this.#releaseWaiters();
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#status) {
      if (type === "disconnect" || type === "close") {
        this.#requests.disconnected();
        this.#options.publisher.disconnected();
        this.#fetcher.disconnected();
      } else if (type === "reconnect") {
        this.#requests.reconnected();
        this.#consumerLoop.restart();
      }
    }
  }

  /** Applies the response to a request for the state of the stream. Assigns another epoch if it lost acknowledged events. */
  async #requestInfo(request: () => Promise<StreamInfo>): Promise<StreamInfo> {
    const before = this.replica.cursor;
    const info = await this.#requests.request(request);
    if (!this.#isClosed) this.replica.applyInfo(info, before);
    if (!this.replica.isTruncated || this.#isClosed) return info;
    return await (this.#assigning ??= this.#assignEpoch(info).finally(() => this.#assigning = undefined));
  }

  /** Assigns another epoch to a truncated stream, for all servers; if that is rejected, for this one. */
  async #assignEpoch(info: StreamInfo): Promise<StreamInfo> {
    const { replica } = this;
    const { manager, place: { name } } = this.#options;
    const before = replica.cursor;
    try {
      const assigned = await this.#requests.request(() => assignNewEpoch(manager, name, replica.streamEpoch));
      if (!this.#isClosed) replica.applyInfo(assigned, before);
      return assigned;
    } catch (error) {
      // The server rejects an invalid change with 500, and one that it may accept later with 503.
      const isRejected = error instanceof JetStreamApiError && error.apiError().code !== 503 ||
        isForbidden(error);
      if (this.#isClosed || isMissing(error) || !isRejected) throw error;
      if (replica.isTruncated) replica.useLocalEpoch(info);
      return info;
    }
  }
}
