/** Hono's own helper: `streamSSE`, and one `writeSSE()` per subscriber. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { takePlans } from "./control.ts";
import { dictionary, idOf, type Tick } from "./event.ts";

const subscribers = new Set<SSEStreamingApi>();
const app = new Hono();

app.get("/events", (context) =>
  streamSSE(context, async (stream) => {
    await stream.writeSSE({ event: "events_start", data: "{}" });
    subscribers.add(stream);
    await new Promise<void>((resolve) => stream.onAbort(resolve));
    subscribers.delete(stream);
  }));

function publish(tick: Tick): void {
  const message = { id: idOf(tick.n), event: "tick", data: dictionary(tick) };
  // Not awaited: one subscriber that reads slowly would hold up all the others.
  for (const stream of subscribers) void stream.writeSSE(message);
}

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => takePlans(port, publish));
