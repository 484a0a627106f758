/**
 * What an endpoint is made of: its source, its options with their defaults and checks, and what it reports.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import type { PublishedEvent, Schemas, StartOf } from "../events/catalogue.ts";
import type { EventsErrorCode } from "../events/errors.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";
import type { Channel } from "../channel/channel.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import type { End, StreamStats } from "../stream/stats.ts";
import type { Authorize } from "./authorize.ts";
import { clientAddress as connectionAddress } from "./runtime.ts";

/** An application's state behind a channel: the payload of `events_start`, and who is connected. */
export interface EventsSource<S extends Schemas> {
  /** The channel whose events are streamed. */
  readonly channel: Channel<S>;
  /** Returns the payload of `events_start` beside `heartbeat`; called for every connection. */
  startPayload(): StartOf<S>;
  /**
   * Reports that a stream was opened.
   *
   * @returns called once when that stream has ended
   */
  onConnect(): () => void;
}

/** Options of `eventsEndpoint`. */
export interface EndpointOptions<S extends Schemas> {
  /**
   * Seconds of silence after which a stream carries a heartbeat, or a bookmark; default 5. `null` sends no heartbeats;
   * bookmarks and {@linkcode authorize} then keep the pace of the default.
   */
  readonly heartbeat?: number | null;
  /** Returns the payload of `events_start` beside `heartbeat`, for every connection; a session brings its own. */
  readonly startPayload?: () => StartOf<S>;
  /**
   * Seconds after which a client is disconnected that makes no progress: it reads nothing of what was sent, or sends
   * nothing of a body that it has begun; default 60, `null` for never. Reads are observed in steps of 256 to 512 KiB.
   */
  readonly stallTimeout?: number | null;
  /**
   * The longest time in milliseconds that events are held back while the channel is busy, to go out in larger chunks;
   * default 5. An event that follows a quiet moment never waits.
   */
  readonly maxDelay?: number;
  /**
   * Writes the shared chunks straight to the sockets of a `node:http` server; default `false`. This saves a stream, a
   * promise, a read and two writes for each subscriber. It is only for applications without middleware that reads or
   * changes the body of the response: such middleware would see the beginning alone. Elsewhere it has no effect.
   */
  readonly writeToSocket?: boolean;
  /**
   * Selects the events that a request may see, replayed ones too; default all. `events_lost` counts events whatever
   * the filter. If it throws, the response is aborted.
   *
   * @param event the event; shared with other requests, so it must not be changed
   * @param context the request
   */
  readonly filter?: (event: PublishedEvent<S>, context: Context) => boolean;
  /**
   * Decides what a request may do, `POST` and `HEAD` too; default everything. It is called before anything else, and
   * for an open stream twice again within each {@linkcode heartbeat}, each time in the asynchronous context of that
   * request. A stream that loses its permission ends within one heartbeat, on a whole line, and an `EventSource`
   * reconnects and is rejected. If `authorize` takes longer than 0.4 heartbeats, the stream is closed as unauthorized.
   *
   * `false`, and any value that is no permission, is answered with 401 `Unauthorized`; throw an `EventsError` with the
   * code `Forbidden` for 403. Other errors are the application's to handle, and end an open stream ({@linkcode onError}).
   */
  readonly authorize?: Authorize<S>;
  /** Whether events can be published by `POST`; default `true`. */
  readonly publish?: boolean;
  /** Reports the end of each stream that was opened, once: for a line in a log. */
  readonly onStreamEnd?: (end: StreamEnd) => void;
  /**
   * Reports errors that no response can carry, because streams are open: what `filter`, `authorize` or
   * {@linkcode onStreamEnd} throws, and a channel that cannot be read. Default `console.error`.
   */
  readonly onError?: (error: unknown) => void;
  /** The most bytes in the body of a `POST`; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** The most events in the body of a `POST`; default 10 000. */
  readonly maxBatch?: number;
  /** The most levels of objects and arrays in an event of a `POST`, 1 to 1000; its dictionary is the first; default 64. */
  readonly maxDepth?: number;
  /**
   * Seconds for which the response to a `POST` with an `Idempotency-Key` is repeated to the same request; default 120,
   * `null` for never. All clients of the endpoint share the keys, so keys should be random.
   */
  readonly idempotencyWindow?: number | null;
  /** The most idempotency keys that are kept; default 100 000, about 40 MB. Further keys are rejected. */
  readonly maxIdempotencyKeys?: number;
  /** The most streams that may be open; default 10 000, `null` for any number. Further streams are rejected. */
  readonly maxConnections?: number | null;
  /**
   * The most streams that may be open to one client address (IPv6: to one /64 network); default 1000, `null` for any
   * number.
   */
  readonly maxConnectionsPerAddress?: number | null;
  /**
   * Returns the address of a client; default the one that the connection comes from. Behind a proxy a header carries
   * it, which can be trusted only if the proxy overwrites it: `(c) => c.req.header("X-Real-IP")`.
   */
  readonly clientAddress?: (context: Context) => string | undefined;
}

