/**
 * Tribler's endpoint for pages of any origin: `open_server.ts PORT HEARTBEAT`.
 *
 * @module
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import process from "node:process";
import { eventsEndpoint } from "../../src/mod.ts";
import { listen } from "../../src/server/listen.ts";
import { createSession } from "../../src/tribler/mod.ts";

const [port, heartbeat] = process.argv.slice(2).map(Number);
const session = createSession({ version: "7.1.5" });
const app = new Hono();
app.use(cors({ origin: "*", exposeHeaders: ["Retry-After"] }));
app.route("/events", eventsEndpoint(session, { heartbeat: heartbeat! }));
const server = await listen(app.fetch, { host: "127.0.0.1", port: port! });
console.log(`http://127.0.0.1:${server.port}`);
session.start();
