/**
 * The stream of a store: the position first, then the state, then the events.
 *
 * @module
 */
import { connect } from "../client/connect.ts";
import type { Dictionary } from "../client/frame.ts";
import type { Connection, ConnectOptions, Settings, Status } from "../client/options.ts";
import { delayAfter } from "../client/retry.ts";
import type { Schemas } from "../events/catalogue.ts";
import { abortable, delay, onAbort } from "../events/timing.ts";
import { nextTask } from "./frames.ts";
import type { EventsStatus, EventsStoreOptions, Loaded } from "./options.ts";

/** What a feed reports. */
export interface FeedListener {
  /** The state was loaded: what came before does not count any more. */
  loaded(state: unknown): void;
  event(event: Dictionary): void;
  status(status: EventsStatus, error?: unknown, delaySeconds?: number): void;
}

/** What a feed follows, and how. */
export interface FeedOptions {
  readonly url: string | URL;
  readonly connectOptions: ConnectOptions<Schemas, boolean>;
  readonly load: EventsStoreOptions<unknown, Schemas, boolean>["load"];
  readonly backoff: Settings["backoff"];
}

/** How a connection ended: for good, by a loss, or because the state is of another position. */
type End = "over" | "lost" | "moved";

/** A connection that has been requested. */
interface Stream {
  readonly connection: Connection<Dictionary>;
  /** Its first event. */
  readonly first: Promise<IteratorResult<Dictionary, undefined>>;
  /** Resolves when it is open, with its position. */
  readonly opened: Promise<{ readonly cursor: string | undefined }>;
  /** Whether it came back without a cursor, so that events may be missing. */
  isGap: boolean;
}

/** Number of milliseconds for which events may be read before the browser gets to draw and to handle input. */
const MAX_BUSY_MS = 8;
/** Number of milliseconds for which a state has to last. A reader that is always too slow loads it less and less often. */
const STABLE_AFTER_MS = 5_000;

/** Why a state is loaded again and again. */
const LOST =
  "eventsStore: the events after the state that load returned were lost: load is too slow, or its cursor is not of this server";

/** What `load` threw. */
class LoadFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The stream of a store: one connection after the other. */
export class Feed {
  readonly #options: FeedOptions;
  readonly #listener: FeedListener;
  /** The cursor to resume after; `undefined` if there is none yet. */
  #cursor: string | undefined;
  #isLoaded: boolean;
  #loadedAt = 0;
  /** The number of states in a row that could not be loaded, or did not last. */
  #failures = 0;

  constructor(options: FeedOptions, listener: FeedListener) {
    this.#options = options;
    this.#listener = listener;
    this.#isLoaded = options.load === undefined;
  }

