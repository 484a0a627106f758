/**
 * A shop that has a Hono app already, and now a feed of its orders: a catalogue, a channel, one route.
 *
 *     npx tsx examples/hono_app.ts          (or: bun examples/hono_app.ts)
 *     deno run --allow-net=127.0.0.1:8086 examples/hono_app.ts
 *
 *     curl -N http://127.0.0.1:8086/events
 *     curl -N 'http://127.0.0.1:8086/events?subject=order/o-1'
 *     curl -H 'Content-Type: application/json' -d '{"id": "o-1", "total": 42}' http://127.0.0.1:8086/orders
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
// In a project of your own: from "events-endpoint".
import { createChannel, defineEvents, eventsEndpoint, EventsError } from "../src/mod.ts";

const order = v.object({ id: v.string(), total: v.pipe(v.number(), v.minValue(0)) });

// The shop as it was.
const orders: v.InferOutput<typeof order>[] = [];
export const app: Hono = new Hono();
app.get("/", (c) => c.text("A shop\n"));
app.get("/orders", (c) => c.json(orders));

// The feed. Only the shop publishes, so `POST /events` is switched off.
const shop = defineEvents({ order_placed: order, shop_closed: null }, {
  subject: { order_placed: ({ id }) => `order/${id}` }, // One order can be followed.
});
const channel = createChannel(shop);
app.route("/events", eventsEndpoint(channel, { publish: false }));

app.post("/orders", async (c) => {
  const placed = await c.req.json();
  const id = channel.publish("order_placed", placed); // Throws where the order does not fit its schema.
  orders.push(placed);
  return c.json({ event: id }, 201);
});

app.onError((error, c) => {
  if (error instanceof SyntaxError) return c.json({ error: "the body is not JSON" }, 400);
  if (error instanceof EventsError) return c.json({ error: error.message, faults: error.issues }, 400);
  console.error(error);
  return c.json({ error: "something went wrong" }, 500);
});

// Listens when it is run, and not when a test imports `app`. Deno and Bun know this way of listening too.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8086);
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, (bound) => {
    console.log(`http://127.0.0.1:${bound.port}`);
  });
}
