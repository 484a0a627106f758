/**
 * The fetcher: reads pieces of the stream, each by a consumer of its own.
 *
 * @module
 */
import type {
  Consumer,
  ConsumerMessages,
  JetStreamClient,
  JetStreamManager,
  JsMsg,
} from "@nats-io/jetstream";
import type { Entry } from "../channel/channel.ts";
import type { Requests } from "./requests.ts";
import { createConsumer, deleteConsumer } from "./consumer.ts";
import type { Fetched } from "../channel/pages.ts";

/** Fetches pieces of the stream. */
export interface Fetcher {
  /** Describes why a requested piece cannot be fetched; `undefined` if there is no problem. */
  readonly problem: string | undefined;
  /**
   * Fetches the events after a position up to another, or to one before it if they are large. Retries until it has them;
   * `undefined` once the signal is aborted.
   */
  fetch(after: number, last: number, signal: AbortSignal): Promise<Fetched | undefined>;
  /** Adds the size of a received message to the estimate of {@linkcode Fetcher.countIn}. */
  addSample(bytes: number): void;
  /** Estimates how many messages fit into this number of bytes; at least one. */
  countIn(bytes: number): number;
  /** Notes that the connection broke: pending requests end, and are sent again. */
  disconnected(): void;
  /** Deletes the consumers that were kept for the next pieces. */
  dropConsumers(): void;
}

/** Options of {@linkcode createFetcher}. */
export interface FetcherOptions {
  readonly stream: string;
  /** The average size of its messages in bytes. */
  readonly bytesEach: number;
  /** Sends a request, which is rejected when the connection breaks. */
  readonly request: Requests["request"];
  /** Decodes a message; `undefined` if it is not an event. */
  entryOf(message: JsMsg): Entry | undefined;
}

/** A piece ends behind the request after which its messages have this number of bytes. */
const PIECE_BYTES = 1024 * 1024;
/** It ends within a request if its messages are far larger than was estimated, and have this number of bytes. */
const MAX_PIECE_BYTES = 2 * PIECE_BYTES;
/** Maximum size of one request: low enough to be received even if its messages are larger than those before. */
const ROUND_BYTES = 512 * 1024;
const ROUND_EVENTS = 4096;
/**
 * Number of messages in the first request for messages of unknown size, and maximum for a piece that could not be fetched; each
 * further failure lowers it. NATS disconnects a client that cannot receive the bytes that it requested.
 */
const CAREFUL_EVENTS = 16;
/** Maximum number of pieces whose sizes are remembered. */
const KEPT_PIECES = 1000;
/** Minimum size assumed for a message: the next ones may be larger. */
const LEAST_BYTES = 256;
/** How long to wait for the next message. */
const MESSAGE_TIMEOUT_MS = 5000;
/** The pause before a failed piece is requested again. */
const RETRY_AFTER_MS = 500;

/** Maximum number of consumers that are kept for the piece after theirs. */
const KEPT_CONSUMERS = 4;

/** A consumer within the stream. */
interface Place {
  readonly consumer: Consumer;
  /** Number of messages that it has still to deliver. */
  readonly pending: number;
}

/** Makes a fetcher of a stream. */
export function createFetcher(
  client: JetStreamClient,
  manager: JetStreamManager,
  options: FetcherOptions,
): Fetcher {
  return new StreamFetcher(client, manager, options);
}

class StreamFetcher implements Fetcher {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #options: FetcherOptions;
  /** The moving average of the size of received messages, in bytes. */
  #messageBytes: number;
  /** How to request pieces, by the position before their first event. */
  readonly #pieces = new Map<number, Piece>();
  readonly #rounds = new Set<ConsumerMessages>();
  /** Consumers that go on with the next piece, by the position that they have reached: to make one takes three requests. */
  readonly #kept = new Map<number, Place>();
  #problem: string | undefined;

