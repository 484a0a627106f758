/**
 * The options of an endpoint, their checks and defaults, and the types of what it reports.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import type { BlankEnv } from "hono/types";
import type { Channel, EventLog } from "../channel/channel.ts";
import type { Catalogue, PublishedEvent, Schemas, StartOf } from "../events/catalogue.ts";
import type { EventsErrorCode } from "../events/errors.ts";
import {
  BOOLEAN,
  CATALOGUE,
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  NUMBER,
  NUMBER_OR_NULL,
  STRING,
} from "../events/arguments.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import { type Dialect, DIALECTS } from "../stream/dialects.ts";
import type { End, StreamStats } from "../stream/stats.ts";
import { WIRE_FORMAT, type WireFormat } from "../stream/wire_format.ts";
import type { Authorize } from "./authorize.ts";
import type { EventsRoutes } from "./routes.ts";
import { clientAddress as connectionAddress } from "./runtime.ts";

/** The state of an application behind a channel: what `events_start` says, and who is connected. */
export interface EventsSource<S extends Schemas> {
  /** The channel whose events are streamed. */
  readonly channel: Channel<S>;
  /**
   * Returns the payload of `events_start` beside `heartbeat`; called for every stream.
   *
   * @param dialect that of the endpoint: the front end that reads it may take no other keys than its own
   */
  startPayload(dialect: Dialect): StartOf<S>;
  /**
   * Called when a stream opens.
   *
   * @returns a function that is called once when that stream has ended, in the context of its request
   */
  onConnect(): () => void;
}

