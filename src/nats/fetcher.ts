/**
 * Fetching: what the stream keeps, piece by piece, each by a consumer that lives as long as that takes.
 *
 * @module
 */
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from "@nats-io/jetstream";
import type { Entry } from "../channel/channel.ts";
import type { Requests } from "./requests.ts";
import { deleteConsumer, makeConsumer } from "./consumer.ts";
import type { Fetched } from "./pages.ts";

/** Fetches pieces of the stream. */
export interface Fetcher {
  /** What keeps it from fetching a piece that is waited for, in words. */
  readonly problem: string | undefined;
  /**
   * Fetches the events after a position up to another, or to one before it where they are large. Tries until it has
   * them; `undefined` where the signal says that nobody wants them any more.
   */
  fetch(after: number, last: number, signal: AbortSignal): Promise<Fetched | undefined>;
  /** A message of so many bytes was told. */
  saw(bytes: number): void;
  /** How many messages have so many bytes, about, where they are like those that were told last; at least one. */
  countIn(bytes: number): number;
  /** The connection is gone: what was asked for will not come, and is asked for again. */
  disconnected(): void;
}

/** Options of {@linkcode createFetcher}. */
export interface FetcherOptions {
  readonly stream: string;
  /** How many bytes its messages have, about. */
  readonly bytesEach: number;
  /** Asks the server, for as long as the connection lasts. */
  readonly ask: Requests["ask"];
  /** The event in a message; `undefined` where there is none. */
  entryOf(message: JsMsg): Entry | undefined;
}

/** A piece is large enough with so many bytes of messages. */
const PIECE_BYTES = 1024 * 1024;
/** So many are asked for at a time: that fits through the way to NATS, also where they are larger than those before. */
const ROUND_BYTES = 256 * 1024;
const ROUND_EVENTS = 512;
/**
 * So many at first where it is not known how large they are, and so many at the most of a piece that could not be
 * fetched, and then fewer: NATS cuts off whoever it cannot send as many bytes as he has asked for.
 */
const CAREFUL_EVENTS = 16;
/** Of so many pieces it is known how to ask for them. */
const KEPT_PIECES = 1000;
/** Smaller ones are taken for as large as this: what comes next may be larger. */
const LEAST_BYTES = 512;
/** So long a message is waited for, in milliseconds. */
const PATIENCE = 5000;
/** After a piece could not be fetched it is tried again so many milliseconds later. */
const RETRY_AFTER = 500;

/** Makes a fetcher of a stream. */
export function createFetcher(
  client: JetStreamClient,
  manager: JetStreamManager,
  { stream, ask, entryOf, ...options }: FetcherOptions,
): Fetcher {
  /** How many bytes a message has, about, of those that were told last. */
  let bytesTold = Math.max(LEAST_BYTES, options.bytesEach);
  /** What is known of pieces, by the position they begin after. */
  const pieces = new Map<number, Piece>();
  const rounds = new Set<ConsumerMessages>();
  let problem: string | undefined;

  async function fetchOnce(after: number, last: number, piece: Piece): Promise<Fetched> {
    const consumer = await makeConsumer(client, ask, stream, after + 1);
    const entries: Entry[] = [];
    let reached = after;
    let [count, bytes] = [0, 0];
    let { bytesEach } = piece;
    try {
      let { num_pending: pending } = await consumer.info(true);
      while (pending > 0 && reached < last && bytes < PIECE_BYTES) {
        const most = Math.min(piece.most, last - reached, countOf(ROUND_BYTES, bytesEach));
        const messages = await consumer.fetch({ max_messages: most, expires: PATIENCE });
        const before = { count, bytes };
        rounds.add(messages);
        try {
          for await (const message of messages) {
            ({ pending } = message.info);
            reached = message.seq;
            count++;
            bytes += message.data.length;
            const entry = reached > last ? undefined : entryOf(message);
            if (entry !== undefined) entries.push(entry);
            if (pending === 0 || reached >= last || count - before.count === most) break;
          }
        } finally {
          rounds.delete(messages);
        }
        if (count === before.count) throw new Error("the stream stopped in the midst of a piece");
        bytesEach = Math.max(LEAST_BYTES, (bytes - before.bytes) / (count - before.count));
      }
      // The next one goes on with such as this ends with, most likely.
      if (!pieces.has(reached)) remember(reached, { most: ROUND_EVENTS, bytesEach });
      if (reached >= last) return { entries, last, isCut: false };
      if (bytes >= PIECE_BYTES) return { entries, last: reached, isCut: true };
      // A node of the cluster that lags behind knows of no more; whether there is more its leader knows.
      if (await ask(() => manager.streams.getMessage(stream, { seq: last })) === null) {
        return { entries, last, isCut: false };
      }
    } catch (error) {
      piece.most = Math.max(1, Math.min(CAREFUL_EVENTS, piece.most >> 2));
      throw error;
    } finally {
      deleteConsumer(consumer);
    }
    throw new Error(`a node that has come as far as ${reached} was asked for ${last}`);
  }

  async function fetch(after: number, last: number, signal: AbortSignal): Promise<Fetched | undefined> {
    const piece = pieces.get(after) ?? { most: ROUND_EVENTS, bytesEach: ROUND_BYTES / CAREFUL_EVENTS };
    remember(after, piece);
    for (let failures = 0; !signal.aborted;) {
      try {
        const fetched = await fetchOnce(after, last, piece);
        problem = undefined;
        return fetched;
      } catch (error) {
        // One that fails but once is not worth telling.
        if (++failures > 1) problem = `older events cannot be read: ${(error as Error).message}`;
        await pause(RETRY_AFTER, signal);
      }
    }
    problem = undefined;
    return undefined;
  }

  function remember(after: number, piece: Piece): void {
    pieces.set(after, piece);
    if (pieces.size > KEPT_PIECES) pieces.delete(pieces.keys().next().value!);
  }

  return {
    get problem() {
      return problem;
    },
    fetch: (after, last, signal) => unlessAborted(fetch(after, last, signal), signal),
    saw: (bytes) => {
      bytesTold += (Math.max(LEAST_BYTES, bytes) - bytesTold) / 64;
    },
    countIn: (bytes) => countOf(bytes, bytesTold),
    disconnected: () => {
      for (const round of rounds) round.stop(new Error("the connection to NATS broke"));
    },
  };
}

/** How to ask for a piece. */
interface Piece {
  /** So many messages at a time at the most. */
  most: number;
  /** How many bytes the first of them have, about. */
  readonly bytesEach: number;
}

function countOf(bytes: number, bytesEach: number): number {
  return Math.max(1, Math.floor(bytes / bytesEach));
}

/** Waits so many milliseconds, or until the signal. */
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

/** What comes of it, or `undefined` as soon as the signal says that nobody wants it any more. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = () => resolve(undefined);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}
