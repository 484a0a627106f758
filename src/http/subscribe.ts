/**
 * `GET` and `HEAD`: opens a stream.
 *
 * @module
 */
import type { Context } from "hono";
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { controlLine } from "../events/event.ts";
import type { Hub } from "../stream/hub.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import type { Sink } from "../stream/sink.ts";
import { SocketSink } from "../stream/socket_sink.ts";
import type { End } from "../stream/stats.ts";
import { StreamSink } from "../stream/stream_sink.ts";
import type { Subscriber, Subscription } from "../stream/subscriber.ts";
import type { WireFormat } from "../stream/wire_format.ts";
import type { Authorizer, Grant } from "./authorize.ts";
import type { ConnectionLimiter } from "./connection_limiter.ts";
import { type RefusalCounts, RETRY_AFTER_SECONDS, STATUS } from "./refusal.ts";
import { createFilter, readWanted, type Wanted } from "./event_filter.ts";
import { checkIsolation } from "./isolation.ts";
import { headersOf, negotiate, type Negotiated } from "./negotiate.ts";
import type { EndpointSettings } from "./options.ts";
import type { OriginCheck } from "./origin_check.ts";
import { locateRequest, type RequestedStart, StreamLimit } from "./stream_range.ts";
import { canParkPull, disableIdleTimeout, isCopied, nodeResponse, onDisconnect } from "./runtime.ts";

/** What all streams of an endpoint share. */
export interface SubscribeContext<S extends Schemas> {
  readonly settings: EndpointSettings<S>;
  /** The hub of each wire format. */
  readonly hubs: ReadonlyMap<WireFormat, Hub>;
  readonly limiter: ConnectionLimiter;
  /** `undefined` if every request may do everything. */
  readonly authorizer: Authorizer<S> | undefined;
  readonly refusals: RefusalCounts;
  readonly checkOrigin: OriginCheck;
}

const encoder = new TextEncoder();

/** Makes the handler of `GET` and `HEAD`, which throws an `EventsError` for a request it refuses. */
export function subscribeHandler<S extends Schemas>(
  context: SubscribeContext<S>,
): (c: Context) => Response | Promise<Response> {
  const { authorizer } = context;
  if (authorizer === undefined) return (c) => locateAndOpen(context, c, undefined);
  return async (c) => await locateAndOpen(context, c, await authorizer.authorize(c));
}

/** Finds where a stream starts, and opens it there. */
function locateAndOpen<S extends Schemas>(
  context: SubscribeContext<S>,
  c: Context,
  grant: Grant<S> | undefined,
): Response | Promise<Response> {
  const { wireFormat } = context.settings;
  const negotiated = wireFormat === undefined
    ? negotiate(c.req.header("Accept"), c.req.query("format"))
    : { format: wireFormat, mediaType: wireFormat.mediaTypes[0] };
  const filterOf = () => createFilter(context.settings, c, wantedOf(c, context.settings), grant?.permission);
  const streamLimit = StreamLimit.of(c, context.settings.channel);
  const start = startUnlessOver(locateRequest(c, context.settings.channel, filterOf), streamLimit);
  if (!(start instanceof Promise)) return open(context, c, negotiated, start, grant, streamLimit);
  return start.then(
    async (start) => {
      // To find it may have taken longer than the permission lasts.
      const current = grant && await context.authorizer!.refresh(c, grant);
      return open(context, c, negotiated, start, current, streamLimit);
    },
    (error) => refuseForNow(context, c, negotiated, error),
  );
}

/** Returns where a stream starts; `undefined` if a request resumes where it ends. */
function startUnlessOver(
  start: RequestedStart | Promise<RequestedStart>,
  streamLimit: StreamLimit | undefined,
): RequestedStart | undefined | Promise<RequestedStart | undefined> {
  if (streamLimit === undefined) return start;
  if (start instanceof Promise) return start.then((start) => startUnlessOver(start, streamLimit));
  const isAtEnd = streamLimit.isAtEnd(start);
  if (isAtEnd instanceof Promise) return isAtEnd.then((isAtEnd) => isAtEnd ? undefined : start);
  return isAtEnd ? undefined : start;
}

