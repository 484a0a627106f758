/**
 * The types of {@linkcode eventsStore}, and the checks of its options.
 *
 * @module
 */
import type { Schemas } from "../events/catalogue.ts";
import { checkOptions, type Expected, FUNCTION, NUMBER } from "../events/arguments.ts";
import { type ClientEvent, CONNECT_OPTIONS, type ConnectOptions } from "../client/options.ts";

/** What a store is doing: `waiting` is for another attempt, `ended` is the end of the stream, `error` is one without a retry. */
export type EventsStatus = "connecting" | "live" | "waiting" | "ended" | "error";

/** What a store shows at one moment. A change makes another object. */
export interface EventsSnapshot<State, E> {
  /** The state: `initial`, or what `load` returned, and what `reduce` made of it. */
  readonly state: State;
  /** The newest events, the oldest first; at most as many as the option `last` says. */
  readonly events: readonly E[];
  /** What the store is doing. */
  readonly status: EventsStatus;
  /** Why it is waiting, or has failed. */
  readonly error: Error | undefined;
  /** While it is waiting: when the next attempt begins, in milliseconds since 1970. */
  readonly retryAt: number | undefined;
  /** Whether `state` and `events` stay as they are. */
  readonly isPaused: boolean;
  /** The number of events that have arrived since it was paused. */
  readonly pending: number;
}

/**
 * A store of events. It connects with its first subscriber and disconnects with its last one. The next one resumes after the
 * last event.
 */
export interface EventsStore<State, E> {
  /** What the store shows before it connects: what a server renders, and a browser first. */
  readonly initial: EventsSnapshot<State, E>;
  /** Returns what it shows now: the same object until something changes. */
  readonly get: () => EventsSnapshot<State, E>;
  /**
   * Calls a function at once and after every change, at most once per animation frame. What it throws later is reported as an
   * uncaught error.
   *
   * @returns a function that ends it
   * @throws what the function throws at once; it is not subscribed then
   */
  readonly subscribe: (listener: (snapshot: EventsSnapshot<State, E>) => void) => () => void;
  /** Keeps `state` and `events` as they are, while events go on to arrive. */
  readonly pause: () => void;
  /** Shows what has arrived since then. */
  readonly resume: () => void;
}

/** The argument of `load`. */
export interface LoadRequest {
  /** The position that was read before: the events after it follow. `undefined` if the server has no cursors, as a real Tribler. */
  readonly cursor: string | undefined;
  /** Aborted when the state is not wanted any more. */
  readonly signal: AbortSignal;
}

/** What `load` returns. */
export interface Loaded<State> {
  /** The state, read after the position. */
  readonly state: State;
  /**
   * The `id` of the last event that is in the state, if its source says so: the events after it follow, each once. Without
   * it the first of them may be in the state already.
   */
  readonly cursor?: string | undefined;
}

/** Options of {@linkcode eventsStore}: those of `connect()`, and what is made of the events. */
export interface EventsStoreOptions<
  State = undefined,
  S extends Schemas = Schemas,
  BigInts extends boolean = false,
> extends Omit<ConnectOptions<S, BigInts>, "signal" | "onStatus" | "last"> {
  /** The number of newest events to show, and without `since` and `load` to start with; default: shows 100, and starts with none. */
  readonly last?: number;
  /** The state before the first event. */
  readonly initial?: State;
  /** Returns the state after an event, a new one: the state before stays as it is. */
  readonly reduce?: (state: State, event: ClientEvent<S, BigInts>) => State;
  /**
   * Fetches the state that the events change: before the first of them, and again after a loss. The position is read first,
   * then the state, then the events, so that none is missing. A `load` that fails is tried again, as `reconnect` says.
   */
  readonly load?: (request: LoadRequest) => Loaded<State> | Promise<Loaded<State>>;
  /** Minimum number of seconds between two updates; default: one animation frame. */
  readonly interval?: number;
}

const { signal: _signal, onStatus: _onStatus, ...ofConnect } = CONNECT_OPTIONS;
const OPTIONS: Readonly<Record<keyof EventsStoreOptions, Expected>> = {
  ...ofConnect,
  initial: { text: "anything", accepts: () => true },
  reduce: FUNCTION,
  load: FUNCTION,
  interval: NUMBER,
};

/**
 * Checks the options of a store; `connect()` checks the values of its own.
 *
 * @throws {TypeError} if there is no such option, its value is of another kind, or it cannot stand beside another one
 * @throws {RangeError} if an option is outside its range
 */
export function checkStoreOptions(options: object): void {
  checkOptions("eventsStore", options, OPTIONS);
  const { reduce, load, since, interval = 0 } = options as EventsStoreOptions<unknown, Schemas, boolean>;
  if (!Object.hasOwn(options, "initial") && (reduce !== undefined || load !== undefined)) {
    throw new TypeError(
      "eventsStore: reduce and load need the state before the first event: add the option initial",
    );
  }
  if (load !== undefined && since !== undefined) {
    throw new TypeError("eventsStore: load and since are two places to start: give one");
  }
  if (!(interval >= 0 && interval < Infinity)) {
    throw new RangeError(`interval must be a number of seconds from 0 on, not ${interval}`);
  }
}
