/**
 * The endpoint: Hono handlers that stream a channel to whoever asks, and publish what they are sent.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { PublishedEvent, Schemas, StartOf } from "../events/catalogue.ts";
import type { Channel, EventLog, Start } from "../channel/channel.ts";
import type { Filter } from "../stream/chunk.ts";
import { watchClose } from "../channel/on_close.ts";
import { EventsError, type EventsErrorCode } from "../events/errors.ts";
import { CONTROL_TYPES, controlLine, formatCursor, parseCursor } from "../events/event.ts";
import { createHub, type Hub } from "../stream/hub.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import type { Sink } from "../stream/sink.ts";
import type { Subscriber, Subscription } from "../stream/subscriber.ts";
import {
  canParkPull,
  clientAddress as connectionAddress,
  disableIdleTimeout,
  nodeResponse,
  onDisconnect,
} from "./runtime.ts";
import { createIdempotencyStore } from "./idempotency.ts";
import { headersOf, negotiate, type Negotiated, selectTypes } from "./negotiate.ts";
import { StreamSink } from "../stream/stream_sink.ts";
import { type Authorize, createAuthorizer, type Permission } from "./authorize.ts";
import { createConnectionLimiter } from "./connection_limiter.ts";
import { type Accepted, publishHandler } from "./publish.ts";
import { createRefusalCounts, errorResponse, STATUS, STAY_AWAY } from "./error_response.ts";
import { FORMATS, type WireFormat } from "../stream/wire_format.ts";
import { SocketSink } from "../stream/socket_sink.ts";
import type { End, StreamStats } from "../stream/stats.ts";

/** An application's state behind a channel: what `events_start` says, and who is connected. */
export interface EventsSource<S extends Schemas> {
  /** The channel whose events are streamed. */
  readonly channel: Channel<S>;
  /** The payload of `events_start` beside `heartbeat`, asked for at every connection. */
  startPayload(): StartOf<S>;
  /**
   * Called when a stream has been opened.
   *
   * @returns called once when that stream is over
   */
  onConnect(): () => void;
}

