/**
 * The endpoint: Hono routes that stream a channel, and publish to it.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { BlankEnv } from "hono/types";
import type { Channel } from "../channel/channel.ts";
import { createPublishedCounts } from "../channel/published_counts.ts";
import { watchClose } from "../channel/on_close.ts";
import type { Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { createHub, type Hub } from "../stream/hub.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import { FORMATS, type WireFormat } from "../stream/wire_format.ts";
import { type Authorizer, createAuthorizer, type Permission } from "./authorize.ts";
import { createConnectionLimiter } from "./connection_limiter.ts";
import { createRefusalCounts, errorResponse, type RefusalCounts } from "./refusal.ts";
import { createIdempotencyStore } from "./idempotency.ts";
import { checkIsolation } from "./isolation.ts";
import {
  type EndpointOptions,
  type EndpointSettings,
  type EventsEndpoint,
  type EventsSource,
  readOptions,
} from "./options.ts";
import { createOriginCheck } from "./origin_check.ts";
import { publishHandler } from "./publish.ts";
import type { Accepted, EventsRoutes } from "./routes.ts";
import { subscribeHandler } from "./subscribe.ts";

/**
 * Makes the handlers of `GET`, `HEAD` and `POST` for a channel, or for a session that has one.
 *
 * `GET` opens a stream that is held open: one JSON dictionary a line, the first one `events_start`. It resumes after
 * the cursor in `Last-Event-ID` or `?since=`. `POST` publishes one event, an array or NDJSON, all or nothing, and once
 * for each `Idempotency-Key`. Every client that reaches the route may do both, unless `authorize` refuses it;
 * `publish: false` removes `POST`. Other methods are answered with 405.
 *
 * @param source the channel, or a source such as a session
 * @param options see {@linkcode EndpointOptions}
 * @throws {TypeError} if there is no such option, or its value is of another kind
 * @throws {RangeError} if an option is outside its range
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
): EventsEndpoint<S> {
  const settings = readOptions(source, options);
  const { channel } = settings;
  const hubs = new Map(
    (settings.wireFormat === undefined ? FORMATS : [settings.wireFormat]).map((
      format,
    ): [WireFormat, Hub] => [format, createHub(channel, format, settings)]),
  );
  const authorized = createPublishedCounts([]);
  const authorizer = authorizerOf(settings, authorized.count);
  const refusals = createRefusalCounts();
  const app = new Hono<BlankEnv, EventsRoutes<S>>();
  const subscribe = subscribeHandler({
    settings,
    hubs,
    limiter: createConnectionLimiter(settings),
    authorizer,
    refusals,
    checkOrigin: createOriginCheck(settings),
  });
  const post = settings.publish ? postHandler(settings, [...hubs.values()], authorizer) : undefined;
  // One route for all methods: from two on Hono wraps each request in three more functions.
  app.all("/", answerErrors(handlerOf({ GET: subscribe, HEAD: subscribe, POST: post }), refusals));
  if (settings.dialect === "8") {
    const info = infoHandler(settings, authorizer);
    app.all("/info", answerErrors(handlerOf({ GET: info, HEAD: info }), refusals));
  }
  return Object.assign(app, {
    channel,
    abort: () => hubs.forEach((hub) => hub.abort()),
    stats: () => {
      const formats = [...hubs].map(([{ name }, hub]) => [name, hub.stats()] as const);
      return {
        subscribers: formats.reduce((sum, [, { subscribers }]) => sum + subscribers, 0),
        formats: Object.fromEntries(formats),
        refusals: refusals.read(),
        authorized: authorized.read(),
      };
    },
  });
}

/** What answers a request. */
type Handler = (c: Context) => Response | Promise<Response>;

/** Answers the errors of a handler. `app.onError()` would too, but Hono would wrap each request in three more functions. */
function answerErrors(handler: Handler, refusals: RefusalCounts): Handler {
  return async (c) => {
    try {
      return await handler(c);
    } catch (error) {
      if (!(error instanceof EventsError)) throw error;
      c.error = error; // As Hono leaves what was thrown, for middleware to see.
      refusals.count(error);
      return errorResponse(c, error);
    }
  };
}

/** Makes the handler of a path from those of its methods, which rejects all others (RFC 9110, section 15.5.6). */
function handlerOf(handlers: Readonly<Record<string, Handler | undefined>>): Handler {
  const methods = new Map(Object.entries(handlers).filter(([, handler]) => handler !== undefined));
  const allowed = [...methods.keys()].join(", ");
  return (c) => {
    const handler = methods.get(c.req.method);
    if (handler !== undefined) return handler(c);
    c.header("Allow", allowed);
    throw new EventsError("MethodNotAllowed", `${c.req.method} is not supported here: use ${allowed}`);
  };
}

function authorizerOf<S extends Schemas>(
  { authorize, heartbeat, onError }: EndpointSettings<S>,
  onAuthorized: (name: string) => void,
): Authorizer<S> | undefined {
  const intervalMs = (heartbeat ?? DEFAULT_HEARTBEAT_SECONDS) * 1000;
  return authorize && createAuthorizer(authorize, intervalMs, onError, onAuthorized);
}

/** Makes the handler of `GET …/info`, which answers with the payload of `events_start`, as Tribler 8 does. */
function infoHandler<S extends Schemas>(
  { startPayload }: EndpointSettings<S>,
  authorizer: Authorizer<S> | undefined,
): (c: Context) => Promise<Response> {
  return async (c) => {
    await authorizer?.authorize(c);
    return Response.json(startPayload(), { headers: { "Cache-Control": "no-store" } });
  };
}

function postHandler<S extends Schemas>(
  settings: EndpointSettings<S>,
  hubs: readonly Hub[],
  authorizer: Authorizer<S> | undefined,
): (c: Context) => Promise<Response> {
  const { channel, stallTimeout, idempotencyWindow, maxIdempotencyKeys } = settings;
  const publish = publishHandler(channel, {
    ...settings,
    bodyTimeoutMs: stallTimeout === null ? Infinity : stallTimeout * 1000,
    idempotencyStore: idempotencyWindow === null
      ? undefined
      : createIdempotencyStore<Accepted>(idempotencyWindow * 1000, maxIdempotencyKeys),
    onClose: watchClose(channel),
  });
  const checked = (c: Context, allowed?: Pick<Permission, "types" | "subjects">) => {
    checkIsolation(c, hubs);
    return publish(c, allowed);
  };
  return authorizer === undefined
    ? (c) => checked(c)
    : async (c) => await checked(c, (await authorizer.authorize(c)).permission);
}