function open<S extends Schemas>(
  context: SubscribeContext<S>,
  c: Context,
  { format, mediaType }: Negotiated,
  start: RequestedStart | undefined,
  grant: Grant<S> | undefined,
  streamLimit: StreamLimit | undefined,
): Response {
  const { settings, limiter } = context;
  const permission = grant?.permission;
  const follow = readBoolean(c, "follow", true);
  const bookmarks = readBoolean(c, "bookmarks", false);
  const wanted = wantedOf(c, settings);
  // Clients stop for good at this status, an EventSource too (WHATWG HTML 9.2).
  if (start === undefined) {
    return new Response(null, { status: 204, headers: { "Cache-Control": "no-store" } });
  }
  const address = settings.clientAddress(c);
  try {
    limiter.check(address);
  } catch (error) {
    return refuseForNow(context, c, { format, mediaType }, error);
  }
  const headers: Record<string, string> = headersOf(mediaType);
  // Hono answers HEAD with the handler of GET and drops the body without cancelling it: a subscriber would leak.
  if (c.req.method === "HEAD") return new Response(null, { headers });
  // No two streams are the same. Without a tag of its own hono/etag would read each to its end first, to make one.
  headers["ETag"] = `"${crypto.randomUUID()}"`;

  const hub = context.hubs.get(format)!;
  checkIsolation(c, [hub]);
  const { stallTimeout } = settings;
  const hasHeartbeats = format.heartbeat !== "";
  const heartbeat = hasHeartbeats ? heartbeatOf(c, settings) : null;
  // A format without heartbeats does not mention them: a front end may take no other key than its own.
  const payload = { ...(settings.startPayload() as object), ...(hasHeartbeats && { heartbeat }) };
  const preamble = format.preamble + format.writeControl(controlLine("events_start", start.id, payload));
  disableIdleTimeout(c, Math.max(heartbeat ?? Infinity, stallTimeout ?? Infinity));
  const reportEnd = createEndReport(settings, format, address, permission?.name); // Code of the application: if it throws, nothing is acquired.
  const release = inTurn(limiter.acquire(address), reportEnd);
  const stopCheck = context.checkOrigin(c, address, heartbeat === null);
  const onLeave = stopCheck === undefined ? release : inTurn(stopCheck, release);
  const until = follow ? Infinity : settings.channel.last; // After `onConnect`, which may have published.
  const filter = createFilter(settings, c, wanted, permission);
  const createSink = sinkMaker(c, hub, settings.writeToSocket);
  const unlimited = {
    start,
    until,
    filter,
    bookmarks,
    heartbeatMs: heartbeat !== null && heartbeat < settings.heartbeat! ? heartbeat * 1000 : undefined,
    firstBytes: encoder.encode(preamble),
    createSink,
    onLeave,
  };
  const subscription = streamLimit === undefined ? unlimited : limited(unlimited, streamLimit);
  const isForGood = permission?.isFinal === true && permission.expiresAt === undefined;
  const subscriber = grant === undefined || isForGood
    ? hub.subscribe(subscription)
    : subscribeAuthorized(context, c, hub, subscription, wanted, grant, streamLimit);
  streamLimit?.start(hub);
  const { sink } = subscriber;
  const signal = onDisconnect(c, () => hub.leave(subscriber));
  if (signal) sink.listenTo(signal);
  return new Response(sink.body, { headers });
}

/** The seconds between heartbeats. Bun's server may close a copied request after 8 seconds of silence, by default. */
function heartbeatOf<S extends Schemas>(c: Context, { heartbeat }: EndpointSettings<S>): number | null {
  const isLong = heartbeat !== null && heartbeat > DEFAULT_HEARTBEAT_SECONDS;
  return isLong && isCopied(c) ? DEFAULT_HEARTBEAT_SECONDS : heartbeat;
}

// What the hub keeps for a connection must not hold on to the context of its request, which would be most of what an idle
// connection weighs. A closure holds what stands in the scope of its function, so those that need it are made elsewhere.

/** Makes a subscription end by itself. */
function limited(subscription: Subscription, streamLimit: StreamLimit): Subscription {
  return {
    ...subscription,
    until: Math.min(subscription.until, streamLimit.position),
    filter: streamLimit.applyTo(subscription.filter),
    createSink: (subscriber) => {
      streamLimit.subscriber = subscriber;
      return subscription.createSink(subscriber);
    },
    onLeave: inTurn(() => streamLimit.stop(), subscription.onLeave),
  };
}

