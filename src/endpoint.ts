/**
 * The endpoint: Hono handlers that stream a channel to whoever asks, and publish what they are sent.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Draft, PublishedEvent, Schemas, StartOf } from "./catalogue.ts";
import { type Channel, type EventLog, locate, type Start } from "./channel.ts";
import type { Filter } from "./chunk.ts";
import { EventsError, type EventsErrorCode, type Fault } from "./errors.ts";
import { CONTROL_TYPES, controlLine, formatCursor, parseCursor } from "./event.ts";
import { createFeed, type Feed } from "./feed.ts";
import { keepOpen, onGone, outgoingOf, parksPull } from "./host.ts";
import { negotiate, selectTypes } from "./negotiate.ts";
import { StreamOutlet } from "./outlet.ts";
import { parseBody, readBody } from "./publish_body.ts";
import { FORMATS, type WireFormat } from "./serialize.ts";
import { SocketOutlet } from "./socket_outlet.ts";

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
  join(): () => void;
}

/** Options of {@linkcode eventsEndpoint}. */
export interface EndpointOptions<S extends Schemas> {
  /** Seconds of silence after which a stream carries a heartbeat, or a bookmark; default 5, `null` for never. */
  readonly heartbeat?: number | null;
  /** The payload of `events_start` beside `heartbeat`, asked for at every connection; a session brings its own. */
  readonly start?: () => StartOf<S>;
  /** Seconds after which a reader is cut off that takes nothing of what it was sent; default 60, `null` for never. */
  readonly stallTimeout?: number | null;
  /**
   * At most so many milliseconds the next events are held back after the last ones, while the channel is busy, to
   * go out in larger pieces; default 5. An event that comes after a quiet moment never waits.
   */
  readonly maxDelay?: number;
  /**
   * Whether on Node what all subscribers share is written straight to their sockets; default `false`. That
   * spares each of them a promise, a read and two writes. Only for applications without middleware that reads or changes the body of the response:
   * it would see no more than the beginning. Elsewhere than on Node it changes nothing.
   */
  readonly direct?: boolean;
  /**
   * Which events a request may see, replayed ones too; default all. `events_lost` counts events whatever this says.
   * Where it throws, the response is cut off.
   *
   * @param event the event; shared with other requests, so not to be changed
   * @param context the request that is being answered
   */
  readonly select?: (event: PublishedEvent<S>, context: Context) => boolean;
  /** Whether events can be published by `POST`; default `true`. */
  readonly publish?: boolean;
  /** The most bytes the body of a `POST` may have; default 1 MiB. */
  readonly maxBodyBytes?: number;
}

/** What goes on at an endpoint. */
export interface EndpointStats {
  /** How many streams are open. */
  readonly subscribers: number;
}

/** The routes of an endpoint, to be mounted with `app.route(path, endpoint)`. */
export type EventsEndpoint = Hono & {
  /** What goes on at the moment. */
  stats(): EndpointStats;
};

const STATUS: Readonly<Partial<Record<EventsErrorCode, ContentfulStatusCode>>> = {
  InvalidEvent: 400,
  InvalidCursor: 400,
  UnknownEventType: 400,
  InvalidParameter: 400,
  NotAcceptable: 406,
  PayloadTooLarge: 413,
  UnsupportedMediaType: 415,
  ChannelClosed: 503,
};

/** The longest delay a timer can have, in milliseconds (HTML 8.7: a 32-bit integer). */
const MAX_DELAY = 2 ** 31 - 1;
/** So many faults of a body are told one by one, at the most; the message tells how many there were. */
const MAX_DETAILS = 1000;
/** And so many characters of them, after the first: each path may be as long as the body. */
const MAX_DETAIL_LENGTH = 100_000;

