/**
 * The endpoint: Hono routes that stream a channel and publish to it.
 *
 * @module
 */
import { Hono } from "hono";
import type { Schemas, StartOf } from "../events/catalogue.ts";
import type { Channel } from "../channel/channel.ts";
import { watchClose } from "../channel/on_close.ts";
import { createHub, type Hub } from "../stream/hub.ts";
import { DEFAULT_HEARTBEAT_SECONDS } from "../stream/hub_context.ts";
import { FORMATS, type WireFormat } from "../stream/wire_format.ts";
import { createAuthorizer } from "./authorize.ts";
import { createConnectionLimiter } from "./connection_limiter.ts";
import { createRefusalCounts, errorResponse } from "./error_response.ts";
import { createIdempotencyStore } from "./idempotency.ts";
import { type EndpointOptions, type EventsEndpoint, type EventsSource, readOptions } from "./options.ts";
import { type Accepted, publishHandler } from "./publish.ts";
import { subscribeHandler } from "./subscribe.ts";

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
  const settings = readOptions(options);
  const { heartbeat, stallTimeout, idempotencyWindow, onError } = settings;
  const eventsSource = "channel" in source ? source : sourceOf(source, options.startPayload);
  const { channel } = eventsSource;
  const hubs = new Map(
    FORMATS.map((format): [WireFormat, Hub] => [format, createHub(channel, format, settings)]),
  );
  const limiter = createConnectionLimiter({
    ...settings,
    exemptLoopback: options.maxConnectionsPerAddress === undefined,
  });
  const authorizer = settings.authorize &&
    createAuthorizer(settings.authorize, (heartbeat ?? DEFAULT_HEARTBEAT_SECONDS) * 1000, onError);
  const refusals = createRefusalCounts();

  const app = new Hono();
  app.onError((error, c) => {
    refusals.count(error);
    return errorResponse(c, error);
  });
  app.get("/", subscribeHandler({ source: eventsSource, settings, hubs, limiter, refusals, authorizer }));
  if (settings.publish) {
    const publish = publishHandler(channel, {
      ...settings,
      bodyTimeoutMs: stallTimeout === null ? Infinity : stallTimeout * 1000,
      idempotencyStore: idempotencyWindow === null
        ? undefined
        : createIdempotencyStore<Accepted>(idempotencyWindow * 1000, settings.maxIdempotencyKeys),
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

/** A channel on its own as a source: the application does not ask who is connected. */
function sourceOf<S extends Schemas>(
  channel: Channel<S>,
  start: EndpointOptions<S>["startPayload"],
): EventsSource<S> {
  return { channel, startPayload: start ?? (() => ({}) as StartOf<S>), onConnect: () => () => {} };
}