/** Makes the sink of a request. */
function sinkMaker(c: Context, hub: Hub, writeToSocket: boolean): (subscriber: Subscriber) => Sink {
  return (subscriber) => {
    const stream = new StreamSink(hub, subscriber, canParkPull(c));
    const response = writeToSocket ? nodeResponse(c) : undefined;
    return response ? new SocketSink(hub, subscriber, stream, response) : stream;
  };
}

/** Subscribes for as long as the request is authorized. */
function subscribeAuthorized<S extends Schemas>(
  { settings, authorizer }: SubscribeContext<S>,
  c: Context,
  hub: Hub,
  subscription: Subscription,
  wanted: Wanted,
  grant: Grant<S>,
  streamLimit: StreamLimit | undefined,
): Subscriber {
  let hasLeft = false;
  let stop = () => {};
  const leave = () => {
    hasLeft = true;
    stop();
  };
  const onLeave = inTurn(leave, subscription.onLeave);
  const subscriber = hub.subscribe({ ...subscription, onLeave });
  if (hasLeft) return subscriber;
  stop = authorizer!.keepAuthorized(c, grant, (renewed) => {
    if (renewed === undefined) hub.revoke(subscriber);
    else {
      const filter = createFilter(settings, c, wanted, renewed);
      hub.setFilter(subscriber, streamLimit === undefined ? filter : streamLimit.applyTo(filter));
    }
  });
  return subscriber;
}

/**
 * Calls `onConnect`, and prepares the calls for the end of the stream. They run in the context of the caller, which is that
 * of the request: an async function keeps it across `await` on every runtime.
 *
 * @returns a function that reports the end of the stream; `undefined` if it would do nothing
 */
function createEndReport<S extends Schemas>(
  { onConnect, onStreamEnd, onError }: EndpointSettings<S>,
  format: WireFormat,
  address: string | undefined,
  name: string | undefined,
): ((end: End) => void) | undefined {
  const onLeave = onConnect?.();
  if (onLeave === undefined && onStreamEnd === undefined) return undefined;
  let resolve!: (end: End) => void;
  const ended = new Promise<End>((settle) => resolve = settle);
  const report = async () => {
    const end = await ended;
    try {
      onLeave?.();
    } finally {
      onStreamEnd?.({ ...end, format: format.name, address, name });
    }
  };
  report().catch(onError);
  return resolve;
}

/** Returns a function that calls both, in a scope that holds nothing else. */
function inTurn(first: () => void, second: ((end: End) => void) | undefined): (end: End) => void {
  if (second === undefined) return first;
  return (end) => {
    first();
    second(end);
  };
}

/**
 * Answers an error that is temporary. An EventSource never reconnects after a 503 (WHATWG HTML 9.2), so over SSE the
 * response is a stream that sets the reconnect time, and ends.
 *
 * @throws the error, if it is not temporary or the format cannot express it
 */
function refuseForNow<S extends Schemas>(
  { refusals }: SubscribeContext<S>,
  c: Context,
  { format, mediaType }: Negotiated,
  error: unknown,
): Response {
  const closing = format.closing(RETRY_AFTER_SECONDS * 1000);
  if (closing === "" || !(error instanceof EventsError && STATUS[error.code] === 503)) throw error;
  refusals.count(error);
  c.error = error; // Hono sets it to what a handler throws, and middleware reads it.
  return new Response(c.req.method === "HEAD" ? null : closing, { headers: headersOf(mediaType) });
}

function wantedOf<S extends Schemas>(
  c: Context,
  { channel }: EndpointSettings<S>,
): Wanted {
  return readWanted(c, channel);
}

function readBoolean(c: Context, name: string, fallback: boolean): boolean {
  const value = c.req.query(name);
  if (value === undefined) return fallback;
  if (value === "true" || value === "false") return value === "true";
  const given = JSON.stringify(value.slice(0, 128));
  throw new EventsError("InvalidParameter", `${name} must be true or false, not ${given}`);
}
