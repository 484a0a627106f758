/**
 * The types of {@linkcode connect}; its options, their checks and defaults.
 *
 * @module
 */
import type { Catalogue, PayloadOf, PublishableType, Schemas } from "../events/catalogue.ts";
import {
  BOOLEAN,
  CATALOGUE,
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  NUMBER,
  NUMBER_OR_NULL,
  OBJECT,
  STRING,
  STRINGS,
} from "../events/arguments.ts";
import { EventsError, type Issue } from "../events/errors.ts";
import type { Loss } from "../events/event.ts";
import { isSubject, SUBJECT_TEXT } from "../events/subject.ts";
import { parseTime } from "../events/time.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";
import type { Dictionary } from "./frame.ts";
import type { Backoff } from "./retry.ts";

/**
 * An event of a catalogue as a client reads it. It has no `id` and no `time` if the server sends none, as a real Tribler.
 */
export type ReceivedEvent<Type extends string, Payload> =
  & { readonly type: Type }
  & (Payload extends undefined ? { readonly event?: never } : { readonly event: Payload })
  & { readonly subject?: string; readonly id?: string; readonly time?: string };

/** A payload whose integers beyond what a double holds exactly are BigInt: where its schema has a number it may be one. */
export type Exact<Payload> = Payload extends number ? (number extends Payload ? number | bigint : Payload)
  : Payload extends object ? { [K in keyof Payload]: Exact<Payload[K]> }
  : Payload;

/**
 * What a client yields: with a catalogue a union over its events and `events_lost`, which narrows by `type`; without one
 * dictionaries of which only the type is known. With the option `bigint` any number in a payload may be a BigInt.
 */
export type ClientEvent<S extends Schemas, BigInts extends boolean = false> = string extends keyof S
  ? Dictionary
  :
    | {
      [T in PublishableType<S>]: ReceivedEvent<
        T,
        true extends BigInts ? Exact<PayloadOf<S, T>> : PayloadOf<S, T>
      >;
    }[PublishableType<S>]
    | ReceivedEvent<"events_lost", Loss>;

/** The state of a connection. A union that narrows by `type`. */
export type Status =
  /** It requests the stream. `attempt` counts from 1, again after a connection that lasted. */
  | { readonly type: "connecting"; readonly attempt: number }
  /**
   * The stream has begun. `start` is its `events_start`, if the server sent one. `resumed` says whether it continues
   * after the cursor that was sent; if `false`, events may have been missed.
   */
  | { readonly type: "open"; readonly start: Dictionary | undefined; readonly resumed: boolean }
  /** The open stream was lost. */
  | { readonly type: "lost"; readonly cause: EventsError }
  /** It waits `delay` seconds before this attempt, because of `cause`. */
  | {
    readonly type: "waiting";
    readonly delay: number;
    readonly attempt: number;
    readonly cause: EventsError;
  }
  /** It has ended; `cause` is the error, if it was one. */
  | { readonly type: "closed"; readonly cause?: EventsError };

/**
 * A stream of events that outlives its connections. It works with `await using` if TypeScript's `esnext.disposable` is
 * there, and does not need it.
 */
export interface Connection<E> extends
  AsyncIterableIterator<E>,
  Record<
    SymbolConstructor extends { readonly asyncDispose: infer Key extends symbol } ? Key : never,
    () => Promise<void>
  > {
  /**
   * The cursor to resume after: the `id` of the last event that `next()` returned, which is the current event in the body of
   * a loop. Pass it to `since` after a restart. Events that are not yielded (`events_start`, bookmarks) move it too; events
   * that were only received never do.
   */
  readonly lastId: string | undefined;
  /**
   * The JSON text of the last event that `next()` returned, as the server wrote it: every digit, the order of keys, escapes and
   * white space. If the dialect of the server has no such text (Tribler 7.12 and later, or a block with an `id` of its
   * own) it is put together of the texts of its parts.
   */
  readonly lastText: string | undefined;
  /** Its status; before the first `next()` that of the first attempt. */
  readonly status: Status;
  /** Returns the next event. Rejects once if the connection cannot continue; after that, and after its end, it is done. */
  next(): Promise<IteratorResult<E, undefined>>;
  /** Ends the connection at once, and every `next()` that waits. */
  return(): Promise<IteratorResult<E, undefined>>;
  /** Returns itself. */
  [Symbol.asyncIterator](): Connection<E>;
}

