/**
 * What is published to by `POST`, as `bench/publish.ts` and `bench/sqlite.ts` start it: `posts.ts KIND FOLDER`, where only those that
 * store events need the folder.
 *
 * Prints `{"ready": {"port"}}`, and ends with its stdin.
 */
import { Hono } from "hono";
import { join } from "node:path";
import process from "node:process";
import * as v from "valibot";
import { type Channel, createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import type { Durability } from "../../src/sqlite/mod.ts";
import { listen } from "./listen.ts";

const folder = process.argv[3];

/** What is used of it. It is installed for the bench alone, so the project's type check must do without it. */
interface DurableStreams {
  DurableStreamTestServer: new (
    options: { port: number; host: string; dataDir?: string },
  ) => { start(): Promise<string> };
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

function ours(channel: Channel<typeof catalogue.schemas> = createChannel(catalogue)): Promise<number> {
  const app = new Hono();
  app.route("/events", eventsEndpoint(channel));
  return listen(app.fetch);
}

async function oursInFile(durability: Durability): Promise<number> {
  const { sqliteChannel } = await import("../../src/sqlite/mod.ts");
  return await ours(await sqliteChannel(join(folder!, `${durability}.db`), catalogue, { durability }));
}

/** This project on a stream of NATS that is stored on the disk, at the server of `BENCH_NATS`. */
async function oursOnNats(): Promise<number> {
  const { connect } = await import("@nats-io/transport-node");
  const { natsChannel } = await import("../../src/nats/mod.ts");
  return await ours(await natsChannel(await connect({ servers: process.env["BENCH_NATS"]! }), catalogue));
}

/** Durable Streams' server, in memory or with its files in the folder, which has one stream at `/events`. */
async function durable(): Promise<number> {
  const name = "@durable-streams/server";
  console.info = console.log = console.error; // Its log; stdout is for what this script prints.
  const { DurableStreamTestServer }: DurableStreams = await import(name);
  const url = await new DurableStreamTestServer({
    port: 0,
    host: "127.0.0.1",
    ...(folder !== undefined && { dataDir: join(folder, "durable") }),
  }).start();
  await fetch(`${url}/events`, { method: "PUT", headers: { "Content-Type": "application/json" } });
  return Number(new URL(url).port);
}

const catalogue = defineEvents({
  tick: v.looseObject({ n: v.number(), infohash: v.string(), name: v.string() }),
});

const kinds = {
  bare,
  ours: () => ours(),
  process: () => oursInFile("process"),
  power: () => oursInFile("power"),
  nats: oursOnNats,
  durable,
};
const port = await kinds[process.argv[2] as keyof typeof kinds]();
process.stdin.resume().on("end", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ ready: { port } })}\n`);
