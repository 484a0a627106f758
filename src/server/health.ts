/**
 * Health: whether the events of an endpoint can be read and published.
 *
 * @module
 */
import type { Context } from "hono";
import type { EventLog } from "../channel/channel.ts";
import { checkArgument, checkOptions, FUNCTION } from "../events/arguments.ts";
import { type AnyEndpoint, ENDPOINT } from "./any_endpoint.ts";

/** Options of {@linkcode healthHandler}. */
export interface HealthOptions {
  /** Whether the server is shutting down, so that a balancer sends no more clients to it; default once the channel is closed. */
  readonly isDraining?: () => boolean;
}

/**
 * Makes a handler for the checks of balancers and orchestrators. It answers 200 with `{"status":"serving"}`, or with
 * `"degraded"` and a `problem` while something keeps the channel from taking or delivering events: a restart would not help.
 * It answers 503 with `"shutting down"` once the channel is closed.
 *
 * @param endpoint the endpoint, as `eventsEndpoint` makes it
 * @throws {TypeError} for another argument, and for an option that there is not
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 * import { healthHandler } from "events-endpoint/server";
 *
 * const endpoint = eventsEndpoint(createChannel(defineEvents({ tick: null })));
 * const app = new Hono().route("/events", endpoint).get("/healthz", healthHandler(endpoint));
 * console.log(await (await app.request("/healthz")).text()); // {"status":"serving"}
 * ```
 */
export function healthHandler(endpoint: AnyEndpoint, options: HealthOptions = {}): (c: Context) => Response {
  checkArgument("healthHandler: the endpoint", endpoint, ENDPOINT);
  checkOptions("healthHandler", options, { isDraining: FUNCTION });
  return healthOf(endpoint.channel, options.isDraining);
}

/** Makes the handler for a channel. */
export function healthOf(
  channel: EventLog,
  isDraining: () => boolean = () => false,
): (c: Context) => Response {
  return (c) => {
    if (isDraining() || channel.closed) return c.json({ status: "shutting down" }, 503);
    const { problem } = channel;
    // It serves what it has: to restart it would not help.
    return c.json(problem === undefined ? { status: "serving" } : { status: "degraded", problem });
  };
}
