/**
 * `GET` and `HEAD`: from a request to its open stream.
 *
 * @module
 */
import type { Context } from "hono";
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { CONTROL_TYPES, controlLine, formatCursor, parseCursor } from "../events/event.ts";
import type { EventLog, Start } from "../channel/channel.ts";
import type { Hub } from "../stream/hub.ts";
import type { Sink } from "../stream/sink.ts";
import { SocketSink } from "../stream/socket_sink.ts";
import type { End } from "../stream/stats.ts";
import { StreamSink } from "../stream/stream_sink.ts";
import type { Subscriber, Subscription } from "../stream/subscriber.ts";
import type { WireFormat } from "../stream/wire_format.ts";
import type { Authorizer, Permission } from "./authorize.ts";
import type { ConnectionLimiter } from "./connection_limiter.ts";
import { type RefusalCounts, STATUS, STAY_AWAY } from "./error_response.ts";
import { eventFilter, selectTypes } from "./event_filter.ts";
import { headersOf, negotiate, type Negotiated } from "./negotiate.ts";
import type { EndpointSettings, EventsSource } from "./options.ts";
import { canParkPull, disableIdleTimeout, nodeResponse, onDisconnect } from "./runtime.ts";

/** What the streams of one endpoint share. */
export interface SubscribeContext<S extends Schemas> {
  readonly source: EventsSource<S>;
  readonly settings: EndpointSettings<S>;
  /** The hub of each wire format. */
  readonly hubs: ReadonlyMap<WireFormat, Hub>;
  readonly limiter: ConnectionLimiter;
  readonly refusals: RefusalCounts;
  /** Asks what a request may do; `undefined` if every request may do everything. */
  readonly authorizer: Authorizer<S> | undefined;
}

/** A handler of `GET` and `HEAD`, which opens a stream or throws an `EventsError`. */
export type SubscribeHandler = (c: Context) => Response | Promise<Response>;

/** Makes the handler of `GET` and `HEAD`. */
export function subscribeHandler<S extends Schemas>(context: SubscribeContext<S>): SubscribeHandler {
  const { authorizer } = context;
  if (authorizer === undefined) return (c) => locateAndOpen(context, c);
  return async (c) => await locateAndOpen(context, c, await authorizer.authorize(c));
}

/** Opens a stream as soon as its start is known. */
function locateAndOpen<S extends Schemas>(
  context: SubscribeContext<S>,
  c: Context,
  permission?: Permission<S>,
): Response | Promise<Response> {
  const negotiated = negotiate(c.req.header("Accept"), c.req.query("format"));
  const start = locateRequest(c, context.source.channel);
  if (!(start instanceof Promise)) return open(context, c, negotiated, start, permission);
  return start.then(
    (start) => open(context, c, negotiated, start, permission),
    (error) => rejectForNow(context.refusals, c, negotiated, error),
  );
}

/**
 * Answers a request that cannot be served now. An EventSource never comes back from a 503 (WHATWG HTML 9.2), so it gets
 * a stream that says when to reconnect and ends at once.
 */
function rejectForNow(
  refusals: RefusalCounts,
  c: Context,
  { format, mediaType }: Negotiated,
  error: unknown,
): Response {
  const closing = format.closing(STAY_AWAY * 1000);
  if (closing === "" || !(error instanceof EventsError && STATUS[error.code] === 503)) throw error;
  refusals.count(error);
  c.error = error; // As Hono leaves what was thrown, for middleware to see.
  return new Response(c.req.method === "HEAD" ? null : closing, { headers: headersOf(mediaType) });
}

