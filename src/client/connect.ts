/**
 * The client's iterator: connections one after the other, as one stream of events.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { admission } from "./event_filter.ts";
import { ask, type Outcome, reasonOf, type Source } from "./attempt.ts";
import type { Frame } from "./decode.ts";
import { type Dictionary, readPiece } from "./dialect.ts";
import {
  type ClientEvent,
  type Connection,
  type ConnectOptions,
  settingsOf,
  type Status,
} from "./options.ts";
import { delayAfter, isRetried } from "./retry.ts";
import { createTimer } from "./timer.ts";

/**
 * A connection that has lived for so many milliseconds has worked: failures count from 0 again. It is as long as the
 * default heartbeat, so a server that answers and dies at once, again and again, does not pass for a healthy one, and
 * is waited for longer each time.
 */
const STABLE_AFTER_MS = 5_000;
/** An open connection is dead after so many heartbeats without a byte: two were missed for sure. */
const HEARTBEATS_MISSED = 2.5;

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
const ACCEPT = "application/x-ndjson, text/event-stream;q=0.9";

/** What of a page is used where there is one. */
const page: Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">> = globalThis;

/** A `next()` that waits. */
interface Waiting {
  resolve(result: IteratorResult<Dictionary, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Follows a stream of events: over lost connections, after the last event that was handed out, until it is left.
 *
 * Nothing happens before the first `next()`, and nothing is read that is not asked for: a slow loop slows the server.
 * Leaving the loop, by `break`, by an error or by the signal, leaves nothing behind.
 *
 * The cursor goes into the URL as `since`. As `Last-Event-ID` it would be a header that a browser asks another origin
 * about first (Fetch, CORS-safelisted request-header), and servers without CORS answers for it would be out of reach.
 *
 * @param url where the events are: `http:` or `https:`; in a browser it may be relative
 * @throws {TypeError} where the URL is none
 * @throws {EventsError} `InvalidParameter` where the URL cannot be fetched
 * @throws {RangeError} where an option has no meaning
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 * import { connect } from "events-endpoint/client";
 *
 * const shop = defineEvents({ order_placed: v.object({ id: v.string(), total: v.number() }), shop_closed: null });
 *
 * const url = "http://127.0.0.1:8086/events";
 * for await (const event of connect(url, { catalogue: shop, signal: AbortSignal.timeout(1000) })) {
 *   if (event.type === "order_placed") console.log(event.event.total, event.id);
 *   if (event.type === "events_lost") console.log(`${event.event.count ?? "some"} events are missing`);
 * }
 * ```
 */
export function connect<S extends Schemas>(
  url: string | URL,
  options: ConnectOptions<S> = {},
): Connection<ClientEvent<S>> {
  const settings = settingsOf(url, options);
  const { pace } = settings;
  const { signal } = options;
  const admit = admission(options);
  /** The address as it may be shown: a query may hold a key. */
  const place = settings.url.origin + settings.url.pathname;
  /** Those who wait for an event. While there are any, one `run()` is under way. */
  const waiting: Waiting[] = [];

  let status: Status = { type: "connecting", attempt: 1 };
  let lastId = options.since === "earliest" || options.since === "latest" ? undefined : options.since;
  /** The cursor that the present connection was asked to go on after. */
  let resumedAfter: string | undefined;
  let failures = 0;
  /** Whether the last answer was 401. */
  let isUnauthorized = false;
  let silenceLimit = settings.silenceLimit ?? Infinity;

  let source: Source | undefined;
  let openedAt = 0;
  let isOpenTold = false;
  /** What was received and not handed out yet. */
  let pieces: readonly Frame[] = [];
  let at = 0;

  // What a connection holds, and close() lets go.
  let request: AbortController | undefined;
  const timer = createTimer();
  let isListening = false;
  let isOver = false;

  const onAbort = () => close();
  // A page that is left may be kept for whoever comes back to it (HTML 7.4.6, the back/forward cache), and with it its
  // connection, of which the server would not know that nobody reads it. Should the page come back, it goes on.
  const onHide = () => request?.abort();

  function tell(now: Status): void {
    status = now;
    options.onStatus?.(now);
  }

  /** The one end, for whatever reason. */
  function close(cause?: unknown): void {
    if (isOver) return;
    isOver = true;
    timer.clear();
    signal?.removeEventListener("abort", onAbort);
    page.removeEventListener?.("pagehide", onHide);
    drop();
    pieces = [];
    if (cause !== undefined) waiting.shift()?.reject(cause);
    for (const { resolve } of waiting.splice(0)) resolve(DONE);
    tell(cause instanceof EventsError ? { type: "closed", cause } : { type: "closed" });
  }

  /** The end by an error, of which whoever waits is told. */
  function fail(error: unknown): void {
    try {
      close(error);
    } catch {
      // A callback that throws at the end as well: the first error is the one to look at.
    }
  }

  /** Ends the present connection. */
  function drop(): void {
    source?.cancel();
    source = undefined;
    request?.abort();
    request = undefined;
  }

  /** Goes on until nobody waits. */
  async function run(): Promise<void> {
    try {
      while (waiting.length > 0) {
        const result = take();
        if (result !== undefined) waiting.shift()?.resolve(result);
        else if (source === undefined) await open();
        else await receive(source);
      }
    } catch (error) {
      fail(error);
    }
  }

  /** One attempt, and the wait after it where it failed. */
  async function open(): Promise<void> {
    const attempt = failures + 1;
    tell({ type: "connecting", attempt });
    if (isOver) return;
    const { signal } = request = new AbortController();
    let answer: Outcome;
    try {
      answer = await timer.limit(send(attempt, signal), settings.answerLimit, `no answer from ${place}`);
    } catch (error) {
      if (isOver) return;
      if (!(error instanceof EventsError && isRetried(error))) throw error; // Of the function under `headers`.
      answer = { type: "failed", cause: error, floor: 0 };
    }
    if (isOver) return;
    const isRepeated = isUnauthorized;
    isUnauthorized = answer.type === "failed" && answer.cause.code === "Unauthorized";
    if (answer.type === "open") {
      source = answer.source;
      openedAt = performance.now();
      isOpenTold = false;
      return;
    }
    drop();
    if (answer.type === "end") return close();
    const { cause, floor } = answer;
    if (isUnauthorized && !isRepeated && typeof options.headers === "function") return;
    if (!isRetried(cause)) throw cause;
    failures++;
    await wait(cause, floor);
  }

  async function send(attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { headers: own, apiKey, fetch = globalThis.fetch } = options;
    const given = typeof own === "function" ? await own({ attempt, unauthorized: isUnauthorized }) : own;
    const headers = new Headers(given);
    if (!headers.has("Accept")) headers.set("Accept", ACCEPT);
    if (apiKey !== undefined) headers.set("X-Api-Key", apiKey);
    const from = new URL(settings.url);
    const since = lastId ?? options.since;
    if (since) from.searchParams.set("since", since);
    resumedAfter = lastId || undefined;
    const init: RequestInit = { headers, signal, redirect: "manual", cache: "no-store" };
    return await ask(() => fetch(from.href, init), signal, place, settings.maxLineBytes);
  }

  /** What comes next on the open connection, or its loss and the wait after it. */
  async function receive(from: Source): Promise<void> {
    let cause: EventsError;
    // As long as the stream has said nothing, this is still the answer.
    const ms = isOpenTold ? silenceLimit : settings.answerLimit;
    try {
      const read = await timer.limit(from.read(), ms, `nothing came from ${place}`);
      if (isOver) return;
      if (read !== undefined) {
        pieces = read;
        at = 0;
        return;
      }
      // Who does not want to come back wants to know whether this is all.
      if (pace === undefined) return close();
      cause = new EventsError("ConnectionLost", `${place} ended the stream`);
    } catch (error) {
      if (isOver) return;
      cause = error instanceof EventsError
        ? error
        : new EventsError("ConnectionLost", `the stream of ${place} was cut: ${reasonOf(error)}`, {
          cause: error,
        });
    }
    drop();
    // The silence it ended with was not life: a server that accepts and says nothing fails, every time.
    const lived = performance.now() - openedAt - (cause.code === "Timeout" ? ms : 0);
    failures = lived >= STABLE_AFTER_MS ? 0 : failures + 1;
    if (isOpenTold) tell({ type: "lost", cause });
    if (!isOver) await wait(cause, from.retry());
  }

  /** Waits before the next attempt, if there is to be one. */
  async function wait(cause: EventsError, floor: number): Promise<void> {
    if (pace === undefined) throw cause;
    if (failures >= pace.maxAttempts) {
      const message = `gave up after ${failures} attempts in a row: ${cause.message}`;
      throw new EventsError("RetriesExhausted", message, { cause });
    }
    const delay = delayAfter(failures, pace, floor, Math.random);
    tell({ type: "waiting", delay, attempt: failures + 1, cause });
    if (isOver) return;
    await timer.sleep(delay * 1000);
  }

  /** The next event of what was received; `undefined` where none is left. */
  function take(): IteratorResult<Dictionary, undefined> | undefined {
    while (at < pieces.length) {
      const received = readPiece(pieces[at++]!);
      if (received === undefined) continue;
      const { event, id } = received;
      if (event === undefined) {
        lastId = id;
        continue;
      }
      const isYielded = isOpenTold ? admit(event) : begin(event, id);
      if (isOver) return DONE;
      lastId = id ?? lastId;
      if (isYielded) return { done: false, value: event };
    }
    return isOver ? DONE : undefined;
  }

  /** The first event of a connection. */
  function begin(event: Dictionary, id: string | undefined): boolean {
    isOpenTold = true;
    const start = event.type === "events_start" ? event : undefined;
    // A server that resumes says so: its events_start has the cursor that it was handed.
    const resumed = resumedAfter !== undefined &&
      (start === undefined ? id !== undefined : id === resumedAfter);
    if (start !== undefined) {
      lastId = id ?? lastId;
      const { heartbeat } = (start.event ?? {}) as { heartbeat?: unknown };
      const announced = typeof heartbeat === "number" && heartbeat > 0 ? heartbeat : Infinity;
      silenceLimit = settings.silenceLimit ?? announced * HEARTBEATS_MISSED * 1000;
    }
    tell({ type: "open", start, resumed });
    return !isOver && admit(event);
  }

  function next(): Promise<IteratorResult<Dictionary, undefined>> {
    if (isOver) return Promise.resolve(DONE);
    if (!isListening) {
      isListening = true;
      if (signal?.aborted) {
        close();
        return Promise.resolve(DONE);
      }
      signal?.addEventListener("abort", onAbort);
      page.addEventListener?.("pagehide", onHide);
    }
    if (waiting.length === 0) {
      try {
        const result = take();
        if (result !== undefined) return Promise.resolve(result);
      } catch (error) {
        fail(error);
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      if (waiting.push({ resolve, reject }) === 1) void run();
    });
  }

  const connection: Connection<Dictionary> = {
    get lastId() {
      return lastId;
    },
    get status() {
      return status;
    },
    next,
    return: () => {
      close();
      return Promise.resolve(DONE);
    },
    [Symbol.asyncIterator]: () => connection,
    [Symbol.asyncDispose]: () => {
      close();
      return Promise.resolve();
    },
  };
  // What is yielded was checked against the catalogue, which is where the type comes from.
  return connection as unknown as Connection<ClientEvent<S>>;
}