  /** Follows the stream until it ends or the signal is aborted; another call resumes. Every error is reported as a status. */
  async follow(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const end = await this.#followOnce(signal).catch((error: unknown) => {
          if (error instanceof LoadFailure) return error;
          throw error;
        });
        if (signal.aborted) return;
        if (end === "over") return this.#listener.status("ended");
        if (end !== "moved") await this.#beginAnew(end === "lost" ? undefined : end, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#listener.status("error", error);
    }
  }

  /** Follows one connection, with all its attempts. Loads the state before its first event. */
  async #followOnce(signal: AbortSignal): Promise<End> {
    const ending = new AbortController();
    const unlisten = onAbort(signal, () => ending.abort(signal.reason));
    const stream = this.#connect(ending);
    try {
      return (this.#isLoaded ? undefined : await this.#load(stream, ending)) ?? await this.#read(stream);
    } finally {
      unlisten();
      ending.abort();
    }
  }

  #connect(ending: AbortController): Stream {
    const { url, connectOptions, load } = this.#options;
    const { last: _last, ...others } = connectOptions;
    const cursor = this.#cursor;
    let hasCursor = cursor !== undefined;
    let open!: (position: { cursor: string | undefined }) => void;
    const opened = new Promise<{ cursor: string | undefined }>((resolve) => open = resolve);
    const connection = connect(url, {
      ...(cursor === undefined ? connectOptions : { ...others, since: cursor }),
      signal: ending.signal,
      onStatus: (status) => {
        if (status.type === "open") {
          open({ cursor: status.start?.id });
          stream.isGap = load !== undefined && hasCursor && !status.resumed;
          hasCursor = true;
          if (stream.isGap) return ending.abort();
        }
        this.#report(status);
      },
    });
    const stream: Stream = { connection, first: connection.next(), opened, isGap: false };
    stream.first.catch((error: unknown) => ending.abort(error)); // A state that is being loaded would come to nothing.
    return stream;
  }

  /**
   * Loads the state once the position is known. Returns how the connection ended, if it did.
   *
   * @throws {LoadFailure} if there is no state now; and what the connection throws
   */
  async #load(stream: Stream, { signal }: AbortController): Promise<End | undefined> {
    const { connection, first, opened } = stream;
    const position = await Promise.race([opened, first.then(() => undefined)]);
    if (position === undefined) return "over";
    const request = { cursor: position.cursor, signal };
    const loading = (async () => await this.#options.load!(request))();
    let loaded: Loaded<unknown>;
    try {
      loaded = await abortable(loading, signal);
    } catch (error) {
      if (stream.isGap) return "lost";
      throw signal.aborted ? signal.reason : new LoadFailure(error);
    }
    if (!Object.hasOwn(Object(loaded), "state")) {
      throw new TypeError("eventsStore: load must return { state }, and may add its cursor");
    }
    this.#isLoaded = true;
    this.#loadedAt = performance.now();
    this.#cursor = loaded.cursor ?? position.cursor;
    this.#listener.loaded(loaded.state);
    if (this.#cursor !== position.cursor) return "moved";
    if (connection.status.type === "open") this.#listener.status("live");
    return undefined;
  }

  /** Reads events until the connection ends. */
  async #read(stream: Stream): Promise<End> {
    const { connection, first } = stream;
    let since = performance.now();
    try {
      for (let next = first;; next = connection.next()) {
        const { done, value } = await next;
        if (done) return stream.isGap ? "lost" : "over";
        if (this.#options.load !== undefined && value.type === "events_lost") return "lost";
        this.#listener.event(value);
        // Events that arrive together are read in one task, during which the browser cannot draw.
        if (performance.now() - since < MAX_BUSY_MS) continue;
        await nextTask();
        since = performance.now();
      }
    } finally {
      this.#cursor = connection.lastId ?? this.#cursor;
    }
  }

  /** Reports a status of the connection. It is not live before the state is there. */
  #report(status: Status): void {
    if (status.type === "connecting") this.#listener.status("connecting");
    if (status.type === "waiting") this.#listener.status("waiting", status.cause, status.delay);
    if (status.type === "open" && this.#isLoaded) this.#listener.status("live");
  }

  /**
   * Forgets the state, and waits before it is loaded again, unless it was a good one.
   *
   * @param failure why it could not be loaded; `undefined` after a loss
   */
  async #beginAnew(failure: LoadFailure | undefined, signal: AbortSignal): Promise<void> {
    const { backoff } = this.#options;
    const wasGood = failure === undefined && performance.now() - this.#loadedAt >= STABLE_AFTER_MS;
    this.#failures = wasGood ? 0 : this.#failures + 1;
    this.#isLoaded = false;
    this.#cursor = undefined;
    if (failure !== undefined && this.#failures >= (backoff?.maxAttempts ?? 1)) throw failure.error;
    const seconds = wasGood || backoff === undefined
      ? 0
      : delayAfter(this.#failures, backoff, 0, Math.random);
    if (seconds === 0) return this.#listener.status("connecting");
    this.#listener.status("waiting", failure?.error ?? new Error(LOST), seconds);
    await delay(seconds * 1000, signal);
  }
}
