/**
 * A real browser as a reader: headless Chromium, which reports to the test by `fetch()` what its page has seen.
 *
 * Where there is no Chromium the test is skipped; in CI it then fails.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Hono } from "hono";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../src/mod.ts";
import { serving, until, within } from "./harness.ts";

const chromium = [process.env["CHROMIUM"], "chromium", "chromium-browser", "google-chrome"].find((name) =>
  name !== undefined && spawnSync(name, ["--version"]).status === 0
);
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const test = suite("browser");

/** Shows the URL in Chromium while `use` runs. */
async function browsing(url: string, use: () => Promise<void>): Promise<void> {
  if (chromium === undefined) throw new Error("there is no Chromium: install it, or name one in CHROMIUM");
  const profile = await mkdtemp(join(tmpdir(), "chromium-"));
  const browser = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, url], { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => browser.once("exit", () => resolve()));
  try {
    await use();
  } finally {
    browser.kill();
    await exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** A proxy in front of a port that cuts each connection once so many bytes have come down it. */
async function cutting(
  port: number,
  afterBytes: number,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const proxy: Server = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    let passed = 0;
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes: Uint8Array) => {
      client.write(bytes.subarray(0, Math.max(0, afterBytes - passed)));
      passed += bytes.length;
      if (passed >= afterBytes) server.destroy();
    });
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroySoon());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    await use((proxy.address() as { port: number }).port);
  } finally {
    proxy.close();
  }
}

const PAGE = `<!doctype html><title>reader</title><script>
  const seen = [], ids = [];
  let opened = 0, lost = 0;
  const source = new EventSource("/events?types=tick");
  source.onopen = () => opened++;
  source.addEventListener("events_lost", () => lost++);
  source.addEventListener("tick", ({ data, lastEventId }) => {
    const { type, event, id } = JSON.parse(data);
    seen.push(event.n);
    if (id !== lastEventId || type !== "tick") lost = NaN;
    if (event.n === LAST) fetch("/report", { method: "POST", body: JSON.stringify({ seen, opened, lost }) });
  });
</script>`;

const run = chromium === undefined && !process.env["CI"] ? test.skip : test;

run("an EventSource reconnects by itself through cut connections and misses nothing", async () => {
  const LAST = 60;
  const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }), noise: null }));
  const endpoint = eventsEndpoint(channel, { heartbeat: 0.5 });
  const app = new Hono();
  let report: { seen: number[]; opened: number; lost: number } | undefined;
  app.get("/", (c) => c.html(PAGE.replace("LAST", String(LAST))));
  app.post("/report", async (c) => {
    report = await c.req.json();
    return c.body(null, 204);
  });
  app.route("/events", endpoint);
  await serving(app, (_, port) =>
    // A page, its head and some ten events go through before the line is cut.
    cutting(port, 3000, (proxyPort) =>
      browsing(`http://127.0.0.1:${proxyPort}/`, async () => {
        await until(() => endpoint.stats().subscribers === 1, "the page has subscribed", 30_000);
        for (let n = 1; n <= LAST; n++) {
          channel.publish("tick", { n });
          channel.publish("noise");
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await within(
          until(() => report !== undefined, "the page has reported", 60_000),
          "the report",
          61_000,
        );
        assert.equal(report!.seen, Array.from({ length: LAST }, (_, i) => i + 1));
        assert.is(report!.lost, 0);
        assert.ok(report!.opened >= 3, `connected ${report!.opened} times`);
      })));
  await until(() => endpoint.stats().subscribers === 0, "the browser has left");
});

test.run();
