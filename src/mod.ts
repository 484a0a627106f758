/**
 * Stream events over HTTP: typed, resumable, on web-standard streams, for Node, Deno and Bun.
 *
 * A channel carries the events of a catalogue; an endpoint streams it to every client.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import * as v from "valibot";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 *
 * const shop = defineEvents({ order_placed: v.object({ id: v.string(), total: v.number() }), shop_closed: null });
 * const channel = createChannel(shop);
 *
 * const app = new Hono();
 * app.route("/events", eventsEndpoint(channel)); // curl -N …/events
 *
 * channel.publish("order_placed", { id: "o-1", total: 42 });
 * ```
 *
 * @module
 */
export { defineEvents } from "./events/catalogue.ts";
export type {
  Catalogue,
  CatalogueOptions,
  Draft,
  PayloadArguments,
  PayloadOf,
  PublishableType,
  PublishedEvent,
  PublishOptions,
  Schemas,
  StartOf,
  StreamEvent,
} from "./events/catalogue.ts";
export type { InferInput, StandardIssue, StandardResult, StandardSchema } from "./events/standard_schema.ts";
export type {
  Batch,
  Channel,
  ChannelStats,
  Entry,
  ErasedEvents,
  EventLog,
  Start,
} from "./channel/channel.ts";
export { eventsEndpoint } from "./http/endpoint.ts";
export type {
  EndpointOptions,
  EndpointStats,
  EventsEndpoint,
  EventsSource,
  StreamEnd,
} from "./http/options.ts";
export type {
  Accepted,
  EventsRoutes,
  PublishInput,
  Refused,
  RefusedStatus,
  RouteResponse,
  StreamQuery,
} from "./http/routes.ts";
export { EventsError } from "./events/errors.ts";
export type { EventsErrorCode, Issue } from "./events/errors.ts";
export type { Authorize, Permission } from "./http/authorize.ts";
export type { TokenPermission } from "./http/authorize_by_token.ts";
export { authorizeByToken } from "./http/authorize_by_token.ts";
export type { AccessKey, CredentialsOptions, Right } from "./http/credentials.ts";
export type {
  EventDictionary,
  EventsBookmark,
  EventsLost,
  EventsStart,
  Loss,
  LossReason,
  StartPayload,
} from "./events/event.ts";
export { createChannel } from "./channel/memory.ts";
export type { HistoryLimits } from "./channel/limits.ts";
export type { Retention } from "./channel/retention.ts";
export type { ChannelOptions, MemoryChannel } from "./channel/memory.ts";
export { createFormat } from "./stream/wire_format.ts";
export type { FormatHooks, FormattedEvent, Line, WireFormat } from "./stream/wire_format.ts";
export type { Dialect } from "./stream/dialects.ts";
export type { Histogram } from "./stream/histogram.ts";
export type { End, EndReason, LossStats, StreamStats } from "./stream/stats.ts";
