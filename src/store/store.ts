/**
 * A store of events: its subscribers, and what it shows them.
 *
 * @module
 */
import { type ClientEvent, type ConnectOptions, readOptions } from "../client/options.ts";
import type { Dictionary } from "../client/frame.ts";
import type { Schemas } from "../events/catalogue.ts";
import { Feed } from "./feed.ts";
import { onNextFrame, onTimeout } from "./frames.ts";
import {
  checkStoreOptions,
  type EventsSnapshot,
  type EventsStatus,
  type EventsStore,
  type EventsStoreOptions,
} from "./options.ts";

/** Number of newest events to show by default. */
const DEFAULT_LAST = 100;

type Snapshot = EventsSnapshot<unknown, Dictionary>;

/**
 * Makes a store of the events of a server, for the page of an app: their state, the newest of them, and the connection.
 *
 * Nothing is requested before the first subscriber. A store is what Svelte calls a store, and what `from()` of Solid takes;
 * Vue and React need two lines, or `events-endpoint/react`.
 *
 * @param url the address of the events; in a browser it may be relative
 * @param options see {@linkcode EventsStoreOptions}
 * @throws {TypeError} if an option is mistaken, or the URL is not valid
 * @throws {RangeError} if an option is outside its range
 *
 * @example
 * ```ts
 * import { eventsStore } from "events-endpoint/store";
 *
 * const orders = eventsStore("http://127.0.0.1:8086/events", {
 *   types: ["order_placed"],
 *   initial: 0,
 *   reduce: (count, event) => event.type === "order_placed" ? count + 1 : count,
 * });
 * const unsubscribe = orders.subscribe(({ state, status }) => console.log(status, state));
 * setTimeout(unsubscribe, 1000);
 * ```
 */
export function eventsStore<State = undefined, S extends Schemas = Schemas, BigInts extends boolean = false>(
  url: string | URL,
  options: EventsStoreOptions<State, S, BigInts> = {},
): EventsStore<State, ClientEvent<S, BigInts>> {
  const store = new Store(url, options as unknown as EventsStoreOptions<unknown, Schemas, boolean>);
  return store as unknown as EventsStore<State, ClientEvent<S, BigInts>>;
}

/** The store. Its functions need no `this`, since frameworks call them alone. */
class Store implements EventsStore<unknown, Dictionary> {
  readonly initial: Snapshot;
  readonly #reduce: EventsStoreOptions<unknown, Schemas, boolean>["reduce"];
  readonly #last: number;
  readonly #intervalMs: number;
  readonly #feed: Feed;
  readonly #listeners = new Set<(snapshot: Snapshot) => void>();
  #snapshot: Snapshot;
  #state: unknown;
  #events: Dictionary[] = [];
  /** Whether the state or the events have changed since they were shown. */
  #isNew = false;
  #connection: Pick<Snapshot, "status" | "error" | "retryAt">;
  #isPaused = false;
  #pending = 0;
  #updatedAt = 0;
  #cancelUpdate: (() => void) | undefined;
  #following: AbortController | undefined;
  /** Settles when nothing is followed any more: the next connection resumes where the last one ended. */
  #idle: Promise<void> = Promise.resolve();

