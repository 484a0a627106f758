/**
 * An endpoint to test: with a channel of its own, at `/events` of a Hono app, and a server for it.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import {
  type Catalogue,
  createChannel,
  type EndpointOptions,
  type EventsEndpoint,
  eventsEndpoint,
  type HistoryLimits,
  type MemoryChannel,
  type Schemas,
  type StreamEnd,
} from "../../src/mod.ts";
import { serving, until } from "./harness.ts";

/** The options of the endpoint, its history and its middleware. */
export interface EndpointSettings<S extends Schemas> extends EndpointOptions<S> {
  /** The limits of the history of the channel. Default: those of channels. */
  readonly history?: HistoryLimits;
  /** Middleware before the endpoint, in this order. */
  readonly middleware?: readonly MiddlewareHandler[];
}

/** A channel and its endpoint. */
export interface TestEndpoint<S extends Schemas> {
  readonly channel: MemoryChannel<S>;
  readonly endpoint: EventsEndpoint;
  /** Has the endpoint at `/events`. */
  readonly app: Hono;
  /** The reports of the streams that have ended so far. */
  readonly ends: readonly StreamEnd[];
  /** The errors that were left to the app so far. It answers with the response of the error, or with 500. */
  readonly problems: readonly Error[];
}

/** An endpoint that a server serves. */
export interface ServedEndpoint<S extends Schemas> extends TestEndpoint<S> {
  /** The address of the server; the endpoint is at `/events` below it. */
  readonly url: string;
  readonly port: number;
}

/** Makes an endpoint, for `endpoint.request()` or `app.request()`. */
export function makeEndpoint<S extends Schemas>(
  catalogue: Catalogue<S>,
  settings: EndpointSettings<S> = {},
): TestEndpoint<S> {
  const { history, middleware = [], onStreamEnd, ...options } = settings;
  const channel = createChannel(catalogue, history === undefined ? {} : { history });
  const ends: StreamEnd[] = [];
  const endpoint = eventsEndpoint(channel, {
    ...options,
    onStreamEnd: (end) => {
      ends.push(end);
      onStreamEnd?.(end);
    },
  });
  const problems: Error[] = [];
  const app = new Hono();
  for (const one of middleware) app.use(one);
  app.route("/events", endpoint);
  app.onError((error, c) => {
    problems.push(error);
    return error instanceof HTTPException ? error.getResponse() : c.text("the response of the app", 500);
  });
  return { channel, endpoint, app, ends, problems };
}

/** Serves an endpoint while `use` runs. After that no subscriber and no reader may be left. */
export async function withEndpoint<S extends Schemas>(
  catalogue: Catalogue<S>,
  settings: EndpointSettings<S>,
  use: (served: ServedEndpoint<S>) => Promise<void>,
): Promise<void> {
  const made = makeEndpoint(catalogue, settings);
  await serving(made.app, (url, port) => use({ ...made, url, port }));
  await untilIdle(made);
}

/** Waits until there is no subscriber, and no reader of the channel. */
export async function untilIdle<S extends Schemas>(
  { channel, endpoint }: Pick<TestEndpoint<S>, "channel" | "endpoint">,
): Promise<void> {
  await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
  await until(() => channel.stats().readers === 0, "no reader is left");
}
