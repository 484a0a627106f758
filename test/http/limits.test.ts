import * as fc from "fast-check";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  createChannel,
  defineEvents,
  type EndpointOptions,
  eventsEndpoint,
  EventsError,
} from "../../src/mod.ts";
import { createConnectionLimiter, networkOf } from "../../src/http/connection_limiter.ts";
import { readOptions } from "../../src/http/options.ts";
import { createApp } from "../../src/server/app.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { makeEndpoint, withEndpoint } from "../support/endpoint.ts";
import { openLines, openWire, serving, until, within } from "../support/harness.ts";

const catalogue = defineEvents({ tick: v.object({ n: v.number() }), any: v.any() });

const test = suite("http: limits");

async function codeOf(response: Response): Promise<string> {
  return (await response.json()).error.code;
}

test("maxConnections answers 503 to new streams when it is reached; open streams and POST are unaffected", async () => {
  await withEndpoint(catalogue, { maxConnections: 3, writeToSocket: true }, async ({ endpoint, url }) => {
    const streams = [];
    for (let n = 0; n < 3; n++) streams.push(await openLines(`${url}/events`));
    const waits = new Set<string>();
    for (let n = 0; n < 40; n++) {
      const rejected = await within(fetch(`${url}/events`), "the response");
      assert.is(rejected.status, 503);
      assert.is(rejected.headers.get("content-type"), "application/json");
      const wait = rejected.headers.get("retry-after")!;
      assert.ok(/^\d+$/.test(wait) && Number(wait) >= 5 && Number(wait) <= 13, wait);
      waits.add(wait);
      const { error } = await rejected.json();
      assert.equal([error.handled, error.code], [true, "TooManyConnections"]);
    }
    assert.ok(waits.size > 1, "Retry-After is spread");
    const head = await fetch(`${url}/events`, { method: "HEAD" });
    assert.is(head.status, 503);
    const posted = await fetch(`${url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"type":"tick","event":{"n":1}}',
    });
    assert.is(posted.status, 202, await posted.text());
    for (const lines of streams) {
      assert.is((await lines.event()).type, "events_start");
      assert.is((await lines.event()).type, "tick");
    }
    // After each stream that ends there is room for one more.
    for (let n = 0; n < 3; n++) {
      await streams[n]!.close();
      await until(() => endpoint.stats().subscribers === 2, "it has disconnected");
      streams[n] = await openLines(`${url}/events`);
      const refused = await fetch(`${url}/events`);
      assert.is(refused.status, 503);
      await refused.body?.cancel();
    }
    for (const lines of streams) await lines.close();
  });
});

test("maxConnections answers SSE with a stream of retry: alone, because an EventSource never reconnects after a 503", async () => {
  const { endpoint } = makeEndpoint(catalogue, { maxConnections: 1 });
  const held = await endpoint.request("/");
  const retries = new Set<string>();
  for (let n = 0; n < 20; n++) {
    const response = await endpoint.request("/?since=earliest", { headers: { Accept: "text/event-stream" } });
    assert.is(response.status, 200);
    assert.is(response.headers.get("content-type"), "text/event-stream");
    const text = await response.text();
    const retry = /^retry: (\d+)\n$/.exec(text)?.[1];
    assert.ok(Number(retry) >= 5000 && Number(retry) <= 12_500, text);
    retries.add(retry!);
  }
  assert.ok(retries.size > 10);
  const head = await endpoint.request("/?format=sse", { method: "HEAD" });
  assert.equal([head.status, await head.text()], [200, ""]);
  assert.equal(endpoint.stats().subscribers, 1);
  await held.body!.cancel();
});

test("maxConnections does not count rejected requests, HEAD, and streams that have ended", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, { maxConnections: 1 });
  channel.publish("tick", { n: 1 });
  for (let n = 0; n < 3; n++) {
    assert.is((await endpoint.request("/?since=nonsense")).status, 400);
    assert.is((await endpoint.request("/", { method: "HEAD" })).status, 200);
    const replay = await endpoint.request("/?since=earliest&follow=false");
    assert.is(replay.status, 200);
    assert.is((await replay.text()).split("\n").length, 3);
  }
  const aborted = await endpoint.request("/", { signal: AbortSignal.abort() });
  await aborted.body?.cancel();
  const held = await endpoint.request("/");
  assert.is(held.status, 200);
  await held.body!.cancel();
});

test("maxConnections does not count a stream for which onConnect() threw", async () => {
  const session = createSession({ version: "1" });
  let throws = true;
  const onConnect = () => {
    if (throws) throw new Error("not now");
    return () => {};
  };
  const endpoint = eventsEndpoint({ ...session, onConnect }, { maxConnections: 1 });
  const app = new Hono().route("/events", endpoint);
  app.onError((error, c) => c.text(error.message, 500));
  assert.is(await (await app.request("/events")).text(), "not now");
  throws = false;
  const response = await app.request("/events");
  assert.is(response.status, 200);
  await response.body!.cancel();
});

test("maxConnections does not count streams that were reset", async () => {
  await withEndpoint(
    catalogue,
    { maxConnections: 20, writeToSocket: true },
    async ({ endpoint, url, port }) => {
      for (let round = 0; round < 3; round++) {
        const wires = await Promise.all(Array.from({ length: 20 }, () => openWire(port)));
        for (const wire of wires) wire.write("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        await until(() => endpoint.stats().subscribers === 20, "the limit is reached");
        const refused = await fetch(`${url}/events`);
        assert.is(await codeOf(refused), "TooManyConnections");
        for (const { socket } of wires) socket.destroy();
        await until(() => endpoint.stats().subscribers === 0, "all have disconnected");
      }
    },
  );
});

test("maxConnectionsPerAddress limits each address alone", async () => {
  const { endpoint } = makeEndpoint(catalogue, {
    maxConnectionsPerAddress: 2,
    clientAddress: (c) => c.req.header("X-Real-IP"),
  });
  const from = (address: string) => endpoint.request("/", { headers: { "X-Real-IP": address } });
  const held = [await from("192.0.2.1"), await from("192.0.2.1"), await from("2001:db8::1")];
  assert.is(await codeOf(await from("192.0.2.1")), "TooManyConnections");
  assert.is(await codeOf(await from("::ffff:192.0.2.1")), "TooManyConnections");
  held.push(await from("192.0.2.2"), await from("2001:db8:0:0:ffff::2"));
  assert.is(await codeOf(await from("2001:db8::3")), "TooManyConnections");
  for (let n = 0; n < 3; n++) held.push(await endpoint.request("/"));
  assert.ok(held.every(({ status }) => status === 200), "streams without an address are not counted");
  await held[0]!.body!.cancel();
  held[0] = await from("192.0.2.1");
  assert.is(held[0].status, 200);
  for (const { body } of held) await body!.cancel();
});

test("onStreamEnd() receives the address of the socket when no header is trusted", async () => {
  const addresses: unknown[] = [];
  await withEndpoint(
    catalogue,
    { onStreamEnd: ({ address }) => addresses.push(address) },
    async ({ url }) => {
      await (await openLines(`${url}/events?follow=false`)).rest();
      await until(() => addresses.length === 1, "the end is reported");
    },
  );
  assert.equal(addresses, ["127.0.0.1"]);
});

test("eventsEndpoint() with its documented defaults is the same as without options", () => {
  const channel = createChannel(catalogue);
  const defaults: EndpointOptions<never> = {
    heartbeat: 5,
    stallTimeout: 60,
    maxDelay: 5,
    writeToSocket: false,
    publish: true,
    maxBodyBytes: 1024 * 1024,
    maxBatch: 10_000,
    maxDepth: 64,
    idempotencyWindow: 120,
    maxIdempotencyKeys: 100_000,
    maxConnections: 10_000,
    maxConnectionsPerAddress: 1000,
  };
  const plain = (options: EndpointOptions<never>) =>
    Object.entries(readOptions(channel as never, options)).filter(([, value]) => typeof value !== "function");
  assert.equal(plain(defaults), plain({}));
});

test("clientAddressHeader trusts the last address of that header, and no other header", async () => {
  const session = createSession({ version: "7.1.5" });
  const limits = { heartbeat: 5, maxConnectionsPerAddress: 1 };
  const app = createApp(session, { ...limits, clientAddressHeader: "X-Forwarded-For" });
  const from = (headers: Record<string, string>) => app.request("/events", { headers });
  const first = await from({ "X-Forwarded-For": "10.0.0.1, 192.0.2.1" });
  assert.is(first.status, 200);
  assert.is((await from({ "X-Forwarded-For": "10.9.9.9, 192.0.2.1" })).status, 503);
  const second = await from({ "X-Forwarded-For": "192.0.2.1, 192.0.2.2" });
  assert.is(second.status, 200);
  for (const { body } of [first, second]) await body!.cancel();
  const withPort = [
    ["192.0.2.3:5678", "192.0.2.3:5679", "192.0.2.3"],
    ["[2001:db8::1]:99", "[2001:db8::1]", "2001:db8::1", "[2001:db8::2]:98"],
  ];
  for (const [held, ...others] of withPort) {
    const { body } = await from({ "X-Forwarded-For": held! });
    for (const other of others) assert.is((await from({ "X-Forwarded-For": other })).status, 503, other);
    await body!.cancel();
  }
  await serving(createApp(session, limits), async (url) => {
    // If the header were trusted, the second stream to this address would be one too many.
    const headers = { "X-Forwarded-For": "192.0.2.7" };
    const streams = [
      await openLines(`${url}/events`, { headers }),
      await openLines(`${url}/events`, { headers }),
    ];
    for (const lines of streams) await lines.close();
  });
});

test("maxConnectionsPerAddress exempts loopback addresses alone", () => {
  const places = createConnectionLimiter({
    maxConnections: null,
    maxConnectionsPerAddress: 2,
  });
  const twice = (address: string) => [places.acquire(address), places.acquire(address)];
  for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.9.10"]) {
    twice(address);
    places.check(address);
  }
  for (const address of ["128.0.0.1", "::2", "192.0.2.127", "127.0.0.1.example"]) {
    twice(address);
    assert.throws(() => places.check(address), (error: unknown) => error instanceof EventsError);
  }
});

test("networkOf() returns an IPv4 address, or the /64 of an IPv6 address", () => {
  const cases: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::FFFF:192.0.2.1": "192.0.2.1",
    "::1": "0:0:0:0::/64",
    "::": "0:0:0:0::/64",
    "2001:db8::1": "2001:db8:0:0::/64",
    "2001:DB8:0:0:1:2:3:4": "2001:db8:0:0::/64",
    "2001:0db8:0001::": "2001:db8:1:0::/64",
    "2001:db8:1:2::": "2001:db8:1:2::/64",
    "2001:db8:1:2:3:4:5::": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "::a:b:c:d:e": "0:0:0:a::/64",
  };
  for (const [address, network] of Object.entries(cases)) assert.is(networkOf(address), network, address);
});

test("acquire() and release() keep the limits exact in any order", () =>
  fc.assert(fc.property(
    fc.array(fc.oneof(
      fc.record({ take: fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", undefined) }),
      fc.record({ free: fc.nat(10) }),
    )),
    (steps) => {
      const places = createConnectionLimiter({
        maxConnections: 5,
        maxConnectionsPerAddress: 2,
      });
      const held: { client: string | undefined; free: () => void }[] = [];
      for (const step of steps) {
        if ("free" in step) {
          held.splice(step.free, 1)[0]?.free();
          continue;
        }
        const client = step.take?.startsWith("2001") ? "2001" : step.take;
        const own = held.filter((each) => each.client === client).length;
        const hasPlace = held.length < 5 && (client === undefined || own < 2);
        let refused = false;
        try {
          places.check(step.take);
        } catch {
          refused = true;
        }
        assert.is(refused, !hasPlace);
        if (!refused) held.push({ client, free: places.acquire(step.take) });
      }
      for (const { free } of held.splice(0)) free();
      assert.is(places.clients, 0, "no address without a stream is kept");
      for (let n = 0; n < 5; n++) {
        places.check(`192.0.2.${n}`);
        places.acquire(`192.0.2.${n}`);
      }
      assert.throws(() => places.check("192.0.2.9"));
    },
  )));

test("maxBatch limits the events of a POST, and maxDepth their depth", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { maxBatch: 3, maxDepth: 4 });
  const post = (body: string, type = "application/json") =>
    endpoint.request("/", { method: "POST", headers: { "Content-Type": type }, body });
  const tick = '{"type":"tick","event":{"n":1}}';
  const events = (count: number) => Array.from({ length: count }, () => tick);
  assert.is((await post(`[${events(3)}]`)).status, 202);
  assert.is((await post(`\n${events(3).join("\n\n")}\n\n`, "application/x-ndjson")).status, 202);
  for (
    const response of [
      await post(`[${events(4)}]`),
      await post(events(4).join("\n"), "application/x-ndjson"),
      await post(`${events(3).join("\n")}\nnot JSON`, "application/x-ndjson"),
    ]
  ) {
    assert.is(response.status, 413);
    assert.is(await codeOf(response), "PayloadTooLarge");
  }
  const deep = (levels: number) => `{"type":"any","event":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  assert.is((await post(deep(3))).status, 202);
  const tooDeep = await post(deep(4));
  assert.is(tooDeep.status, 400);
  assert.match((await tooDeep.json()).error.details[0].message, /more than 4 levels/);
  assert.is(channel.last, 7);
});

test("maxBatch is 10 000 by default, and maxDepth 64", async () => {
  const { endpoint } = makeEndpoint(catalogue);
  const post = (body: string) =>
    endpoint.request("/", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const events = (count: number) => `[${Array.from({ length: count }, () => '{"type":"any","event":1}')}]`;
  assert.is((await post(events(10_000))).status, 202);
  assert.is((await post(events(10_001))).status, 413);
  const deep = (levels: number) => `{"type":"any","event":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  assert.is((await post(deep(63))).status, 202);
  assert.is((await post(deep(64))).status, 400);
});

test("eventsEndpoint() rejects invalid limits", () => {
  const wrong: EndpointOptions<typeof catalogue.schemas>[] = [
    { maxConnections: 0 },
    { maxConnections: 1.5 },
    { maxConnections: Infinity },
    { maxConnectionsPerAddress: -1 },
    { maxBatch: 0 },
    { maxDepth: 0 },
    { maxDepth: 1001 },
    { maxDepth: NaN },
    { idempotencyWindow: 0 },
    { idempotencyWindow: Infinity },
    { maxIdempotencyKeys: 0 },
    { maxBodyBytes: 0 },
  ];
  for (const options of wrong) {
    const [name] = Object.keys(options);
    assert.throws(
      () => eventsEndpoint(createChannel(catalogue), options),
      (error: unknown) => error instanceof RangeError && error.message.startsWith(name!),
      JSON.stringify(options),
    );
  }
  eventsEndpoint(createChannel(catalogue), {
    maxConnections: null,
    maxConnectionsPerAddress: null,
    idempotencyWindow: null,
    maxDepth: 1000,
  });
});

test.run();