  constructor(url: string | URL, options: EventsStoreOptions<unknown, Schemas, boolean>) {
    checkStoreOptions(options);
    const { initial, reduce, load, interval = 0, last, ...others } = options;
    // A state that is loaded has the events before it.
    const connectOptions: ConnectOptions<Schemas, boolean> =
      load === undefined && others.since === undefined &&
        last !== undefined
        ? { ...others, last }
        : others;
    const { backoff } = readOptions(absolute(url), last === undefined ? others : { ...others, last });
    this.#feed = new Feed({ url, connectOptions, load, backoff }, {
      loaded: (state) => this.#begin(state),
      event: (event) => this.#add(event),
      status: (status, error, delay) => this.#setStatus(status, error, delay),
    });
    this.#reduce = reduce;
    this.#last = last ?? DEFAULT_LAST;
    this.#intervalMs = interval * 1000;
    this.#state = initial;
    this.#connection = { status: "connecting", error: undefined, retryAt: undefined };
    this.initial = { state: initial, events: [], ...this.#connection, isPaused: false, pending: 0 };
    this.#snapshot = this.initial;
  }

  readonly get = (): Snapshot => this.#snapshot;

  readonly subscribe = (listener: (snapshot: Snapshot) => void): () => void => {
    const own = (snapshot: Snapshot) => listener(snapshot); // The same function may be there twice.
    if (this.#following === undefined && this.#connection.status !== "ended") this.#connect();
    this.#listeners.add(own);
    const unsubscribe = () => {
      this.#listeners.delete(own);
      // React's strict mode, and stores derived from this one, unsubscribe and subscribe again at once.
      queueMicrotask(() => this.#listeners.size === 0 && this.#disconnect());
    };
    try {
      own(this.#snapshot);
    } catch (error) {
      unsubscribe(); // The caller gets no function that would do it.
      throw error;
    }
    return unsubscribe;
  };

  readonly pause = (): void => {
    if (this.#isPaused) return;
    this.#update();
    this.#isPaused = true;
    this.#update();
  };

  readonly resume = (): void => {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#update();
  };

  #connect(): void {
    const following = this.#following = new AbortController();
    // After the microtask of an unsubscribe: Svelte subscribes and unsubscribes at once where a server renders a page.
    this.#idle = this.#idle.then(() => {}).then(() => this.#feed.follow(following.signal));
    if (this.#connection.status === "connecting") return;
    this.#setStatus("connecting");
    this.#update();
  }

  #disconnect(): void {
    this.#following?.abort();
    this.#following = undefined;
    this.#cancelUpdate?.();
    this.#cancelUpdate = undefined;
  }

  #begin(state: unknown): void {
    this.#state = state;
    this.#events = [];
    this.#isNew = true;
    this.#changed();
  }

  #add(event: Dictionary): void {
    if (this.#reduce !== undefined) this.#state = this.#reduce(this.#state, event);
    this.#events.push(event);
    // Not at each event: an array moves all that stand behind what is removed.
    if (this.#events.length >= 2 * this.#last) this.#events = this.#events.slice(-this.#last);
    if (this.#isPaused) this.#pending++;
    this.#isNew = true;
    this.#changed();
  }

  #setStatus(status: EventsStatus, error?: unknown, delaySeconds?: number): void {
    this.#connection = {
      status,
      error: error === undefined || error instanceof Error ? error : new Error(String(error)),
      retryAt: delaySeconds === undefined ? undefined : Date.now() + delaySeconds * 1000,
    };
    this.#changed();
  }

  /** Lets an update follow, however many changes there are until then. */
  #changed(): void {
    if (this.#cancelUpdate !== undefined || this.#listeners.size === 0) return;
    const update = () => this.#update();
    const waitMs = this.#updatedAt + this.#intervalMs - performance.now();
    this.#cancelUpdate = this.#intervalMs > 0 && waitMs > 0 ? onTimeout(update, waitMs) : onNextFrame(update);
  }

  /** Shows what there is now. */
  #update(): void {
    this.#cancelUpdate?.();
    this.#cancelUpdate = undefined;
    this.#updatedAt = performance.now();
    let { state, events } = this.#snapshot;
    if (!this.#isPaused) {
      this.#pending = 0;
      if (this.#isNew) [state, events] = [this.#state, this.#events.slice(-this.#last)];
      this.#isNew = false;
    }
    this.#snapshot = {
      ...{ state, events },
      ...this.#connection,
      isPaused: this.#isPaused,
      pending: this.#pending,
    };
    for (const listener of this.#listeners) callListener(listener, this.#snapshot);
  }
}

/** Calls a listener. What it throws is reported as an uncaught error, as that of an `EventTarget` is: the others are called. */
function callListener(listener: (snapshot: Snapshot) => void, snapshot: Snapshot): void {
  try {
    listener(snapshot);
  } catch (error) {
    const { reportError } = globalThis as { readonly reportError?: (error: unknown) => void };
    if (reportError !== undefined) return reportError(error);
    queueMicrotask(() => { // Node has no such function.
      throw error;
    });
  }
}

/** Returns an address that can be checked: where a server renders a page there is no address that it is relative to. */
function absolute(url: string | URL): string | URL {
  const { location } = globalThis as { location?: { readonly href: string } };
  try {
    return new URL(url, location?.href ?? "http://localhost");
  } catch {
    return url; // The check of the client says what is wrong with it.
  }
}