/** Options of {@linkcode eventsEndpoint}. */
export interface EndpointOptions<S extends Schemas> {
  /**
   * Seconds of silence after which a stream carries a heartbeat, or a bookmark; default 5. `null` for no heartbeats: what
   * else keeps its pace, bookmarks and {@linkcode authorize}, has that of the default.
   */
  readonly heartbeat?: number | null;
  /** The payload of `events_start` beside `heartbeat`, asked for at every connection; a session brings its own. */
  readonly startPayload?: () => StartOf<S>;
  /**
   * Seconds after which a client is given up that takes nothing of what it was sent, or sends nothing of a body that
   * it has begun; default 60, `null` for never. What it takes is seen in pieces of 256 to 512 KiB.
   */
  readonly stallTimeout?: number | null;
  /**
   * At most so many milliseconds the next events are held back after the last ones, while the channel is busy, to
   * go out in larger pieces; default 5. An event that comes after a quiet moment never waits.
   */
  readonly maxDelay?: number;
  /**
   * Whether behind a server of `node:http` what all subscribers share is written straight to their sockets; default
   * `false`. That spares each of them a stream, a promise, a read and two writes. Only for applications without middleware that reads or changes
   * the body of the response: it would see no more than the beginning. Elsewhere it changes nothing.
   */
  readonly writeToSocket?: boolean;
  /**
   * Which events a request may see, replayed ones too; default all. `events_lost` counts events whatever this says.
   * Where it throws, the response is cut off.
   *
   * @param event the event; shared with other requests, so not to be changed
   * @param context the request that is being answered
   */
  readonly filter?: (event: PublishedEvent<S>, context: Context) => boolean;
  /**
   * What a request may do, `POST` and `HEAD` too; default everything. It is asked before anything else, and for an
   * open stream twice again within each {@linkcode heartbeat}. A stream whose permission is
   * gone ends within one heartbeat, on a whole line, and an `EventSource` comes back to be refused. So does one whose
   * permission cannot be confirmed: for which nothing was answered for 0.4 of a heartbeat.
   *
   * `false`, and whatever else is no permission, is answered by 401 `Unauthorized`; throw an `EventsError` with the code
   * `Forbidden` for 403. What else it throws is the application's to handle, and ends an open stream ({@linkcode onError}).
   */
  readonly authorize?: Authorize<S>;
  /** Whether events can be published by `POST`; default `true`. */
  readonly publish?: boolean;
  /** Called when a stream is over, once for each that was opened: for a line in a log. */
  readonly onStreamEnd?: (end: StreamEnd) => void;
  /**
   * Told of errors that no answer can tell, because they come up while streams are open: what `select`, `authorize` or
   * {@linkcode onStreamEnd} throws, and a channel that cannot be read. Default `console.error`.
   */
  readonly onError?: (error: unknown) => void;
  /** The most bytes the body of a `POST` may have; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** The most events the body of a `POST` may hold; default 10 000. */
  readonly maxBatch?: number;
  /** The most levels of objects and arrays an event of a `POST` may have, 1 to 1000; its dictionary is the first; default 64. */
  readonly maxDepth?: number;
  /**
   * Seconds for which the answer to a `POST` with an `Idempotency-Key` is kept for whoever sends the same again;
   * default 120, `null` for never. The keys are those of the endpoint, whoever sends them: they should be random.
   */
  readonly idempotencyWindow?: number | null;
  /** The most idempotency keys that are remembered; default 100 000, which is about 40 MB. A further one is refused. */
  readonly maxIdempotencyKeys?: number;
  /** The most streams that may be open; default 10 000, `null` for any number. A further one is refused. */
  readonly maxConnections?: number | null;
  /**
   * The most streams that may be open to one client address (IPv6: to one /64 network), `null` for any number. The
   * default is 1000, but any number to this machine itself, where a proxy would be.
   */
  readonly maxConnectionsPerAddress?: number | null;
  /**
   * The address of a client; default the one that the connection comes from. Behind a proxy it stands in a header,
   * which is to be believed only where the proxy overwrites it: `(c) => c.req.header("X-Real-IP")`.
   */
  readonly clientAddress?: (context: Context) => string | undefined;
}

/** How a stream ended, and what it carried. */
export interface StreamEnd extends End {
  /** Its wire format: `ndjson` or `sse`. */
  readonly format: string;
  /** The address of the client, as `clientAddress` has it, where the server tells it. */
  readonly address: string | undefined;
}

/** What goes on at an endpoint: numbers that only grow since it was made, and how many streams are open. */
export interface EndpointStats {
  /** How many streams are open. */
  readonly subscribers: number;
  /** Its streams by their wire format, `ndjson` and `sse`. */
  readonly formats: Readonly<Record<string, StreamStats>>;
  /** How many requests were refused, by the code they were told. */
  readonly refusals: Readonly<Partial<Record<EventsErrorCode, number>>>;
}

/** The routes of an endpoint, to be mounted with `app.route(path, endpoint)`. */
export type EventsEndpoint = Hono & {
  /** What goes on, as plain numbers: for a metrics system, whichever. Nothing is counted twice or reset. */
  stats(): EndpointStats;
  /**
   * Cuts off every stream that is still open, as `closed`: for a server that stops, which has closed the channel and
   * then waited as long as it can for its readers to take what there was.
   */
  cut(): void;
};

/** The longest delay a timer can have, in milliseconds (HTML 8.7: a 32-bit integer). */
const MAX_DELAY = 2 ** 31 - 1;
/**
 * The handlers of `GET`, `HEAD` and `POST` for a channel, or for a session that has one.
 *
 * `GET` opens a stream that is held open: one JSON dictionary a line, the first one `events_start`. It resumes
 * after the cursor in `Last-Event-ID` or `?since=`. `POST` publishes one event, an array or NDJSON, all or
 * nothing, and once for each `Idempotency-Key`. Whoever reaches the route can do both, unless `authorize` says no;
 * `publish: false` leaves out `POST`.
 *
 * @throws {RangeError} where an option has no meaning
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import * as v from "valibot";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 *
 * const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
 * const app = new Hono();
 * app.route("/events", eventsEndpoint(channel));
 * channel.publish("tick", { n: 1 });
 *
 * const response = await app.request("/events?since=earliest&follow=false");
 * console.log(await response.text()); // events_start and the tick, one a line
 * ```
 */
