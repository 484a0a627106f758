/**
 * What {@linkcode connect} takes and what it gives: the types, and the options as they are used.
 *
 * @module
 */
import type { Catalogue, PayloadOf, PublishableType, Schemas } from "../events/catalogue.ts";
import { EventsError, type Issue } from "../events/errors.ts";
import type { Loss } from "../events/event.ts";
import type { Dictionary } from "./dialect.ts";
import type { Backoff } from "./retry.ts";

/**
 * An event of a catalogue as a client reads it. It has no `id` and no `time` where the server has none: a real
 * Tribler.
 */
export type ReceivedEvent<Type extends string, Payload> =
  & { readonly type: Type }
  & (Payload extends undefined ? { readonly event?: never } : { readonly event: Payload })
  & { readonly id?: string; readonly time?: string };

/**
 * What a client yields: with a catalogue a union over it, and `events_lost`, that narrows by `type`; without one
 * dictionaries of which only the type is known.
 */
export type ClientEvent<S extends Schemas> = string extends keyof S ? Dictionary
  :
    | { [T in PublishableType<S>]: ReceivedEvent<T, PayloadOf<S, T>> }[PublishableType<S>]
    | ReceivedEvent<"events_lost", Loss>;

/** How a connection is doing. A union that narrows by `type`. */
export type Status =
  /** It asks for the stream. `attempt` counts from 1, and from there again after a connection that lasted. */
  | { readonly type: "connecting"; readonly attempt: number }
  /**
   * The stream has begun. `start` is its `events_start`, where the server sent one. `resumed` says whether it goes on
   * where the last one stopped; where it is `false` events may have passed in between.
   */
  | { readonly type: "open"; readonly start: Dictionary | undefined; readonly resumed: boolean }
  /** The stream that was open is gone. */
  | { readonly type: "lost"; readonly cause: EventsError }
  /** It waits `delay` seconds before this attempt, for this reason. */
  | {
    readonly type: "waiting";
    readonly delay: number;
    readonly attempt: number;
    readonly cause: EventsError;
  }
  /** It is over; `cause` is there where that was not wanted. */
  | { readonly type: "closed"; readonly cause?: EventsError };

/**
 * A stream of events that outlives its connections. `await using` takes it too, where the libraries of TypeScript know
 * of that (`esnext.disposable`); where they do not, nothing here asks for it.
 */
export interface Connection<E> extends
  AsyncIterableIterator<E>,
  Record<
    SymbolConstructor extends { readonly asyncDispose: infer Key extends symbol } ? Key : never,
    () => Promise<void>
  > {
  /**
   * The cursor to go on after: the `id` of the last event that `next()` gave, in the body of a loop that of the event
   * in hand. Hand it to `since` after a restart. Moved also by what is not yielded (`events_start`, bookmarks), and
   * never by what was only received.
   */
  readonly lastId: string | undefined;
  /** How it is doing; before the first `next()`, what it will do first. */
  readonly status: Status;
  /** The next event. Rejects once where the connection cannot go on; after that, and after its end, it is done. */
  next(): Promise<IteratorResult<E, undefined>>;
  /** Leaves: ends the connection at once, and every `next()` that waits. */
  return(): Promise<IteratorResult<E, undefined>>;
  /** The same. */
  [Symbol.asyncIterator](): Connection<E>;
}

/** How a client comes back after a connection was lost or could not be had. */
export interface ReconnectOptions {
  /** The longest wait after a first failure, in seconds; default 0.5. It doubles with each one. */
  readonly min?: number;
  /** The longest wait, in seconds, beside what the server asks for; default 30. */
  readonly max?: number;
  /** How many attempts in a row may fail; default `Infinity`. */
  readonly maxAttempts?: number;
  /** Whether each wait is anything from nothing up to the longest one; default `true`. */
  readonly jitter?: boolean;
}

/** Whatever `new Headers()` takes. Not every runtime's types have a name for it. */
export type HeadersLike = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** What the function under `headers` is told. */
export interface HeadersRequest {
  /** Which attempt the headers are for, from 1 on. */
  readonly attempt: number;
  /** Whether the last ones were answered with 401: whatever they were made of has to be fetched anew. */
  readonly unauthorized: boolean;
}