/** Options of {@linkcode eventsEndpoint}. */
export interface EndpointOptions<S extends Schemas> {
  /**
   * Number of seconds of silence after which a stream carries a heartbeat, or a bookmark; default 5. `null` for no
   * heartbeats; then bookmarks and {@linkcode authorize} keep the pace of the default. A stream whose request is a copy of that
   * of Bun's server, as `app.mount()` makes it, has one at least every 5 seconds.
   */
  readonly heartbeat?: number | null;
  /**
   * The release of Tribler whose front end reads the streams: `"7.1"`, `"7.4"`, `"7.5"`, `"7.12"` or `"8"`, each for the
   * releases up to the next one. Default `"7.1"`: NDJSON or server-sent events, as `Accept` and `?format=` say. In the
   * other dialects these have no effect. `"8"` also has `GET …/info`, which answers with the payload of `events_start`.
   */
  readonly dialect?: Dialect;
  /** The one wire format of all streams, made by `createFormat`: in place of a dialect, and of what `Accept` says. */
  readonly wireFormat?: WireFormat;
  /** Returns the payload of `events_start` beside `heartbeat`; called for every stream. A session brings its own. */
  readonly startPayload?: () => StartOf<S>;
  /**
   * Number of seconds without progress after which a client is disconnected: it reads nothing of what was sent, or sends
   * nothing of a body it has begun. Default 60, `null` for never. Reads are seen in steps of 256 to 512 KiB. Deno and Bun
   * do not show how a body of up to 16 KiB arrives: there it has twice that time in all.
   */
  readonly stallTimeout?: number | null;
  /**
   * Maximum number of milliseconds for which a busy channel holds events back, to send more of them together; default 5.
   * While the channel is quiet, an event is sent at once.
   */
  readonly maxDelay?: number;
  /**
   * Whether events are written straight to the sockets of a `node:http` server; default `false`. It saves a stream, a
   * promise, a read and two writes for each delivery. Only for applications without middleware that reads or changes
   * the body of the response: such middleware would see only its beginning. No effect on other servers.
   */
  readonly writeToSocket?: boolean;
  /**
   * Decides which events a request may see, replayed ones too; default all. `events_lost` counts events regardless. If it
   * throws, the response is aborted. It runs in the context of its request (`AsyncLocalStorage`).
   *
   * @param event the event; shared with other requests, so it must not be changed
   * @param context the request
   */
  readonly filter?: (event: PublishedEvent<S>, context: Context) => boolean;
  /**
   * Decides what a request may do, `POST` and `HEAD` too; default everything. It is called before anything else, and for
   * an open stream twice more within each {@linkcode heartbeat}, in the context of its request. A stream whose permission
   * ends is closed within one heartbeat, on a whole line; an `EventSource` then reconnects and gets a 401. If the answer
   * takes longer than 0.4 heartbeats, the stream is closed as unauthorized.
   *
   * The `subjects` of a permission limit what the request reads and publishes; its `filter` what it reads. A `POST` with an
   * event of another subject is answered with 403 `Forbidden`, and publishes nothing.
   *
   * `false`, and anything else that is not `true` or a permission, is answered with 401 `Unauthorized`; an object with
   * another key, a response or an error is also reported to {@linkcode onError}, as a mistake. Throw an `EventsError` with
   * the code `Forbidden` for 403. Any other error is the application's to handle, and ends an open stream
   * ({@linkcode onError}).
   */
  readonly authorize?: Authorize<S>;
  /** Whether events can be published by `POST`; default `true`. */
  readonly publish?: boolean;
  /** Called once when a stream has ended, in the context of its request: for a log line. */
  readonly onStreamEnd?: (end: StreamEnd) => void;
  /**
   * Called with errors that no response can carry, because they happen while streams are open: errors thrown by
   * {@linkcode filter}, {@linkcode authorize} or {@linkcode onStreamEnd}, a channel that cannot be read, and once that requests
   * are copies of those that Bun's server received, if that shares a limit or may cut a stream. Default `console.error`.
   */
  readonly onError?: (error: unknown) => void;
  /** Maximum number of bytes in the body of a `POST`; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Maximum number of events in the body of a `POST`; default 10 000. */
  readonly maxBatch?: number;
  /** Maximum number of levels of objects and arrays in an event of a `POST`, its dictionary included: 1 to 1000; default 64. */
  readonly maxDepth?: number;
  /**
   * Number of seconds for which the response to a `POST` with an `Idempotency-Key` is kept for repeats; default 120,
   * `null` to ignore the keys. The endpoint has one set of keys for all clients, so keys should be random.
   */
  readonly idempotencyWindow?: number | null;
  /** Maximum number of idempotency keys kept; default 100 000, about 40 MB. When it is reached, new keys get 503. */
  readonly maxIdempotencyKeys?: number;
  /** Maximum number of open streams; default 10 000, `null` for no limit. When it is reached, new streams get 503. */
  readonly maxConnections?: number | null;
  /**
   * Maximum number of open streams to one client address (IPv6: one /64 network); default 1000, `null` for no limit.
   * Loopback addresses are exempt: behind a proxy on this machine every client would have one.
   */
  readonly maxConnectionsPerAddress?: number | null;
  /**
   * Returns the address of a client; default that of the connection. Behind a proxy it is in a header, to be trusted only
   * if the proxy overwrites it: `(c) => c.req.header("X-Real-IP")`. For a copy of a request of Bun's server, as `app.mount()`
   * makes it, the default is `unknown`: all such clients count as one.
   */
  readonly clientAddress?: (context: Context) => string | undefined;
}

/** How a stream ended, and what it carried. */
export interface StreamEnd extends End {
  /** The name of its wire format: `ndjson`, `sse`, `tribler-8`. */
  readonly format: string;
  /**
   * The address of the client as `clientAddress` returned it; `undefined` if there is none, and `unknown` for a copy of a
   * request of Bun's server, as `app.mount()` makes it.
   */
  readonly address: string | undefined;
  /** The name of its permission, such as that of a key; `undefined` if it has none. */
  readonly name: string | undefined;
}

