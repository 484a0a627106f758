/**
 * What a reader costs that has stopped reading: `tsx bench/stalled.ts`.
 *
 * A server whose history is full, and a second process for each reader, which asks for the stream and reads nothing of
 * it. After each of them more is published than a connection's buffers and the history hold, so that each is stuck in
 * a place of its own, with bytes of its own to hold on to. What memory is more by with many of them than with few,
 * divided by how many more they are, is what a stalled reader keeps.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Hono } from "hono";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../src/mod.ts";
import { listen } from "../src/server/listen.ts";

const MIB = 1024 * 1024;
const HISTORY = 2 * MIB;
const [FEW, MANY] = [5, 35];
/** More than the two sockets of a connection hold between them. */
const STUCK = 8 * MIB;

/** Asks for the stream and never reads it. */
function stall(port: number): void {
  setInterval(() => {}, 60_000); // A socket that is not read from keeps no process alive.
  const socket = connect(port, "127.0.0.1", () => {
    socket.write("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  });
}

/** The bytes in use in this process once nothing more can be forgotten. */
async function memoryInUse(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await pause(100);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function measure(readers: number): Promise<number> {
  const catalogue = defineEvents({ note: v.object({ text: v.string() }) });
  const channel = createChannel(catalogue, { history: { bytes: HISTORY } });
  const endpoint = eventsEndpoint(channel, {
    stallTimeout: null,
    writeToSocket: true,
  });
  const app = new Hono();
  app.route("/events", endpoint);
  const server = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
  const clients: ReturnType<typeof spawn>[] = [];
  for (let reader = 1; reader <= readers; reader++) {
    const args = ["--import", "tsx", process.argv[1]!, String(server.port)];
    clients.push(spawn(process.execPath, args, { stdio: "inherit" }));
    while (endpoint.stats().subscribers < reader) await pause(20);
    for (let published = 0; published < STUCK; published += 100 * 1024) {
      for (let i = 0; i < 100; i++) {
        channel.publish("note", { text: "x".repeat(1024) });
      }
      await pause(2);
    }
  }
  await pause(500);
  if (endpoint.stats().subscribers < readers) {
    throw new Error("some of the readers have gone");
  }
  const memory = await memoryInUse();
  for (const client of clients) client.kill();
  await server.stop(0);
  return memory;
}

const [port] = process.argv.slice(2);
if (port !== undefined) {
  stall(Number(port));
} else {
  const few = await measure(FEW);
  const many = await measure(MANY);
  console.log(`${FEW} stalled readers: ${(few / MIB).toFixed(1)} MiB in use`);
  console.log(`${MANY} stalled readers: ${(many / MIB).toFixed(1)} MiB`);
  console.log(
    `each keeps ${((many - few) / (MANY - FEW) / 1024).toFixed(1)} KiB`,
  );
  process.exit(0);
}
