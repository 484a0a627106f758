/**
 * What is published to by `POST`, as `bench/publish.ts` starts it: `posts.ts bare | ours | durable`.
 *
 * Prints `{"ready": {"port"}}`, and ends with its stdin.
 */
import { Hono } from "hono";
import process from "node:process";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { listen } from "./listen.ts";

/** What is used of it. It is installed for the bench alone, so the project's type check must do without it. */
interface DurableStreams {
  DurableStreamTestServer: new (options: { port: number; host: string }) => { start(): Promise<string> };
}

/** The least a handler can do with a body of JSON. */
function bare(): Promise<number> {
  const app = new Hono();
  app.post("/events", async (c) => {
    const body = await c.req.json();
    return c.json({ accepted: body.type === "tick" ? 1 : 0 }, 202);
  });
  return listen(app.fetch);
}

function ours(): Promise<number> {
  const channel = createChannel(catalogue);
  const app = new Hono();
  app.route("/events", eventsEndpoint(channel));
  return listen(app.fetch);
}

/** Durable Streams' server in memory, which has one stream at `/events`. */
async function durable(): Promise<number> {
  const name = "@durable-streams/server";
  const { DurableStreamTestServer }: DurableStreams = await import(name);
  const url = await new DurableStreamTestServer({ port: 0, host: "127.0.0.1" }).start();
  await fetch(`${url}/events`, { method: "PUT", headers: { "Content-Type": "application/json" } });
  return Number(new URL(url).port);
}

const catalogue = defineEvents({
  tick: v.looseObject({ n: v.number(), infohash: v.string(), name: v.string() }),
});

const port = await { bare, ours, durable }[process.argv[2] as "bare" | "ours" | "durable"]();
process.stdin.resume().on("end", () => process.exit(0));
console.log(JSON.stringify({ ready: { port } }));
