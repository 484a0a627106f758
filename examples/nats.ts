/**
 * A feed that NATS JetStream keeps: every server that runs this delivers what any of them publishes.
 *
 *     nats-server --addr 127.0.0.1 --port 4222 --jetstream --store_dir /tmp/nats
 *     npx tsx examples/nats.ts 8086          (or: bun examples/nats.ts 8086)
 *     deno run --allow-net --allow-env examples/nats.ts 8087
 *
 *     curl -N http://127.0.0.1:8086/events
 *     curl -H 'Content-Type: application/json' -d '{"id": "o-1", "total": 42}' http://127.0.0.1:8087/orders
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import process from "node:process";
import * as v from "valibot";
// In a project of your own: from "events-endpoint" and "events-endpoint/nats".
import { defineEvents, eventsEndpoint } from "../src/mod.ts";
import { natsChannel } from "../src/nats/mod.ts";

const shop = defineEvents({ order_placed: v.object({ id: v.string(), total: v.number() }) });
const connection = await connect({
  servers: "nats://127.0.0.1:4222",
  maxReconnectAttempts: -1, // The streams stay open while NATS is away, and go on when it is back.
  noAsyncTraces: true, // Otherwise a third of what an event costs is a stack trace.
});
const channel = await natsChannel(connection, shop, { stream: "SHOP" });

const app = new Hono();
app.route("/events", eventsEndpoint(channel, { publish: false }));
app.post("/orders", async (c) => {
  const id = await channel.publish("order_placed", await c.req.json()); // Resolves once the stream has stored it.
  return c.json({ event: id }, 201);
});

// Deno and Bun know this way of listening too.
const port = Number(process.argv[2] ?? 8086);
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, (bound) => {
  console.log(`http://127.0.0.1:${bound.port}`);
});

process.once("SIGINT", async () => {
  channel.close(); // Ends every stream on a whole event; the clients resume at another server.
  server.close();
  await connection.close();
  process.exit(0);
});
