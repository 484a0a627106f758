/**
 * An endpoint in an app that is mounted, where the request is a copy of the server's; and one without a server.
 *
 * @module
 */
import { Hono } from "hono";
import { etag } from "hono/etag";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { connect } from "../../src/client/mod.ts";
import { defineEvents, type EventsEndpoint } from "../../src/mod.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { type EndpointSettings, makeEndpoint, untilIdle, withEndpoint } from "../support/endpoint.ts";
import { linesOf, openLines, openWire, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ note: v.object({ n: v.number() }) });
type Notes = typeof catalogue.schemas;

const test = suite("http: mount");

/** As much of `Bun` as is used here. */
interface BunLike {
  serve(options: object): { port: number; stop(closeActiveConnections: boolean): Promise<void> };
}
const { Bun } = globalThis as { Bun?: BunLike };

/** Listens on an address that is not exempt from limits; on Bun with the shortest idle timeout, which takes four seconds. */
async function serve(app: Hono): Promise<{ port: number; stop(): Promise<void> }> {
  if (Bun !== undefined) {
    const server = Bun.serve({ port: 0, hostname: "0.0.0.0", idleTimeout: 1, fetch: app.fetch });
    return { port: server.port, stop: () => server.stop(true) };
  }
  const server = await listen(app.fetch as Fetch, { host: "0.0.0.0", port: 0 });
  return { port: server.port, stop: () => server.stop(0) };
}

/** Ways to put an endpoint into an app, and whether the server's own request is known there on Bun. */
const WAYS: Readonly<
  Record<string, { put(app: Hono, endpoint: EventsEndpoint<Notes>): unknown; isKnown: boolean }>
> = {
  "app.route()": { put: (app, endpoint) => app.route("/events", endpoint), isKnown: true },
  "app.mount()": { put: (app, endpoint) => app.mount("/events", endpoint.fetch), isKnown: false },
  "app.mount() that passes server and request": {
    put: (app, endpoint) =>
      app.mount("/events", endpoint.fetch, (c) => ({ server: c.env, request: c.req.raw })),
    isKnown: true,
  },
  "app.mount() with replaceRequest: false": {
    put: (app, endpoint) =>
      app.mount("/", new Hono().route("/events", endpoint).fetch, { replaceRequest: false }),
    isKnown: true,
  },
};

/** Serves an endpoint that is put into an app in this way. */
async function withMounted(
  put: (app: Hono, endpoint: EventsEndpoint<Notes>) => unknown,
  settings: EndpointSettings<Notes>,
  use: (set: ReturnType<typeof makeEndpoint<Notes>>, url: string, port: number) => Promise<void>,
): Promise<void> {
  const set = makeEndpoint(catalogue, settings);
  const app = new Hono();
  put(app, set.endpoint);
  const server = await serve(app);
  try {
    await use(set, `http://127.0.0.1:${server.port}/events`, server.port);
  } finally {
    await server.stop();
  }
  await untilIdle(set);
}

for (const [way, { put, isKnown }] of Object.entries(WAYS)) {
  const isCopy = Bun !== undefined && !isKnown;

  test(`${way} streams, resumes, publishes, and reports a disconnect and its address`, async () => {
    const problems: unknown[] = [];
    const onError = (error: unknown) => void problems.push(error);
    await withMounted(put, { heartbeat: 0.2, onError }, async (set, url, port) => {
      const lines = await openLines(url);
      await lines.event();
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: '{"type":"note","event":{"n":1}}',
      });
      assert.is(response.status, 202, await response.text());
      const { id } = await lines.event();
      set.channel.publish("note", { n: 2 });
      assert.is((await lines.event()).event.n, 2);
      if (isCopy) await until(() => problems.length > 0, "it is reported");
      await lines.close();
      await until(() => set.ends.length === 1, "the end");
      const [end] = set.ends;
      assert.is(end!.reason, "disconnected");
      assert.match(end!.address!, isCopy ? /^unknown$/ : /^(?:::ffff:)?127\.0\.0\.1$/);

      const resumed = await openLines(`${url}?since=${id}&follow=false`);
      assert.equal((await resumed.rest()).map(({ event }) => event.n), [undefined, 2]);

      const wire = await openWire(port);
      wire.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
      await until(() => wire.received().includes("events_start"), "the stream has begun");
      wire.socket.destroy();
      await until(() => set.endpoint.stats().subscribers === 0, "no subscriber is left");
    });
    assert.is(problems.length, isCopy ? 1 : 0, String(problems));
    if (isCopy) assert.match(String(problems[0]), /app\.route\(\), or app\.mount\(path, endpoint\.fetch, /);
  });

  test(`${way} applies maxConnectionsPerAddress`, async () => {
    // A copy has no address, so all clients are one; loopback addresses are exempt otherwise.
    const address = isCopy ? {} : { clientAddress: () => "192.0.2.1" };
    const settings = { maxConnectionsPerAddress: 2, onError: () => {}, ...address };
    await withMounted(put, settings, async (set, url) => {
      const streams = [await openLines(url), await openLines(url)];
      const rejected = await within(fetch(url), "the response");
      assert.is(rejected.status, 503);
      assert.is((await rejected.json()).error.code, "TooManyConnections");
      await streams[0]!.close();
      await until(() => set.endpoint.stats().subscribers === 1, "it has disconnected");
      streams[0] = await openLines(url);
      for (const lines of streams) await lines.close();
    });
  });
}

