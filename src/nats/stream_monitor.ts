/**
 * The stream monitor: keeps what this process knows of the stream up to date, and reads what it does not hold.
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
import { oncePerTurn } from "../channel/wakeups.ts";
import { type ConsumerLoop, startConsumerLoop } from "./consumer_loop.ts";
import { createFetcher, type Fetcher } from "./fetcher.ts";
import { entryOf } from "./message.ts";
import { createPages, type Pages } from "./pages.ts";
import { createPositionWaiters } from "./position_waiters.ts";
import { isForbidden, type Publisher } from "./publisher.ts";
import { createReplica, type Replica } from "./replica.ts";
import { createRequests } from "./requests.ts";
import { assignNewEpoch, isMissing, openStream, type StreamPlace } from "./stream.ts";
import type { Subjects } from "./subject.ts";

/** Options of {@linkcode StreamMonitor}. */
export interface StreamMonitorOptions {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly place: StreamPlace;
  /** The state of the stream when it was opened. */
  readonly info: StreamInfo;
  readonly subjects: Subjects;
  readonly publisher: Publisher;
  /** The most events and bytes that the replica holds. */
  readonly limits: { readonly maxEvents: number; readonly maxBytes: number };
  /** Called when there is more than before, and when the monitor is closed. */
  onNews(): void;
  /** Called with errors that no caller waits for. */
  onProblem(problem: Error): void;
}

/** The interval at which the stream is asked how far it has lost its beginning, and whether it is still the same. */
const REFRESH_INTERVAL_MS = 5000;
/** Number of bytes that are requested ahead of what has arrived. */
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
  /** Aborted when what was requested of the stream is not wanted any more. */
  #epochAbort = new AbortController();
  #refreshing: Promise<StreamInfo> | undefined;
  #renewing: Promise<StreamInfo> | undefined;
  /** Whether the stream left the last request without an answer. */
  #isSilent = false;
  #isClosed = false;

  /** Starts to follow the stream. */
  constructor(options: StreamMonitorOptions) {
    this.#options = options;
    this.replica = this.#createReplica();
    this.#fetcher = this.#createFetcher();
    this.pages = createPages({
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

  /** Whether the connection is up, as far as is known. */
  get isConnected(): boolean {
    return this.#requests.isConnected;
  }

  /** Whether the stream left the last request without an answer. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** What keeps events from being received or published at the moment, in words; `undefined` if nothing does. */
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
      else this.#isSilent = this.#requests.isConnected; // A request that broke with the connection says nothing about the stream.
      throw error;
    }).finally(() => this.#refreshing = undefined);
  }

  /** Whether this process reaches the position within this number of milliseconds. */
  async reaches(position: number, ms: number): Promise<boolean> {
    if (this.replica.window.last >= position) return true;
    return !this.#isClosed && await this.#positionWaiters.wait(position, ms);
  }

  /** Stops following, and ends every wait. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#status.stop();
    this.#consumerLoop.stop();
    this.#epochAbort.abort();
    this.#positionWaiters.end();
    this.#reportNews();
  }

  #createReplica(): Replica {
    const { info, limits, place: { name }, subjects, onProblem } = this.#options;
    return createReplica(info, {
      ...limits,
      entryOf: (message, epoch) => entryOf(message, epoch, subjects),
      onNews: () => this.#reportNews(),
      onAnew: (why) => {
        this.pages.clear();
        this.#epochAbort.abort();
        this.#epochAbort = new AbortController();
        this.#positionWaiters.end();
        this.#consumerLoop.restart();
        this.#reportNews();
        onProblem(new Error(`the stream ${name} ${why}: its readers receive events_lost`));
      },
      onLostEnd: () => void this.refresh().catch(() => {}), // Then the next refresh shows it.
      onBehind: () => this.#consumerLoop.restart(),
      onInvalidMessage: ({ seq, subject }) =>
        onProblem(new Error(`message ${seq} of the stream ${name} is no event: ${subject}`)),
    });
  }

  #createFetcher(): Fetcher {
    const { client, manager, info: { state }, place: { name }, subjects } = this.#options;
    return createFetcher(client, manager, {
      stream: name,
      ask: this.#requests.ask,
      bytesEach: state.bytes / Math.max(1, state.messages),
      entryOf: (message) => entryOf(message, this.replica.epoch, subjects),
    });
  }

  #startConsumerLoop(): ConsumerLoop {
    const { client, manager, place } = this.#options;
    return startConsumerLoop(client, {
      stream: place.name,
      ask: this.#requests.ask,
      prepare: async () => void await this.#requestInfo(() => openStream(manager, place)),
      next: () => this.replica.next,
      ahead: () => this.#fetcher.countIn(AHEAD_BYTES),
      onMessage: (message) => {
        if (this.#isClosed) return;
        this.#fetcher.saw(message.data.length);
        this.replica.take(message);
      },
    });
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

  /** Applies the answer to a request for the state of the stream, which may show that the stream has lost its end. */
  async #requestInfo(request: () => Promise<StreamInfo>): Promise<StreamInfo> {
    const before = this.replica.standing;
    const info = await this.#requests.ask(request);
    if (!this.#isClosed) this.replica.applyInfo(info, before);
    if (!this.replica.hasLostEnd || this.#isClosed) return info;
    return await (this.#renewing ??= this.#renew(info).finally(() => this.#renewing = undefined));
  }

  /** Gives a stream that has lost its end another epoch, for all servers; if that is not allowed, for this one. */
  async #renew(info: StreamInfo): Promise<StreamInfo> {
    const { replica } = this;
    const { manager, place: { name } } = this.#options;
    const before = replica.standing;
    try {
      const renewed = await this.#requests.ask(() => assignNewEpoch(manager, name, replica.known));
      if (!this.#isClosed) replica.applyInfo(renewed, before);
      return renewed;
    } catch (error) {
      // The server rejects an invalid change with 500, and one that can be made later with 503.
      const isRejected = error instanceof JetStreamApiError && error.apiError().code !== 503 ||
        isForbidden(error);
      if (this.#isClosed || isMissing(error) || !isRejected) throw error;
      if (replica.hasLostEnd) replica.beginAlone(info);
      return info;
    }
  }
}
