/**
 * Silent streams whose requests are copies, so that Bun's server keeps its idle timeout for them: ten seconds by default.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { type EndpointSettings, makeEndpoint, untilIdle } from "../support/endpoint.ts";
import { openLines, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ note: v.object({ n: v.number() }) });
type Notes = typeof catalogue.schemas;

const test = suite("http: mount, idle");

declare const Bun: {
  serve(options: object): { port: number; stop(closeActiveConnections: boolean): Promise<void> };
};

/** Serves an endpoint that is mounted. */
async function withMounted(
  settings: EndpointSettings<Notes>,
  use: (set: ReturnType<typeof makeEndpoint<Notes>>, url: string) => Promise<void>,
): Promise<void> {
  const set = makeEndpoint(catalogue, settings);
  const app = new Hono();
  app.mount("/events", set.endpoint.fetch);
  const server = Bun.serve({ port: 0, fetch: app.fetch });
  try {
    await use(set, `http://127.0.0.1:${server.port}/events`);
  } finally {
    await server.stop(true);
  }
  await untilIdle(set);
}

test("app.mount() on Bun keeps a stream open whose heartbeat is longer than the server's idle timeout", async () => {
  const onError = (error: unknown) => assert.unreachable(String(error));
  await withMounted({ heartbeat: 30, maxConnectionsPerAddress: null, onError }, async (set, url) => {
    const lines = await openLines(url);
    assert.is((await lines.event()).event.heartbeat, 5, "events_start names the shorter interval");
    let heartbeats = 0;
    const next = (async () => {
      let line = await lines.next();
      for (; line === ""; line = await lines.next()) heartbeats++;
      return line;
    })();
    let isCut = false;
    next.catch(() => isCut = true);
    await new Promise((resolve) => setTimeout(resolve, 21_000)); // Twice the timeout.
    assert.not(isCut, "the stream is open");
    assert.ok(heartbeats >= 3, `${heartbeats} heartbeats`);
    set.channel.publish("note", { n: 1 });
    assert.match(await within(next, "the event") ?? "", /"n":1/);
    await lines.close();
  });
});

test("app.mount() on Bun reports streams without heartbeats, also without a limit", async () => {
  const noLimit = { maxConnectionsPerAddress: null };
  const known = { clientAddress: () => "192.0.2.1" };
  const cases: [EndpointSettings<Notes>, reports: number][] = [
    [{ heartbeat: null, ...noLimit }, 1],
    [{ heartbeat: null, ...known }, 1],
    [{ dialect: "7.5", ...known }, 1],
    [{ heartbeat: 30, ...noLimit }, 0],
    [{ heartbeat: 30, ...known }, 0],
    [{ heartbeat: 5, ...known }, 0],
  ];
  for (const [settings, reports] of cases) {
    const problems: unknown[] = [];
    const onError = (error: unknown) => void problems.push(error);
    await withMounted({ ...settings, onError }, async (_, url) => {
      const opened = [await openLines(url), await openLines(url)];
      if (reports > 0) await until(() => problems.length > 0, "it is reported");
      await Promise.all(opened.map((lines) => lines.close()));
    });
    assert.is(problems.length, reports, JSON.stringify(settings));
    for (const problem of problems) {
      assert.match(String(problem), /and they have no heartbeat\. Use app\.route\(\)/);
    }
  }
});

test.run();