export function eventsEndpoint<S extends Schemas>(
  source: Channel<S> | EventsSource<S>,
  options: EndpointOptions<S> = {},
): EventsEndpoint {
  const { channel, startPayload, onConnect } = "channel" in source
    ? source
    : sourceOf(source, options.startPayload);
  const {
    heartbeat = DEFAULT_HEARTBEAT_SECONDS,
    stallTimeout = 60,
    maxDelay = 5,
    maxBodyBytes = 1024 * 1024,
  } = options;
  const { maxBatch = 10_000, maxDepth = 64, idempotencyWindow = 120, maxIdempotencyKeys = 100_000 } = options;
  const { onError = (error) => console.error(error) } = options;
  const { maxConnections = 10_000, maxConnectionsPerAddress = 1000, clientAddress = connectionAddress } =
    options;
  checkSeconds("heartbeat", heartbeat);
  checkSeconds("stallTimeout", stallTimeout);
  checkSeconds("idempotencyWindow", idempotencyWindow);
  checkCount("maxBatch", maxBatch);
  checkCount("maxDepth", maxDepth, 1000);
  checkCount("maxIdempotencyKeys", maxIdempotencyKeys);
  if (maxConnections !== null) checkCount("maxConnections", maxConnections);
  if (maxConnectionsPerAddress !== null) checkCount("maxConnectionsPerAddress", maxConnectionsPerAddress);
  if (!(maxDelay >= 0 && maxDelay <= MAX_DELAY)) {
    throw new RangeError(`maxDelay must be a number of milliseconds from 0 on, not ${maxDelay}`);
  }
  if (!(maxBodyBytes > 0)) throw new RangeError(`maxBodyBytes must be above 0, not ${maxBodyBytes}`);
  const hubs = new Map(FORMATS.map((format): [WireFormat, Hub] => {
    return [format, createHub(channel, format, { heartbeat, stallTimeout, maxDelay, onError })];
  }));
  const authorizer = options.authorize &&
    createAuthorizer(options.authorize, (heartbeat ?? DEFAULT_HEARTBEAT_SECONDS) * 1000, onError);
  const limiter = createConnectionLimiter({
    maxConnections,
    maxConnectionsPerAddress,
    exemptLoopback: options.maxConnectionsPerAddress === undefined,
  });
  const idempotencyStore = idempotencyWindow === null
    ? undefined
    : createIdempotencyStore<Accepted>(idempotencyWindow * 1000, maxIdempotencyKeys);
  const refusals = createRefusalCounts();
  const encoder = new TextEncoder();
  /** So many seconds a stream may carry nothing. */
  const silence = Math.max(heartbeat ?? Infinity, stallTimeout ?? Infinity);
  const bodyTimeoutMs = stallTimeout === null ? Infinity : stallTimeout * 1000;

  /** Opens a stream as soon as it is known where it starts. */
  function open(c: Context, permission?: Permission<S>): Response | Promise<Response> {
    const negotiated = negotiate(c.req.header("Accept"), c.req.query("format"));
    const start = locateRequest(c, channel);
    if (!(start instanceof Promise)) return stream(c, negotiated, start, permission);
    return start.then(
      (start) => stream(c, negotiated, start, permission),
      (error) => turnAway(c, negotiated, error),
    );
  }

  /**
   * Refuses for now. An EventSource never comes back from a 503 (WHATWG HTML 9.2), so it is told to, and when, by a
   * stream that ends at once.
   */
  function turnAway(c: Context, { format, mediaType }: Negotiated, error: unknown): Response {
    const farewell = format.closing(STAY_AWAY * 1000);
    if (farewell === "" || !(error instanceof EventsError && STATUS[error.code] === 503)) throw error;
    refusals.count(error);
    c.error = error; // As Hono leaves what was thrown, for middleware to see.
    return new Response(c.req.method === "HEAD" ? null : farewell, { headers: headersOf(mediaType) });
  }

  function stream(
    c: Context,
    { format, mediaType }: Negotiated,
    start: RequestedStart,
    permission?: Permission<S>,
  ): Response {
    const follow = readBoolean(c, "follow", true);
    const bookmarks = readBoolean(c, "bookmarks", false);
    const types = readTypes(c);
    const headers = headersOf(mediaType);
    const address = clientAddress(c);
    try {
      limiter.check(address);
    } catch (error) {
      return turnAway(c, { format, mediaType }, error);
    }
    // Hono answers HEAD with the GET handler and drops the body without cancelling it: nobody would ever leave.
    if (c.req.method === "HEAD") return new Response(null, { headers });

    const payload = { ...(startPayload() as object), heartbeat };
    const opening = format.preamble + format.write(controlLine("events_start", start.id, payload));
    disableIdleTimeout(c, silence);
    const left = onConnect(); // The application's code: where it throws, no place is taken yet.
    const onLeave = inTurn(limiter.acquire(address), endOf(format, address, left));
    const until = follow ? Infinity : channel.last; // The source may have had something to tell whoever comes.
    const hub = hubs.get(format)!;
    const firstBytes = encoder.encode(opening);
    const filter = filterOf(c, types, permission);
    const createSink = sinkMaker(c, hub);
    // Nothing that is kept for the connection may hold on to the context: what an idle one weighs is what it keeps.
    const subscription = { start, until, filter, bookmarks, firstBytes, createSink, onLeave };
    const subscriber = permission === undefined
      ? hub.subscribe(subscription)
      : subscribeWatched(c, hub, subscription, types, permission);
    const { sink } = subscriber;
    const signal = onDisconnect(c, () => hub.leave(subscriber));
    if (signal) sink.listenTo(signal);
    return new Response(sink.body, { headers });
  }

  /** Makes the sink of a request. In a function of its own, because it holds on to the context. */
  function sinkMaker(c: Context, hub: Hub): (subscriber: Subscriber) => Sink {
    return (subscriber) => {
      const stream = new StreamSink(hub, subscriber, canParkPull(c));
      const response = options.writeToSocket ? nodeResponse(c) : undefined;
      return response ? new SocketSink(hub, subscriber, stream, response) : stream;
    };
  }

  /** A subscriber for as long as it has the permission. In a function of its own, because it holds on to the context. */
  function subscribeWatched(
    c: Context,
    hub: Hub,
    subscription: Subscription,
    types: ReadonlySet<string> | undefined,
    permission: Permission<S>,
  ): Subscriber {
    let stop = () => {};
    const onLeave = inTurn(() => stop(), (end) => subscription.onLeave(end));
    const subscriber = hub.subscribe({ ...subscription, onLeave });
    stop = authorizer!.keepAuthorized(c, permission, (renewed) => {
      if (renewed === undefined) hub.revoke(subscriber);
      else hub.setFilter(subscriber, filterOf(c, types, renewed));
    });
    return subscriber;
  }

  /** What to do when the stream is over: nothing more than `left`, where nobody wants to know of it. */
  function endOf(format: WireFormat, address: string | undefined, left: () => void): (end: End) => void {
    const { onStreamEnd } = options;
    if (onStreamEnd === undefined) return left;
    return (end) => {
      left();
      onStreamEnd({ ...end, format: format.name, address });
    };
  }

  /** The types the request wants to see; `undefined`: all. */
  function readTypes(c: Context): ReadonlySet<string> | undefined {
    const known = [...channel.catalogue.types, ...CONTROL_TYPES];
    return selectTypes((c.req.queries("types") ?? []).join(","), known);
  }

  /** What the request wants to see, and may see. */
  function filterOf(
    c: Context,
    types: ReadonlySet<string> | undefined,
    permission: Permission<S> | undefined,
  ): Filter | undefined {
    const { filter } = options;
    const permitted = permission?.filter;
    if (filter === undefined && permitted === undefined) {
      return types && { key: [...types].sort().join(), accepts: (entry) => types.has(entry.type) };
    }
    return {
      callsApplication: true,
      accepts: (entry, event) => {
        if (types?.has(entry.type) === false) return false;
        const published = event() as PublishedEvent<S>;
        if (filter !== undefined && filter(published, c) !== true) return false;
        return permitted === undefined || permitted(published) === true;
      },
    };
  }

  const app = new Hono();
  app.onError((error, c) => {
    refusals.count(error);
    return errorResponse(c, error);
  });
  app.get(
    "/",
    authorizer === undefined ? (c) => open(c) : async (c) => await open(c, await authorizer.authorize(c)),
  );
  if (options.publish ?? true) {
    const publish = publishHandler(channel, {
      maxBodyBytes,
      maxBatch,
      maxDepth,
      bodyTimeoutMs,
      idempotencyStore,
      onClose: watchClose(channel),
    });
    app.post(
      "/",
      authorizer === undefined ? publish : async (c) => (await authorizer.authorize(c), await publish(c)),
    );
  }
  return Object.assign(app, {
    cut: () => hubs.forEach((hub) => hub.abort()),
    stats: () => {
      const formats = [...hubs].map(([{ name }, hub]) => [name, hub.stats()] as const);
      return {
        subscribers: formats.reduce((sum, [, { subscribers }]) => sum + subscribers, 0),
        formats: Object.fromEntries(formats),
        refusals: refusals.read(),
      };
    },
  });
}