/** How a stream ended, and what it carried. */
export interface StreamEnd extends End {
  /** Its wire format: `ndjson` or `sse`. */
  readonly format: string;
  /** The address of the client, as `clientAddress` returns it; `undefined` if it is unknown. */
  readonly address: string | undefined;
}

/** The counters of an endpoint, which only grow, and how many streams are open. */
export interface EndpointStats {
  /** How many streams are open. */
  readonly subscribers: number;
  /** Its streams by their wire format, `ndjson` and `sse`. */
  readonly formats: Readonly<Record<string, StreamStats>>;
  /** How many requests were rejected, by the code of the error. */
  readonly refusals: Readonly<Partial<Record<EventsErrorCode, number>>>;
}

/** The routes of an endpoint, to be mounted with `app.route(path, endpoint)`. */
export type EventsEndpoint = Hono & {
  /** Returns the counters as plain numbers, for any metrics system. Nothing is counted twice or reset. */
  stats(): EndpointStats;
  /**
   * Aborts every stream that is still open, as `closed`: for a server that stops, after it has closed the channel and
   * waited as long as it can for its readers.
   */
  cut(): void;
};

/** Options that have a default, and therefore always a value. */
type Defaulted =
  | "heartbeat"
  | "stallTimeout"
  | "maxDelay"
  | "writeToSocket"
  | "publish"
  | "onError"
  | "maxBodyBytes"
  | "maxBatch"
  | "maxDepth"
  | "idempotencyWindow"
  | "maxIdempotencyKeys"
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "clientAddress";

/** The options of an endpoint, checked and with their defaults. */
export type EndpointSettings<S extends Schemas> =
  & Required<Pick<EndpointOptions<S>, Defaulted>>
  & Pick<EndpointOptions<S>, "filter" | "authorize" | "onStreamEnd">;

/**
 * Checks options and fills in the defaults. A default that is passed explicitly means the same as no value.
 *
 * @throws {RangeError} for a number that is out of range
 */
export function readOptions<S extends Schemas>(options: EndpointOptions<S>): EndpointSettings<S> {
  const {
    heartbeat = DEFAULT_HEARTBEAT_SECONDS,
    stallTimeout = 60,
    maxDelay = 5,
    writeToSocket = false,
    publish = true,
    onError = (error) => console.error(error),
    maxBodyBytes = 1024 * 1024,
    maxBatch = 10_000,
    maxDepth = 64,
    idempotencyWindow = 120,
    maxIdempotencyKeys = 100_000,
    maxConnections = 10_000,
    maxConnectionsPerAddress = 1000,
    clientAddress = connectionAddress,
    filter,
    authorize,
    onStreamEnd,
  } = options;
  checkSeconds("heartbeat", heartbeat);
  checkSeconds("stallTimeout", stallTimeout);
  checkSeconds("idempotencyWindow", idempotencyWindow);
  checkCount("maxBatch", maxBatch);
  checkCount("maxDepth", maxDepth, 1000);
  checkCount("maxIdempotencyKeys", maxIdempotencyKeys);
  if (maxConnections !== null) checkCount("maxConnections", maxConnections);
  if (maxConnectionsPerAddress !== null) checkCount("maxConnectionsPerAddress", maxConnectionsPerAddress);
  if (!(maxDelay >= 0 && maxDelay <= MAX_TIMER_MS)) {
    throw new RangeError(`maxDelay must be a number of milliseconds from 0 on, not ${maxDelay}`);
  }
  if (!(maxBodyBytes > 0)) throw new RangeError(`maxBodyBytes must be above 0, not ${maxBodyBytes}`);
  return {
    heartbeat,
    stallTimeout,
    maxDelay,
    writeToSocket,
    publish,
    onError,
    maxBodyBytes,
    maxBatch,
    maxDepth,
    idempotencyWindow,
    maxIdempotencyKeys,
    maxConnections,
    maxConnectionsPerAddress,
    clientAddress,
    ...(filter && { filter }),
    ...(authorize && { authorize }),
    ...(onStreamEnd && { onStreamEnd }),
  };
}

function checkSeconds(name: string, seconds: number | null): void {
  if (seconds !== null && !(seconds > 0 && seconds * 1000 <= MAX_TIMER_MS)) {
    throw new RangeError(`${name} must be a number of seconds above 0, or null for never, not ${seconds}`);
  }
}

function checkCount(name: string, count: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= most)) {
    throw new RangeError(`${name} must be a whole number from 1 to ${most}, not ${count}`);
  }
}