/** How a client reconnects. */
export interface ReconnectOptions {
  /** The longest wait after a first failure, in seconds; default 0.5, or `max` if that is less. It doubles with each failure. */
  readonly min?: number;
  /** The longest wait, in seconds, without what the server asks for; default 30. */
  readonly max?: number;
  /** Maximum number of attempts in a row that may fail; default `Infinity`. */
  readonly maxAttempts?: number;
  /** Whether each wait is a random part of the longest one; default `true`. */
  readonly jitter?: boolean;
  /**
   * The longest time that a server can make the client wait (`Retry-After`, or `retry:` in SSE), in seconds; default 3600.
   * If it asks for more, the client waits this long.
   */
  readonly maxRetryAfter?: number;
}

/** The argument of `new Headers()`. Not every runtime's types have a name for it. */
export type HeadersLike = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** The argument of the function under `headers`. */
export interface HeadersRequest {
  /** The number of the attempt that the headers are for, from 1. */
  readonly attempt: number;
  /** Whether the last headers were rejected with 401, so that a new token is needed. */
  readonly unauthorized: boolean;
}

/** Options of {@linkcode connect}. */
export interface ConnectOptions<S extends Schemas = Schemas, BigInts extends boolean = false> {
  /** The event types of the stream: they give the yielded events their type, and events are validated against them. */
  readonly catalogue?: Catalogue<S>;
  /** The types to receive; `*` at the end of a name matches a prefix. Default all. */
  readonly types?: readonly string[];
  /** The subjects to receive; `*` at the end of one matches a prefix. Default all, and events without a subject. */
  readonly subjects?: readonly string[];
  /**
   * Where to start: after a cursor; at a time, as a `Date` or as text (RFC 3339, or a duration back like `"-10m"`);
   * `"earliest"` for all events kept; `"latest"` for events from now on. Default: the server's default, which is `"latest"`.
   */
  readonly since?: string | Date;
  /** Starts with this many of the newest events; not beside `since`. */
  readonly last?: number;
  /**
   * Where to end: at a time, as a `Date` or as text (RFC 3339, or a duration back), also one that is still to come; or after
   * the event with this cursor.
   */
  readonly until?: string | Date;
  /** Ends the iteration after this many events, `events_lost` not counted. */
  readonly limit?: number;
  /** Ends the connection when it is aborted, as `return()` does: the iteration is done, and nothing is thrown. */
  readonly signal?: AbortSignal;
  /**
   * The headers of every request; or a function, called for every attempt, for headers that change. What it throws rejects
   * `next()`.
   */
  readonly headers?: HeadersLike | ((request: HeadersRequest) => HeadersLike | Promise<HeadersLike>);
  /** A key, sent as `X-Api-Key`. */
  readonly apiKey?: string;
  /** How to reconnect; `false` for not at all. */
  readonly reconnect?: false | ReconnectOptions;
  /**
   * Number of seconds of silence after which an open connection counts as dead, and the longest wait for a response; `null`
   * for never. Default 2.5 times the heartbeat that `events_start` announced, never if it announced none; and 30 for a
   * response, to which the first event belongs.
   */
  readonly idleTimeout?: number | null;
  /** Maximum number of bytes in a line, in SSE of characters in a block; default 16 MiB. */
  readonly maxLineBytes?: number;
  /**
   * Called with an event whose type the catalogue does not have; it is not yielded. Default: a warning on the console,
   * once for each type.
   */
  readonly onUnknown?: (event: Dictionary) => void;
  /**
   * What happens to an event whose payload does not fit its schema. `"throw"`, the default: `next()` rejects with
   * `InvalidEvent`, and the connection is closed. Or a function that is called with it and its issues; it is not yielded.
   */
  readonly onInvalid?: "throw" | ((event: Dictionary, issues: readonly Issue[]) => void);
  /**
   * Whether integers beyond what a double holds exactly (above 2⁵³ − 1, up to 308 digits) are BigInt in events; default
   * `false`. All other numbers stay numbers. A schema of the catalogue checks the number that the BigInt stands for, so
   * `v.number()` accepts both.
   */
  readonly bigint?: BigInts;
  /** Called at every change of the status. */
  readonly onStatus?: (status: Status) => void;
  /** Used in place of the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Response | Promise<Response>;
}

/** The options, checked and with their defaults. */
export interface Settings {
  /** The address, without the parameters that change from one attempt to the next. */
  readonly url: URL;
  /** How to reconnect; `undefined` for not at all. */
  readonly backoff: (Backoff & { readonly maxAttempts: number }) | undefined;
  /** Where the stream ends: a cursor, or a time; `undefined` if it does not. */
  readonly until: string | undefined;
  /** The time at which it ends, in milliseconds since 1970; infinity if that is not known. */
  readonly untilMs: number;
  /** The headers of every request, or the function that returns them. */
  readonly headers: Headers | ((request: HeadersRequest) => HeadersLike | Promise<HeadersLike>);
  /** Milliseconds to wait for a response. */
  readonly responseTimeoutMs: number;
  /** Milliseconds of silence; `undefined` if the server's heartbeat decides. */
  readonly idleTimeoutMs: number | undefined;
  /** Maximum number of bytes in a line. */
  readonly maxLineBytes: number;
}

const PLACE: Expected = {
  text: "a string, or a valid Date",
  accepts: (value) => STRING.accepts(value) || value instanceof Date && !Number.isNaN(value.getTime()),
};
/** The names of the options, and what each of them has to be. */
export const CONNECT_OPTIONS: Readonly<Record<keyof ConnectOptions, Expected>> = {
  catalogue: CATALOGUE,
  types: STRINGS,
  subjects: STRINGS,
  since: PLACE,
  until: PLACE,
  signal: {
    text: "an AbortSignal",
    accepts: (value) => FUNCTION.accepts((value as Partial<AbortSignal> | null)?.addEventListener),
  },
  headers: {
    text: "headers, as new Headers() takes them, or a function that returns them",
    accepts: (value) => typeof value === "function" || typeof value === "object" && value !== null,
  },
  apiKey: STRING,
  reconnect: {
    text: "a plain object, or false",
    accepts: (value) => value === false || OBJECT.accepts(value),
  },
  idleTimeout: NUMBER_OR_NULL,
  maxLineBytes: NUMBER,
  last: NUMBER,
  limit: NUMBER,
  bigint: BOOLEAN,
  onUnknown: FUNCTION,
  onInvalid: {
    text: 'a function, or "throw"',
    accepts: (value) => value === "throw" || typeof value === "function",
  },
  onStatus: FUNCTION,
  fetch: FUNCTION,
};
const SUBJECT: Expected = { text: SUBJECT_TEXT, accepts: isSubject };
const RECONNECT: Readonly<Record<keyof ReconnectOptions, Expected>> = {
  min: NUMBER,
  max: NUMBER,
  maxAttempts: NUMBER,
  jitter: BOOLEAN,
  maxRetryAfter: NUMBER,
};

/**
 * Checks options, and applies their defaults.
 *
 * @throws {TypeError} if the address is not valid, there is no such option, or its value is of another kind
 * @throws {EventsError} `InvalidParameter` if the address cannot be fetched
 * @throws {RangeError} if an option is outside its range
 */
export function readOptions<S extends Schemas>(
  address: string | URL,
  options: ConnectOptions<S, boolean>,
): Settings {
  checkOptions("connect", options, CONNECT_OPTIONS);
  const { idleTimeout, reconnect = {}, maxLineBytes = 16 * 1024 * 1024 } = options;
  if (idleTimeout !== undefined && idleTimeout !== null) checkSeconds("idleTimeout", idleTimeout);
  if (!(maxLineBytes > 0)) throw new RangeError(`maxLineBytes must be above 0, not ${maxLineBytes}`);
  for (const subject of options.subjects ?? []) {
    checkArgument("connect: each of the subjects", subject, SUBJECT);
  }
  checkCount("last", options.last);
  checkCount("limit", options.limit);
  const limit = idleTimeout === null ? Infinity : idleTimeout === undefined ? undefined : idleTimeout * 1000;
  const { headers, apiKey } = options;
  if (apiKey !== undefined) headersOf("apiKey", { "X-Api-Key": apiKey });
  const end = endOf(options.until);
  return {
    headers: typeof headers === "function" ? headers : headersOf("headers", headers),
    url: urlOf(address, options, end.until),
    ...end,
    backoff: reconnect === false ? undefined : backoffOf(reconnect),
    responseTimeoutMs: limit ?? 30_000,
    idleTimeoutMs: limit,
    maxLineBytes,
  };
}

/** Reads where a stream ends. A duration back counts from now, and not from each attempt. */
function endOf(until: string | Date | undefined): Pick<Settings, "until" | "untilMs"> {
  if (until === undefined || until === "") return { until: undefined, untilMs: Infinity };
  const ms = typeof until === "string" ? parseTime(until, Date.now()) : until.getTime();
  if (ms === undefined) return { until: until as string, untilMs: Infinity };
  return { until: new Date(ms).toISOString(), untilMs: ms };
}

/**
 * Makes the headers of a request. The errors of runtimes show the value, which may be a key.
 *
 * @param option the option that has them
 * @throws {TypeError} if they cannot be sent
 */
export function headersOf(option: string, headers: HeadersLike | undefined): Headers {
  try {
    return new Headers(headers);
  } catch {
    throw new TypeError(`connect: ${option} cannot be sent: a name or value in it is not valid in HTTP`);
  }
}

function urlOf(
  address: string | URL,
  { types = [], subjects = [] }: Pick<ConnectOptions, "types" | "subjects">,
  until: string | undefined,
): URL {
  const base = (globalThis as { location?: { href: string } }).location?.href;
  let url: URL;
  try {
    url = new URL(address, base);
  } catch {
    const given = JSON.stringify(String(address).slice(0, 200));
    throw new TypeError(`connect: ${given} is not an address: use one like http://localhost:8085/events`);
  }
  // fetch() would fail as it does for a server that is down, and be retried for ever.
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new EventsError(
      "InvalidParameter",
      `cannot connect to ${url.protocol} addresses: use http or https`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new EventsError(
      "InvalidParameter",
      "the address contains a user name or password: send an Authorization header instead (option headers)",
    );
  }
  if (types.length > 0) url.searchParams.set("types", types.join(","));
  if (subjects.length > 0) url.searchParams.delete("subject");
  for (const subject of subjects) url.searchParams.append("subject", subject);
  if (until !== undefined) url.searchParams.set("until", until);
  // A bookmark is the cursor of what a filter of the server hides, and so of the end of the stream.
  if (types.length + subjects.length > 0 || until !== undefined) url.searchParams.set("bookmarks", "true");
  return url;
}

function backoffOf(options: ReconnectOptions) {
  checkOptions("connect: reconnect", options, RECONNECT);
  const { max = 30, min = Math.min(0.5, max), maxAttempts = Infinity, jitter = true, maxRetryAfter = 3600 } =
    options;
  checkSeconds("reconnect.max", max);
  checkSeconds("reconnect.min", min);
  if (min > max) {
    const limit = options.max === undefined ? `its default of ${max}` : max;
    throw new RangeError(`reconnect.min must be at most reconnect.max, not ${min} with ${limit}`);
  }
  checkSeconds("reconnect.maxRetryAfter", maxRetryAfter);
  checkCount("reconnect.maxAttempts", maxAttempts);
  return { min, max, maxAttempts, jitter, maxRetryAfter };
}

function checkCount(name: string, count: number = 1): void {
  if (!(count >= 1 && (Number.isInteger(count) || count === Infinity))) {
    throw new RangeError(`${name} must be a whole number from 1 on, not ${count}`);
  }
}

function checkSeconds(name: string, seconds: number): void {
  if (!(seconds > 0 && seconds * 1000 <= MAX_TIMER_MS)) {
    throw new RangeError(`${name} must be a number of seconds above 0, not ${seconds}`);
  }
}
