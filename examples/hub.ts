/**
 * A hub for events of one's own in twenty lines: the feed, its live page with forms, metrics, OpenAPI and health.
 *
 *     npx tsx examples/hub.ts          (or: bun examples/hub.ts)
 *     deno run --allow-net=127.0.0.1:8086 examples/hub.ts
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import process from "node:process";
import * as v from "valibot";
// In a project of your own: from "events-endpoint" and "events-endpoint/server".
import { createChannel, defineEvents, eventsEndpoint } from "../src/mod.ts";
import { eventsPage, healthHandler, metricsHandler, openApiHandler } from "../src/server/mod.ts";

const order = v.object({ id: v.string(), total: v.pipe(v.number(), v.minValue(0)) });
const endpoint = eventsEndpoint(createChannel(defineEvents({ order_placed: order, shop_closed: null })));

const app = new Hono();
app.route("/events", endpoint);
app.route("/", eventsPage({ endpoint: "/events", openApi: "/openapi.json" }));
app.get("/metrics", metricsHandler(endpoint));
app.get("/openapi.json", openApiHandler(endpoint, { title: "A shop" }));
app.get("/healthz", healthHandler(endpoint));

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.argv[2] ?? 8086) }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`);
});
