/**
 * A page that shows events as they happen: browser.html, the client as a browser takes it, and the events themselves.
 *
 *     npx tsx examples/browser.ts          (or: bun examples/browser.ts)
 *     deno run --allow-net=127.0.0.1:8087 --allow-read --allow-env --allow-run examples/browser.ts
 *
 * Then look at http://127.0.0.1:8087/. Reload the page: it goes on where it was.
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { buildSync } from "esbuild";
import { Hono } from "hono";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
// In a project of your own: from "events-endpoint".
import { createChannel, defineEvents, eventsEndpoint } from "../src/mod.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// In a project of your own the bundler does this, for an import from "events-endpoint/client".
const options = { bundle: true, minify: true, format: "esm", platform: "browser", write: false } as const;
const [client] = buildSync({ ...options, entryPoints: [here("../src/client/mod.ts")] }).outputFiles;

const clock = createChannel(defineEvents({ tick: v.object({ time: v.string() }) }));
setInterval(() => clock.publish("tick", { time: new Date().toISOString() }), 1000);

const app = new Hono();
app.get("/", async (c) => c.html(await readFile(here("browser.html"), "utf8")));
app.get("/client.js", (c) => c.body(client!.text, 200, { "Content-Type": "text/javascript" }));
app.route("/events", eventsEndpoint(clock, { publish: false }));

// Deno and Bun know this way of listening too.
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.argv[2] ?? 8087) }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}/`);
});