function open<S extends Schemas>(
  context: SubscribeContext<S>,
  c: Context,
  negotiated: Negotiated,
  start: RequestedStart,
  permission: Permission<S> | undefined,
): Response {
  const { source: { channel, startPayload, onConnect }, settings, limiter } = context;
  const { format, mediaType } = negotiated;
  const { heartbeat, stallTimeout } = settings;
  const follow = readBoolean(c, "follow", true);
  const bookmarks = readBoolean(c, "bookmarks", false);
  const types = readTypes(c, channel.catalogue.types);
  const headers = headersOf(mediaType);
  const address = settings.clientAddress(c);
  try {
    limiter.check(address);
  } catch (error) {
    return rejectForNow(context.refusals, c, negotiated, error);
  }
  // Hono answers HEAD with the GET handler and drops the body without cancelling it: its subscriber would never leave.
  if (c.req.method === "HEAD") return new Response(null, { headers });

  const payload = { ...(startPayload() as object), heartbeat };
  const preamble = format.preamble + format.write(controlLine("events_start", start.id, payload));
  disableIdleTimeout(c, Math.max(heartbeat ?? Infinity, stallTimeout ?? Infinity));
  const disconnected = onConnect(); // The application's code: if it throws, no connection is counted yet.
  const onLeave = inTurn(
    limiter.acquire(address),
    onEnd(settings.onStreamEnd, format.name, address, disconnected),
  );
  const until = follow ? Infinity : channel.last; // onConnect may have published something.
  const hub = context.hubs.get(format)!;
  const firstBytes = encoder.encode(preamble);
  const filter = eventFilter(c, types, settings.filter, permission);
  const createSink = sinkFactory(c, hub, settings.writeToSocket);
  // Nothing that is kept for the connection may hold the request: idle memory is what it keeps.
  const subscription = { start, until, filter, bookmarks, firstBytes, createSink, onLeave };
  const subscriber = permission === undefined
    ? hub.subscribe(subscription)
    : subscribeAuthorized(context, c, hub, subscription, types, permission);
  const { sink } = subscriber;
  const signal = onDisconnect(c, () => hub.leave(subscriber));
  if (signal) sink.listenTo(signal);
  return new Response(sink.body, { headers });
}

/** Makes the sink of a request. In a function of its own, because it holds the request. */
function sinkFactory(c: Context, hub: Hub, writeToSocket: boolean): (subscriber: Subscriber) => Sink {
  return (subscriber) => {
    const stream = new StreamSink(hub, subscriber, canParkPull(c));
    const response = writeToSocket ? nodeResponse(c) : undefined;
    return response ? new SocketSink(hub, subscriber, stream, response) : stream;
  };
}

const encoder = new TextEncoder();

/** Subscribes for as long as the request is authorized. In a function of its own, because it holds the request. */
function subscribeAuthorized<S extends Schemas>(
  { authorizer, settings }: SubscribeContext<S>,
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
    else hub.setFilter(subscriber, eventFilter(c, types, settings.filter, renewed));
  });
  return subscriber;
}

/** What to do when the stream has ended: no more than `disconnected` if the application does not ask for it. */
function onEnd<S extends Schemas>(
  onStreamEnd: EndpointSettings<S>["onStreamEnd"],
  format: string,
  address: string | undefined,
  disconnected: () => void,
): (end: End) => void {
  if (onStreamEnd === undefined) return disconnected;
  return (end) => {
    disconnected();
    onStreamEnd({ ...end, format, address });
  };
}

/** Both functions in one, in a scope that holds nothing else. */
function inTurn(first: () => void, second: (end: End) => void): (end: End) => void {
  return (end) => {
    first();
    second(end);
  };
}

/** Where a request starts, and the `id` of its `events_start`. */
interface RequestedStart extends Start {
  readonly id: string;
}

function locateRequest(c: Context, channel: EventLog): RequestedStart | Promise<RequestedStart> {
  // A reconnecting EventSource repeats its URL, so the header is newer than the URL.
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

/** The types that the request asks for; `undefined` for all. */
function readTypes(c: Context, types: readonly string[]): ReadonlySet<string> | undefined {
  return selectTypes((c.req.queries("types") ?? []).join(","), [...types, ...CONTROL_TYPES]);
}

function readBoolean(c: Context, name: string, absent: boolean): boolean {
  const value = c.req.query(name);
  if (value === undefined) return absent;
  if (value === "true" || value === "false") return value === "true";
  const given = JSON.stringify(value.slice(0, 128));
  throw new EventsError("InvalidParameter", `${name} must be true or false, not ${given}`);
}