  constructor(client: JetStreamClient, manager: JetStreamManager, options: FetcherOptions) {
    this.#client = client;
    this.#manager = manager;
    this.#options = options;
    this.#messageBytes = Math.max(LEAST_BYTES, options.bytesEach);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  fetch(after: number, last: number, signal: AbortSignal): Promise<Fetched | undefined> {
    return unlessAborted(this.#fetchUntilAborted(after, last, signal), signal);
  }

  addSample(bytes: number): void {
    this.#messageBytes += (Math.max(LEAST_BYTES, bytes) - this.#messageBytes) / 64;
  }

  countIn(bytes: number): number {
    return countOf(bytes, this.#messageBytes);
  }

  disconnected(): void {
    for (const round of this.#rounds) round.stop(new Error("the connection to NATS broke"));
    this.dropConsumers();
  }

  dropConsumers(): void {
    for (const { consumer } of this.#kept.values()) deleteConsumer(consumer);
    this.#kept.clear();
  }

  /** Takes a consumer that goes on after the position, or makes one. */
  async #placeAfter(position: number): Promise<Place> {
    const kept = this.#kept.get(position);
    if (kept !== undefined) {
      this.#kept.delete(position);
      return kept;
    }
    const { request, stream } = this.#options;
    const consumer = await createConsumer(this.#client, request, stream, position + 1);
    return { consumer, pending: (await consumer.info(true)).num_pending };
  }

  /** Keeps a consumer for the piece after the position, unless one is there, and deletes the oldest one that is too many. */
  #keep(position: number, place: Place): void {
    if (this.#kept.has(position)) return deleteConsumer(place.consumer);
    this.#kept.set(position, place);
    if (this.#kept.size <= KEPT_CONSUMERS) return;
    const [[oldest, { consumer }]] = this.#kept as unknown as [[number, Place]];
    this.#kept.delete(oldest);
    deleteConsumer(consumer);
  }

  async #fetchOnce(after: number, last: number, piece: Piece, signal: AbortSignal): Promise<Fetched> {
    const { consumer, pending: atStart } = await this.#placeAfter(after);
    let isUsable = false;
    const entries: Entry[] = [];
    let reached = after;
    let [count, bytes] = [0, 0];
    let { bytesEach } = piece;
    /** Whether nothing that was requested is on its way. */
    let isSettled = false;
    try {
      let pending = atStart;
      while (pending > 0 && reached < last && bytes < PIECE_BYTES) {
        const most = Math.min(piece.most, last - reached, countOf(ROUND_BYTES, bytesEach));
        const messages = await consumer.fetch({ max_messages: most, expires: MESSAGE_TIMEOUT_MS });
        const before = { count, bytes };
        this.#rounds.add(messages);
        try {
          for await (const message of messages) {
            ({ pending } = message.info);
            reached = message.seq;
            count++;
            bytes += message.data.length;
            const entry = reached > last ? undefined : this.#options.entryOf(message);
            if (entry !== undefined) entries.push(entry);
            const isComplete = pending === 0 || reached >= last || count - before.count === most;
            if (isComplete || bytes >= MAX_PIECE_BYTES) break;
          }
        } finally {
          this.#rounds.delete(messages);
        }
        if (count === before.count) throw new Error("the stream stopped within a piece");
        isSettled = count - before.count === most;
        bytesEach = Math.max(LEAST_BYTES, (bytes - before.bytes) / (count - before.count));
      }
      isUsable = isSettled && pending > 0 && !signal.aborted;
      if (isUsable) this.#keep(reached, { consumer, pending });
      // The next piece probably starts with messages as large as the last ones of this piece.
      if (!this.#pieces.has(reached)) this.#remember(reached, { most: ROUND_EVENTS, bytesEach });
      if (reached >= last) return { entries, last, isCut: false };
      if (bytes >= PIECE_BYTES) return { entries, last: reached, isCut: true };
      // A node of the cluster that lags behind delivers no more; the leader knows whether there is more.
      if (
        await this.#options.request(() =>
          this.#manager.streams.getMessage(this.#options.stream, { seq: last })
        ) === null
      ) {
        return { entries, last, isCut: false };
      }
    } catch (error) {
      piece.most = Math.max(1, Math.min(CAREFUL_EVENTS, piece.most >> 2));
      throw error;
    } finally {
      if (!isUsable) deleteConsumer(consumer);
    }
    throw new Error(`the node of the cluster lags behind: it has messages up to ${reached} of ${last}`);
  }

  async #fetchUntilAborted(after: number, last: number, signal: AbortSignal): Promise<Fetched | undefined> {
    const piece = this.#pieces.get(after) ?? { most: ROUND_EVENTS, bytesEach: ROUND_BYTES / CAREFUL_EVENTS };
    this.#remember(after, piece);
    for (let failures = 0; !signal.aborted;) {
      try {
        const fetched = await this.#fetchOnce(after, last, piece, signal);
        this.#problem = undefined;
        return fetched;
      } catch (error) {
        // A single failure is not reported.
        if (++failures > 1) this.#problem = `older events cannot be read: ${(error as Error).message}`;
        await pause(RETRY_AFTER_MS, signal);
      }
    }
    this.#problem = undefined;
    return undefined;
  }

  #remember(after: number, piece: Piece): void {
    this.#pieces.set(after, piece);
    if (this.#pieces.size > KEPT_PIECES) this.#pieces.delete(this.#pieces.keys().next().value!);
  }
}

/** How to request a piece. */
interface Piece {
  /** Maximum number of messages in a request. */
  most: number;
  /** The estimated size of its first messages in bytes. */
  readonly bytesEach: number;
}

function countOf(bytes: number, bytesEach: number): number {
  return Math.max(1, Math.floor(bytes / bytesEach));
}

/** Waits this number of milliseconds, or until the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

/** Returns the result of the promise, or `undefined` as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = () => resolve(undefined);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}
