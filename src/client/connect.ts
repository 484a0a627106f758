/**
 * The client's iterator: one connection after the other, as one stream of events.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { onAbort } from "../events/timing.ts";
import { Attempts } from "./attempts.ts";
import type { Dictionary } from "./frame.ts";
import {
  type ClientEvent,
  type Connection,
  type ConnectOptions,
  readOptions,
  type Status,
} from "./options.ts";
import { Received } from "./received.ts";

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/** The events of a browser's page; absent elsewhere. */
const page: Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">> = globalThis;

/** A pending call of `next()`. */
interface Waiting {
  resolve(result: IteratorResult<Dictionary, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Follows a stream of events. When the connection is lost it reconnects, and resumes after the last event handed out.
 *
 * Nothing is requested before the first `next()`. No more is read than the loop consumes: a slow loop slows the server.
 * Leaving the loop, by `break`, by an error or by the signal, leaves no timer, listener or socket behind.
 *
 * The cursor is sent in the URL, as `since`. The header `Last-Event-ID` would need a CORS preflight in a browser (Fetch,
 * CORS-safelisted request-header), which many servers do not answer.
 *
 * @param url the address of the events: `http:` or `https:`; in a browser it may be relative
 * @param options see {@linkcode ConnectOptions}
 * @throws {TypeError} if the URL is not valid
 * @throws {EventsError} `InvalidParameter` if the URL cannot be fetched
 * @throws {RangeError} if an option is outside its range
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
 *
 * @example Integers of more than 53 bits, as the ids of search results in Tribler
 * ```ts
 * import { connect } from "events-endpoint/client";
 *
 * const text = '{"type":"found","event":{"id":4611686018427387905,"score":1.0}}\n';
 * const fetch = () => new Response(text, { headers: { "Content-Type": "application/x-ndjson" } });
 * const connection = connect("http://127.0.0.1:8085/events", { bigint: true, reconnect: false, fetch });
 * for await (const { event } of connection) {
 *   console.log(event); // { id: 4611686018427387905n, score: 1 }
 *   console.log(connection.lastText); // {"type":"found","event":{"id":4611686018427387905,"score":1.0}}
 * }
 * ```
 */
export function connect<S extends Schemas, BigInts extends boolean = false>(
  url: string | URL,
  options: ConnectOptions<S, BigInts> = {},
): Connection<ClientEvent<S, BigInts>> {
  const connection: Connection<Dictionary> = new EventConnection(
    url,
    options as ConnectOptions<Schemas, boolean>,
  );
  // The event filter has checked each event against the catalogue, which is the source of the type.
  return connection as unknown as Connection<ClientEvent<S, BigInts>>;
}

/** The iterator: pending calls of `next()`, and what ends them. */
class EventConnection implements Connection<Dictionary> {
  readonly #options: ConnectOptions<Schemas, boolean>;
  readonly #received: Received;
  readonly #attempts: Attempts;
  /** The pending calls of `next()`. While there are any, one {@linkcode EventConnection.#run} is under way. */
  readonly #waiting: Waiting[] = [];
  /** The number of events that may still be handed out. */
  #left: number;
  #status: Status = { type: "connecting", attempt: 1 };
  #isListening = false;
  #isOver = false;
  #forgetSignal = () => {};
  // A browser may keep a hidden page in its back/forward cache (HTML 7.4.6), and its connection with it, which would look
  // alive to the server. The page reconnects when it is shown again: until then its timers do not run.
  readonly #onPageHide = () => this.#attempts.disconnect("the page was hidden");

  constructor(url: string | URL, options: ConnectOptions<Schemas, boolean>) {
    this.#options = options;
    this.#left = options.limit ?? Infinity;
    const settings = readOptions(url, options);
    this.#received = new Received(
      options,
      (start, resumed) => this.#report({ type: "open", start, resumed }),
    );
    this.#attempts = new Attempts(settings, options, this.#received, (status) => this.#report(status));
  }

  get lastId(): string | undefined {
    return this.#received.lastId;
  }

  get lastText(): string | undefined {
    return this.#received.lastText;
  }

  get status(): Status {
    return this.#status;
  }

  next(): Promise<IteratorResult<Dictionary, undefined>> {
    if (this.#isOver) return Promise.resolve(DONE);
    if (!this.#isListening && !this.#listen()) return Promise.resolve(DONE);
    if (this.#waiting.length === 0) {
      try {
        const event = this.#received.take();
        if (event !== undefined) return Promise.resolve({ done: false, value: this.#counted(event) });
        if (this.#isOver) return Promise.resolve(DONE);
      } catch (error) {
        this.#fail(error);
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ resolve, reject }) === 1) void this.#run();
    });
  }

  return(): Promise<IteratorResult<Dictionary, undefined>> {
    this.#close();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    return Promise.resolve();
  }

  /** Listens to what ends the connection. Returns `false` if the signal was aborted before. */
  #listen(): boolean {
    this.#isListening = true;
    const { signal } = this.#options;
    if (signal?.aborted) {
      this.#close();
      return false;
    }
    if (signal !== undefined) this.#forgetSignal = onAbort(signal, () => this.#close());
    page.addEventListener?.("pagehide", this.#onPageHide);
    return true;
  }

  /** Connects and receives for as long as a `next()` is pending. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const event = this.#received.take();
        if (event !== undefined) {
          // The first is taken before it is counted, because the end of the connection ends what is pending.
          this.#waiting.shift()?.resolve({ done: false, value: this.#counted(event) });
        } else if (!this.#isOver && !(await this.#attempts.step())) this.#close();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Counts an event that is handed out, and ends the connection after the last one wanted. */
  #counted(event: Dictionary): Dictionary {
    if (event.type !== "events_lost" && --this.#left < 1) this.#close();
    return event;
  }

  #report(status: Status): void {
    this.#status = status;
    this.#options.onStatus?.(status);
  }

  /** Ends the connection, for whatever reason. */
  #close(cause?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forgetSignal();
    page.removeEventListener?.("pagehide", this.#onPageHide);
    this.#attempts.close();
    this.#received.close();
    if (cause !== undefined) this.#waiting.shift()?.reject(cause);
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
    this.#report(cause instanceof EventsError ? { type: "closed", cause } : { type: "closed" });
  }

  /** Ends the connection by an error. The first pending `next()` rejects with it. */
  #fail(error: unknown): void {
    try {
      this.#close(error);
    } catch {
      // `onStatus` threw as well: the first error counts.
    }
  }
}