/** Both functions in one, in a scope that holds nothing else. */
function inTurn(first: () => void, second: (end: End) => void): (end: End) => void {
  return (end) => {
    first();
    second(end);
  };
}

/** A channel on its own as a source: nobody asks who is connected. */
function sourceOf<S extends Schemas>(
  channel: Channel<S>,
  start: EndpointOptions<S>["startPayload"],
): EventsSource<S> {
  return { channel, startPayload: start ?? (() => ({}) as StartOf<S>), onConnect: () => () => {} };
}

function checkSeconds(name: string, seconds: number | null): void {
  if (seconds !== null && !(seconds > 0 && seconds * 1000 <= MAX_DELAY)) {
    throw new RangeError(`${name} must be a number of seconds above 0, or null for never, not ${seconds}`);
  }
}

function checkCount(name: string, count: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= most)) {
    throw new RangeError(`${name} must be a whole number from 1 to ${most}, not ${count}`);
  }
}

/** Where a request wants to start, and the `id` that `events_start` says so with. */
interface RequestedStart extends Start {
  readonly id: string;
}

function locateRequest(c: Context, channel: EventLog): RequestedStart | Promise<RequestedStart> {
  // A reconnecting EventSource repeats its URL, so what it last saw counts more than what the URL says.
  const lastEventId = c.req.header("Last-Event-ID");
  if (lastEventId) parseCursor(lastEventId);
  const since = lastEventId || c.req.query("since") || "latest";
  const isCursor = since !== "latest" && since !== "earliest";
  const withId = (start: Start): RequestedStart => {
    return { ...start, id: isCursor ? since : formatCursor(start.epoch, start.position) };
  };
  const start = channel.locate(since);
  return start instanceof Promise ? start.then(withId) : withId(start);
}

function readBoolean(c: Context, name: string, absent: boolean): boolean {
  const value = c.req.query(name);
  if (value === undefined) return absent;
  if (value === "true" || value === "false") return value === "true";
  const given = JSON.stringify(value.slice(0, 128));
  throw new EventsError("InvalidParameter", `${name} must be true or false, not ${given}`);
}