/** Options of {@linkcode connect}. */
export interface ConnectOptions<S extends Schemas = Schemas> {
  /** The event types the stream carries: they type what is yielded, and it is validated against them. */
  readonly catalogue?: Catalogue<S>;
  /** Only these types; `*` at the end of a name matches a prefix. Default all. */
  readonly types?: readonly string[];
  /**
   * Where to start: after a cursor; `"earliest"`, with all that is kept; `"latest"`, with what comes from now on.
   * Default what the server does without it, which is `"latest"`.
   */
  readonly since?: string;
  /** Ends the connection when it is aborted, as `return()` does: the iteration is done, and nothing is thrown. */
  readonly signal?: AbortSignal;
  /**
   * Headers of every request; or a function, asked at every attempt, for those that do not stay the same. What it
   * throws comes out of `next()`.
   */
  readonly headers?: HeadersLike | ((request: HeadersRequest) => HeadersLike | Promise<HeadersLike>);
  /** A key, sent as `X-Api-Key`. */
  readonly apiKey?: string;
  /** How to come back after a connection was lost or could not be had; `false` for not at all. */
  readonly reconnect?: false | ReconnectOptions;
  /**
   * Seconds of silence after which an open connection counts as dead, and also the longest wait for an answer;
   * `null` for never. Default 2.5 times the heartbeat that `events_start` announced, and never where it announced
   * none; and 30 for an answer, to which the first event belongs.
   */
  readonly idleTimeout?: number | null;
  /** The most bytes a line may have, in SSE the most characters of a block; default 16 MiB. */
  readonly maxLineBytes?: number;
  /**
   * Called with an event whose type the catalogue does not have; it is not yielded. Default: a warning on the console,
   * once for each type.
   */
  readonly onUnknown?: (event: Dictionary) => void;
  /**
   * What happens to an event whose payload does not fit its schema. `"throw"`, the default: `next()` rejects with
   * `InvalidEvent`, and the connection is closed. Or a function called with it and its faults; it is not yielded.
   */
  readonly onInvalid?: "throw" | ((event: Dictionary, faults: readonly Issue[]) => void);
  /** Called at each change of the status. */
  readonly onStatus?: (status: Status) => void;
  /** What is used for `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Response | Promise<Response>;
}

/** The longest delay a timer can have, in milliseconds (HTML 8.7: a 32-bit integer). */
export const MAX_DELAY: number = 2 ** 31 - 1;

/** Options as they are used: checked, with their defaults. */
export interface Settings {
  /** The address without what changes from one attempt to the next. */
  readonly url: URL;
  /** How to come back, if at all. */
  readonly pace: (Backoff & { readonly maxAttempts: number }) | undefined;
  /** Milliseconds to wait for an answer. */
  readonly answerLimit: number;
  /** Milliseconds of silence; `undefined` where the server's heartbeat says it. */
  readonly silenceLimit: number | undefined;
  /** The most bytes of a line. */
  readonly maxLineBytes: number;
}

/**
 * Checks options, and fills in what they leave out.
 *
 * @throws {TypeError} where the address is none
 * @throws {EventsError} `InvalidParameter` where the address cannot be fetched
 * @throws {RangeError} where an option has no meaning
 */
export function settingsOf<S extends Schemas>(address: string | URL, options: ConnectOptions<S>): Settings {
  const { idleTimeout, reconnect = {}, maxLineBytes = 16 * 1024 * 1024 } = options;
  if (idleTimeout !== undefined && idleTimeout !== null) checkSeconds("idleTimeout", idleTimeout);
  if (!(maxLineBytes > 0)) throw new RangeError(`maxLineBytes must be above 0, not ${maxLineBytes}`);
  const limit = idleTimeout === null ? Infinity : idleTimeout === undefined ? undefined : idleTimeout * 1000;
  return {
    url: urlOf(address, options.types),
    pace: reconnect === false ? undefined : paceOf(reconnect),
    answerLimit: limit ?? 30_000,
    silenceLimit: limit,
    maxLineBytes,
  };
}

function urlOf(address: string | URL, types: readonly string[] = []): URL {
  const url = new URL(address, (globalThis as { location?: { href: string } }).location?.href);
  // fetch() would fail as it does where a server is down, and so be tried again and again.
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new EventsError(
      "InvalidParameter",
      `cannot connect to ${url.protocol} addresses: use http or https`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new EventsError("InvalidParameter", "the address holds a user name: send it by the option headers");
  }
  if (types.length > 0) {
    url.searchParams.set("types", types.join(","));
    url.searchParams.set("bookmarks", "true");
  }
  return url;
}

function paceOf({ min = 0.5, max = 30, maxAttempts = Infinity, jitter = true }: ReconnectOptions) {
  checkSeconds("reconnect.min", min);
  checkSeconds("reconnect.max", max);
  if (!(maxAttempts >= 1)) {
    throw new RangeError(`reconnect.maxAttempts must be 1 or more, not ${maxAttempts}`);
  }
  return { min, max, maxAttempts, jitter };
}

function checkSeconds(name: string, seconds: number): void {
  if (!(seconds > 0 && seconds * 1000 <= MAX_DELAY)) {
    throw new RangeError(`${name} must be a number of seconds above 0, not ${seconds}`);
  }
}
