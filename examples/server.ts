/**
 * A Tribler-compatible events endpoint: a session, a Hono app around it, and an event a second.
 *
 *     deno run --allow-net=127.0.0.1:8085 examples/server.ts
 *     npx tsx examples/server.ts
 *     bun examples/server.ts
 *
 * Then `curl -N http://127.0.0.1:8085/events`. An argument is another port, which Deno has to be allowed as well.
 *
 * @module
 */
import { Hono } from "hono";
import process from "node:process";
// In a project of your own: from "events-endpoint" and "events-endpoint/tribler".
import { eventsEndpoint } from "../src/mod.ts";
import { createSession } from "../src/tribler/mod.ts";

const session = createSession({ version: "7.1.5" });

const app = new Hono();
app.route("/events", eventsEndpoint(session));
app.get("/", (c) => c.text("The events are at /events\n"));

await serve(Number(process.argv[2] ?? 8085));
session.start(); // From now on the first line of every stream says "tribler_started":true.

setInterval(() => {
  // Events are typed: another name, or a payload without its infohash, does not compile.
  session.emit("torrent_finished", { infohash: randomInfohash(), name: "An example" });
}, 1000);

/** Every runtime has a way of its own to listen: yours is one of these three. */
async function serve(port: number): Promise<void> {
  const { Deno, Bun } = globalThis as unknown as Record<"Deno" | "Bun", Runtime | undefined>;
  const hostname = "127.0.0.1"; // Every client that reaches /events can read, and publish by POST.
  const onListen = (bound: { port: number }) => console.log(`http://${hostname}:${bound.port}/events`);

  if (Deno !== undefined) Deno.serve({ hostname, port, onListen, handler: app.fetch });
  else if (Bun !== undefined) onListen(Bun.serve({ hostname, port, fetch: app.fetch }));
  else (await import("@hono/node-server")).serve({ hostname, port, fetch: app.fetch }, onListen);
}

/** As much of Deno and Bun as is used here. With the types of your runtime at hand you need none of this. */
interface Runtime {
  serve(options: object): { port: number };
}

function randomInfohash(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