/** Statistics of an endpoint: how many streams are open, and counters that only grow. */
export interface EndpointStats {
  /** Number of open streams. */
  readonly subscribers: number;
  /** Its streams by the name of their wire format, `ndjson` and `sse` by default. */
  readonly formats: Readonly<Record<string, StreamStats>>;
  /** Number of requests that were refused, by error code. */
  readonly refusals: Readonly<Partial<Record<EventsErrorCode, number>>>;
  /** Number of requests that were authorized, by the name of their permission: of up to 500 names, and `(other)`. */
  readonly authorized: Readonly<Record<string, number>>;
}

/** The routes of an endpoint, to be mounted with `app.route(path, endpoint)`. Hono's RPC client sees their types. */
export type EventsEndpoint<S extends Schemas = Schemas> = Hono<BlankEnv, EventsRoutes<S>> & {
  /** The channel whose events it streams, for what reads it. */
  readonly channel: EventLog & { readonly catalogue: Catalogue };
  /** Returns plain numbers for any metrics system. Nothing is counted twice or reset. */
  stats(): EndpointStats;
  /**
   * Aborts every stream that is still open, as `closed`: for a server that shuts down, after it has closed the channel and
   * has waited for readers to receive the rest.
   */
  abort(): void;
};

/** The options with their defaults, and the source. */
export interface EndpointSettings<S extends Schemas> extends
  Required<
    Omit<EndpointOptions<S>, "startPayload" | "wireFormat" | "filter" | "authorize" | "onStreamEnd">
  > {
  readonly channel: Channel<S>;
  readonly startPayload: () => StartOf<S>;
  /** `undefined` for a channel without a source. */
  readonly onConnect: EventsSource<S>["onConnect"] | undefined;
  /** The one wire format; `undefined` if the client chooses. */
  readonly wireFormat: WireFormat | undefined;
  readonly filter: EndpointOptions<S>["filter"];
  readonly authorize: EndpointOptions<S>["authorize"];
  readonly onStreamEnd: EndpointOptions<S>["onStreamEnd"];
}

/** What each option has to be. */
const OPTIONS: Readonly<Record<keyof EndpointOptions<Schemas>, Expected>> = {
  dialect: STRING,
  wireFormat: WIRE_FORMAT,
  heartbeat: NUMBER_OR_NULL,
  startPayload: FUNCTION,
  stallTimeout: NUMBER_OR_NULL,
  maxDelay: NUMBER,
  writeToSocket: BOOLEAN,
  filter: FUNCTION,
  authorize: FUNCTION,
  publish: BOOLEAN,
  onStreamEnd: FUNCTION,
  onError: FUNCTION,
  maxBodyBytes: NUMBER,
  maxBatch: NUMBER,
  maxDepth: NUMBER,
  idempotencyWindow: NUMBER_OR_NULL,
  maxIdempotencyKeys: NUMBER,
  maxConnections: NUMBER_OR_NULL,
  maxConnectionsPerAddress: NUMBER_OR_NULL,
  clientAddress: FUNCTION,
};

/** A channel, or what has one. */
const SOURCE: Expected = {
  text: "a channel, as createChannel makes it, or a source that has one, as createSession makes it",
  accepts: (value) => {
    const { channel = value, startPayload, onConnect } = (value ?? {}) as Record<string, unknown>;
    const { locate, batches, catalogue } = (channel ?? {}) as Record<string, unknown>;
    const isChannel = [locate, batches].every(FUNCTION.accepts) && CATALOGUE.accepts(catalogue);
    return isChannel && (channel === value || [startPayload, onConnect].every(FUNCTION.accepts));
  },
};

/**
 * Checks the options, and applies their defaults.
 *
 * @throws {TypeError} for an option that there is not, and for a value of another kind than its option has
 * @throws {RangeError} if a number is outside its range
 */