/**
 * The handlers of `GET`, `HEAD` and `POST` for a channel, or for a session that has one.
 *
 * `GET` opens a stream that is held open: one JSON dictionary a line, the first one `events_start`. It resumes
 * after the cursor in `Last-Event-ID` or `?since=`. `POST` publishes one event, an array or NDJSON, all or
 * nothing. Whoever reaches the route can do both: put your own middleware before it, or set `publish: false`.
 *
 * @throws {RangeError} where an option has no meaning
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import * as v from "valibot";
 * import { createChannel, defineEvents, eventsEndpoint } from "./mod.ts";
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
  const { channel, startPayload, join } = "channel" in source ? source : sourceOf(source, options.start);
  const { heartbeat = 5, stallTimeout = 60, maxDelay = 5, maxBodyBytes = 1024 * 1024 } = options;
  checkSeconds("heartbeat", heartbeat);
  checkSeconds("stallTimeout", stallTimeout);
  if (!(maxDelay >= 0 && maxDelay <= MAX_DELAY)) {
    throw new RangeError(`maxDelay must be a number of milliseconds from 0 on, not ${maxDelay}`);
  }
  if (!(maxBodyBytes > 0)) throw new RangeError(`maxBodyBytes must be above 0, not ${maxBodyBytes}`);
  const feeds = new Map(FORMATS.map((format): [WireFormat, Feed] => {
    return [format, createFeed(channel, format, { heartbeat, stallTimeout, maxDelay })];
  }));
  const encoder = new TextEncoder();

  function stream(c: Context): Response {
    const { format, mediaType } = negotiate(c.req.header("Accept"), c.req.query("format"));
    const start = locateRequest(c, channel);
    const follow = readBoolean(c, "follow", true);
    const bookmarks = readBoolean(c, "bookmarks", false);
    const filter = readFilter(c);
    const headers = {
      "Content-Type": mediaType,
      "Cache-Control": "no-store, no-transform",
      "X-Accel-Buffering": "no",
      "X-Content-Type-Options": "nosniff",
      "Vary": "Accept",
    };
    // Hono answers HEAD with the GET handler and drops the body without cancelling it: nobody would ever leave.
    if (c.req.method === "HEAD") return new Response(null, { headers });

    const payload = { ...(startPayload() as object), heartbeat };
    const opening = format.opening + format.write(controlLine("events_start", start.id, payload));
    keepOpen(c);
    const onLeave = join();
    const until = follow ? Infinity : channel.last; // The source may have had something to tell whoever comes.
    const feed = feeds.get(format)!;
    // Nothing that is kept for the connection may hold on to the context: what an idle one weighs is what it keeps.
    const source = new StreamOutlet(feed, parksPull(c));
    const body = new ReadableStream(source);
    const outgoing = options.direct ? outgoingOf(c) : undefined;
    const outlet = outgoing ? new SocketOutlet(feed, source, outgoing) : source;
    outlet.write(encoder.encode(opening));
    const subscriber = feed.subscribe({ ...start, until, filter, bookmarks, outlet, onLeave });
    outlet.serve(subscriber);
    const signal = onGone(c, () => outlet.handleEvent());
    if (signal) source.listenTo(signal);
    return new Response(body, { headers });
  }

  /** What the request wants to see, and may see. */
  function readFilter(c: Context): Filter | undefined {
    const known = [...channel.catalogue.types, ...CONTROL_TYPES];
    const types = selectTypes((c.req.queries("types") ?? []).join(","), known);
    const maySee = options.select;
    if (maySee !== undefined) {
      return {
        accepts: (entry, event) =>
          (types?.has(entry.type) ?? true) && maySee(event() as PublishedEvent<S>, c) === true,
      };
    }
    return types && { key: [...types].sort().join(), accepts: (entry) => types.has(entry.type) };
  }

  async function publish(c: Context): Promise<Response> {
    const contentType = c.req.header("Content-Type");
    // A middleware that read the body left it with Hono.
    const body = c.req.raw.bodyUsed ? new Response(await c.req.arrayBuffer()).body : c.req.raw.body;
    const text = await readBody(body, c.req.header("Content-Length"), maxBodyBytes);
    const drafts = parseBody(contentType, text, channel.catalogue);
    const ids = channel.publishBatch(drafts as Draft<S>[]);
    return c.json({ accepted: ids.length, last_id: ids.at(-1) }, 202);
  }

  const app = new Hono();
  app.onError((error, c) => errorResponse(c, error));
  app.get("/", stream);
  if (options.publish ?? true) app.post("/", publish);
  return Object.assign(app, {
    stats: () => ({ subscribers: [...feeds.values()].reduce((sum, feed) => sum + feed.subscribers, 0) }),
  });
}

/** A channel on its own as a source: nobody asks who is connected. */
function sourceOf<S extends Schemas>(
  channel: Channel<S>,
  start: EndpointOptions<S>["start"],
): EventsSource<S> {
  return { channel, startPayload: start ?? (() => ({}) as StartOf<S>), join: () => () => {} };
}

function checkSeconds(name: string, seconds: number | null): void {
  if (seconds !== null && !(seconds > 0 && seconds * 1000 <= MAX_DELAY)) {
    throw new RangeError(`${name} must be a number of seconds above 0, or null for never, not ${seconds}`);
  }
}

/** Where a request wants to start, and the `id` that `events_start` says so with. */
function locateRequest(c: Context, channel: EventLog): Start & { readonly id: string } {
  // A reconnecting EventSource repeats its URL, so what it last saw counts more than what the URL says.
  const lastEventId = c.req.header("Last-Event-ID");
  if (lastEventId) parseCursor(lastEventId);
  const since = lastEventId || c.req.query("since") || "latest";
  const start = locate(channel, since);
  const isCursor = since !== "latest" && since !== "earliest";
  return { ...start, id: isCursor ? since : formatCursor(channel.epoch, start.position) };
}

function readBoolean(c: Context, name: string, absent: boolean): boolean {
  const value = c.req.query(name);
  if (value === undefined) return absent;
  if (value === "true" || value === "false") return value === "true";
  throw new EventsError("InvalidParameter", `${name} must be true or false, not ${JSON.stringify(value)}`);
}

/** Refusals in the shape of Tribler's errors; whatever else was thrown is the application's to handle. */
function errorResponse(c: Context, error: Error): Response {
  if (!(error instanceof EventsError)) throw error;
  const { code, message } = error;
  const details = error.faults.slice(0, countShown(error.faults));
  const body = { handled: true, code, message, ...(details.length > 0 ? { details } : {}) };
  return c.json({ error: body }, STATUS[code] ?? 500, code === "NotAcceptable" ? { Vary: "Accept" } : {});
}

/** How many of the faults are told one by one. */
function countShown(faults: readonly Fault[]): number {
  let length = 0;
  const beyond = faults.findIndex(({ path, message }, index) => {
    length += path.length + message.length;
    return index === MAX_DETAILS || (index > 0 && length > MAX_DETAIL_LENGTH);
  });
  return beyond === -1 ? faults.length : beyond;
}