// Other servers have no idle timeout.
if (Bun !== undefined) {
  test("heartbeat may be longer than the idleTimeout of Bun, also in app.mount() that passes server and request", async () => {
    const known = Object.entries(WAYS).filter(([, { isKnown }]) => isKnown);
    await Promise.all(known.map(([way, { put }]) => {
      const onError = (error: unknown) => assert.unreachable(String(error));
      return withMounted(put, { heartbeat: 30, onError }, async (set, url) => {
        const lines = await openLines(url);
        await lines.event();
        let isCut = false;
        const next = lines.next().catch(() => void (isCut = true));
        await new Promise((resolve) => setTimeout(resolve, 6000)); // Bun looks every four seconds.
        assert.is(isCut, false, `${way}: the stream is open`);
        set.channel.publish("note", { n: 1 });
        assert.match(await within(next, "the event") ?? "", /"n":1/);
        await lines.close();
      });
    }));
  });
}

test("app.request() streams, resumes, publishes and cancels without a server", async () => {
  const problems: unknown[] = [];
  const settings = {
    heartbeat: 0.1,
    maxConnectionsPerAddress: 1,
    onError: (error: unknown) => void problems.push(error),
  };
  const set = makeEndpoint(catalogue, settings);
  const post = (n: number) =>
    set.app.request("/events", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type: "note", event: { n } }),
    });

  const response = await set.app.request("/events");
  assert.is(response.status, 200);
  const lines = linesOf(response.body!);
  assert.is((await lines.event()).type, "events_start");
  assert.is(await lines.next(), "", "a heartbeat");
  assert.is((await post(1)).status, 202);
  const first = await lines.event();
  assert.is(first.event.n, 1);
  await post(2);

  const others = [
    await set.app.request(`/events?since=${first.id}`),
    await set.app.request("/events?since=earliest"),
  ];
  const seen = [];
  for (const other of others) {
    const lines = linesOf(other.body!);
    await lines.event();
    seen.push((await lines.event()).event.n);
    await lines.close();
  }
  assert.equal(seen, [2, 1], "there is no address to limit");
  await until(() => set.endpoint.stats().subscribers === 1, "two were cancelled");

  const controller = new AbortController();
  const { signal } = controller;
  const aborted = await set.app.request("/events", { signal });
  const its = linesOf(aborted.body!);
  await its.event();
  controller.abort();
  await until(() => set.endpoint.stats().subscribers === 1, "it was aborted");

  set.channel.close();
  assert.equal((await lines.rest()).map(({ event }) => event.n), [2]);
  await untilIdle(set);
  assert.equal(set.ends.map(({ reason, address }) => [reason, address]), [
    ["disconnected", undefined],
    ["disconnected", undefined],
    ["disconnected", undefined],
    ["closed", undefined],
  ]);
  assert.equal(problems, []);
});

test("connect() follows app.request() without a server, and leaves no subscriber", async () => {
  const set = makeEndpoint(catalogue, { heartbeat: 0.1 });
  set.channel.publish("note", { n: 1 });
  const seen: number[] = [];
  const fetch = (url: string, init: RequestInit) => set.app.request(url, init);
  for await (const event of connect("http://localhost/events", { catalogue, fetch, since: "earliest" })) {
    if (event.type === "note") seen.push(event.event.n);
    if (seen.length === 3) break;
    set.channel.publish("note", { n: seen.length + 1 });
  }
  assert.equal(seen, [1, 2, 3]);
  await untilIdle(set);
});

test("hono/etag lets streams through, and makes no 304 of them", async () => {
  for (const writeToSocket of [false, true]) {
    const settings = { writeToSocket, middleware: [etag()], heartbeat: 0.2 };
    await withEndpoint(catalogue, settings, async ({ channel, endpoint, url }) => {
      const tags = new Set<string>();
      for (let n = 1; n <= 2; n++) {
        const headers = { "If-None-Match": [...tags].join(", ") || '"x"' };
        const controller = new AbortController();
        const { signal } = controller;
        const response = await within(fetch(`${url}/events`, { headers, signal }), "the response");
        assert.is(response.status, 200);
        tags.add(response.headers.get("ETag")!);
        const lines = linesOf(response.body!);
        await lines.event();
        channel.publish("note", { n });
        assert.is((await lines.event()).event.n, n);
        controller.abort();
      }
      assert.is(tags.size, 2, "each stream has a tag of its own");
      const some = await within(
        fetch(`${url}/events`, { headers: { "If-None-Match": "*" } }),
        "the response",
      );
      await some.body?.cancel();
      assert.is(some.status, 304);
      await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
    });
  }
});

test.run();
