/**
 * What a reader costs that has stopped reading: `tsx bench/stalled.ts [subscribers]`.
 *
 * A server, and a second process with so many sockets that ask for the stream and read nothing of it. Then more is
 * published than history holds, several times over. What memory grows by, over the same server with readers that
 * read, divided by their number, is what each of them keeps from being forgotten.
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
import { listen } from "../src/server/runtime.ts";

const MIB = 1024 * 1024;
const HISTORY = 2 * MIB;

/** Opens so many sockets and lets them stall, or read. */
function subscribe(port: number, count: number, isStalled: boolean): void {
  for (let i = 0; i < count; i++) {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      if (!isStalled) socket.resume(); // Nobody reads from a socket that nobody listens to.
    });
  }
}

/** The bytes in use in this process once nothing more can be forgotten. */
async function memoryInUse(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function measure(
  subscribers: number,
  isStalled: boolean,
): Promise<number> {
  const note = v.object({ text: v.string() });
  const channel = createChannel(defineEvents({ note }), {
    history: { bytes: HISTORY },
  });
  const endpoint = eventsEndpoint(channel, { stallTimeout: null, direct: true });
  const app = new Hono();
  app.route("/events", endpoint);
  const server = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
  const args = [
    "--import",
    "tsx",
    process.argv[1]!,
    String(subscribers),
    String(server.port),
    String(isStalled),
  ];
  const clients = spawn(process.execPath, args, { stdio: "inherit" });
  while (endpoint.stats().subscribers < subscribers) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (let published = 0; published < 6 * HISTORY; published += 100 * 1024) {
    for (let i = 0; i < 100; i++) {
      channel.publish("note", { text: "x".repeat(1024) });
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  const memory = await memoryInUse();
  clients.kill();
  await server.stop(0);
  return memory;
}

const [subscribers = "200", port, isStalled] = process.argv.slice(2);
if (port !== undefined) {
  subscribe(Number(port), Number(subscribers), isStalled === "true");
} else {
  const count = Number(subscribers);
  const reading = await measure(count, false);
  const stalled = await measure(count, true);
  const each = (stalled - reading) / count / 1024;
  console.log(
    `${count} readers that read: ${(reading / MIB).toFixed(1)} MiB in use`,
  );
  console.log(
    `${count} that stalled, with ${6 * HISTORY / MIB} MiB published since: ${(stalled / MIB).toFixed(1)} MiB`,
  );
  console.log(`each stalled reader keeps ${each.toFixed(1)} KiB`);
  process.exit(0);
}