export function readOptions<S extends Schemas>(
  source: Channel<S> | EventsSource<S>,
  options: EndpointOptions<S>,
): EndpointSettings<S> {
  checkArgument("eventsEndpoint: the first argument", source, SOURCE);
  checkOptions("eventsEndpoint", options, OPTIONS);
  const settings: EndpointSettings<S> = {
    ...sourceOf(source, options),
    ...formatOf(options),
    heartbeat: withDefault(options.heartbeat, DEFAULT_HEARTBEAT_SECONDS),
    stallTimeout: withDefault(options.stallTimeout, 60),
    maxDelay: options.maxDelay ?? 5,
    writeToSocket: options.writeToSocket ?? false,
    publish: options.publish ?? true,
    filter: options.filter,
    authorize: options.authorize,
    onStreamEnd: options.onStreamEnd,
    onError: options.onError ?? ((error) => console.error(error)),
    maxBodyBytes: options.maxBodyBytes ?? 1024 * 1024,
    maxBatch: options.maxBatch ?? 10_000,
    maxDepth: options.maxDepth ?? 64,
    idempotencyWindow: withDefault(options.idempotencyWindow, 120),
    maxIdempotencyKeys: options.maxIdempotencyKeys ?? 100_000,
    maxConnections: withDefault(options.maxConnections, 10_000),
    maxConnectionsPerAddress: withDefault(options.maxConnectionsPerAddress, 1000),
    clientAddress: options.clientAddress ?? connectionAddress,
  };
  for (const name of ["heartbeat", "stallTimeout", "idempotencyWindow"] as const) {
    checkSeconds(name, settings[name]);
  }
  for (
    const name of ["maxBatch", "maxIdempotencyKeys", "maxConnections", "maxConnectionsPerAddress"] as const
  ) {
    checkCount(name, settings[name]);
  }
  checkCount("maxDepth", settings.maxDepth, 1000);
  const { maxDelay, maxBodyBytes } = settings;
  if (!(maxDelay >= 0 && maxDelay <= MAX_TIMER_MS)) {
    throw new RangeError(`maxDelay must be a number of milliseconds from 0 on, not ${maxDelay}`);
  }
  if (!(maxBodyBytes > 0)) throw new RangeError(`maxBodyBytes must be above 0, not ${maxBodyBytes}`);
  return settings;
}

function formatOf(
  { dialect = "7.1", wireFormat }: EndpointOptions<Schemas>,
): Pick<EndpointSettings<Schemas>, "dialect" | "wireFormat"> {
  if (dialect === "7.1") return { dialect, wireFormat };
  if (wireFormat !== undefined) {
    throw new RangeError("an endpoint has a dialect or a wireFormat, not both: leave one out");
  }
  if (!Object.hasOwn(DIALECTS, dialect)) {
    const names = ["7.1", ...Object.keys(DIALECTS)].join(", ");
    throw new RangeError(`dialect must be one of ${names}, not ${JSON.stringify(dialect)}`);
  }
  return { dialect, wireFormat: DIALECTS[dialect] };
}

/** Returns the value, or the default if it is absent: `null` is a value, which switches something off. */
function withDefault(value: number | null | undefined, fallback: number): number | null {
  return value === undefined ? fallback : value;
}

function sourceOf<S extends Schemas>(
  source: Channel<S> | EventsSource<S>,
  { startPayload, dialect = "7.1" }: EndpointOptions<S>,
): Pick<EndpointSettings<S>, "channel" | "startPayload" | "onConnect"> {
  if (!("channel" in source)) {
    return {
      channel: source,
      startPayload: startPayload ?? (() => ({}) as StartOf<S>),
      onConnect: undefined,
    };
  }
  return {
    channel: source.channel,
    startPayload: () => source.startPayload(dialect),
    onConnect: () => source.onConnect(),
  };
}

function checkSeconds(name: string, seconds: number | null): void {
  if (seconds !== null && !(seconds > 0 && seconds * 1000 <= MAX_TIMER_MS)) {
    throw new RangeError(`${name} must be a number of seconds above 0, or null for never, not ${seconds}`);
  }
}

function checkCount(name: string, count: number | null, most: number = Number.MAX_SAFE_INTEGER): void {
  if (count !== null && !(Number.isSafeInteger(count) && count >= 1 && count <= most)) {
    throw new RangeError(`${name} must be a whole number from 1 to ${most}, not ${count}`);
  }
}
