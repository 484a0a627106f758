import * as fc from "fast-check";
import { spawn } from "node:child_process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createHistogram } from "../../src/stream/histogram.ts";
import { defineEvents, type EventsEndpoint, type MemoryChannel } from "../../src/mod.ts";
import type { EndReason, StreamStats } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { createLog } from "../../src/server/log.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { linesOf, openLines, openWire, serving, until, within } from "../support/harness.ts";

const catalogue = defineEvents({ note: v.object({ text: v.string() }), bell: null });

const test = suite("metrics");

/** What the endpoints are made with, unless a test says otherwise. */
const OPTIONS = { heartbeat: null };

/** Publishes this many notes. */
function publish(channel: MemoryChannel<typeof catalogue.schemas>, count: number, text: string = "x"): void {
  for (let n = 0; n < count; n++) channel.publish("note", { text });
}

function statsOf(endpoint: EventsEndpoint, format: "ndjson" | "sse"): StreamStats {
  return endpoint.stats().formats[format]!;
}

/** The whole text of a stream that does not follow. */
async function read(endpoint: EventsEndpoint, query: string): Promise<string> {
  return await (await endpoint.request(`/?follow=false&${query}`)).text();
}

const NONE: Record<EndReason, number> = {
  disconnected: 0,
  completed: 0,
  closed: 0,
  unauthorized: 0,
  stalled: 0,
  failed: 0,
};

test("channel.stats() counts published events by type", () => {
  const { channel } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 2 } });
  assert.equal(channel.stats().published, { note: 0, bell: 0 });
  publish(channel, 3);
  channel.publishBatch([{ type: "bell" }, { type: "note", event: { text: "y" } }]);
  assert.throws(() =>
    channel.publishBatch([{ type: "bell" }, { type: "note", event: {} as { text: string } }])
  );
  assert.equal(channel.stats().published, { note: 4, bell: 1 });
  assert.is(channel.stats().events, 2);
});

test("endpoint.stats() counts the events and bytes that arrive, live and replayed, filtered or not, in both formats", async () => {
  const { channel, endpoint, ends } = makeEndpoint(catalogue, OPTIONS);
  await serving(endpoint, async (url, port) => {
    publish(channel, 5);
    channel.publish("bell");
    const texts = [
      await (await fetch(`${url}/?follow=false&since=earliest`)).text(), // 6
      await (await fetch(`${url}/?follow=false&since=earliest&types=bell`)).text(), // 1
      await (await fetch(`${url}/?follow=false&since=${channel.epoch}-4`)).text(), // 2
      await (await fetch(`${url}/?follow=false`)).text(), // 0
    ];
    const wire = await openWire(port);
    wire.write("GET /?format=sse HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => wire.received().includes("events_start"), "the stream is open");
    const lines = await openLines(url);
    const filtered = await openLines(`${url}/?types=bell`);
    for (const open of [lines, filtered]) await open.event();
    const open = endpoint.stats();
    assert.equal([
      open.subscribers,
      statsOf(endpoint, "ndjson").subscribers,
      statsOf(endpoint, "sse").subscribers,
    ], [3, 2, 1]);
    channel.publishBatch([{ type: "note", event: { text: "ä" } }, { type: "bell" }]);
    for (const one of [...await lines.events(2), await filtered.event()]) assert.ok(one.id);
    await until(() => wire.received().includes("event: bell"), "both events have come");

    // Open streams count as well.
    assert.is(statsOf(endpoint, "ndjson").deliveries, 6 + 1 + 2 + 0 + 2 + 1);
    assert.is(statsOf(endpoint, "sse").deliveries, 2);
    await lines.close();
    await filtered.close();
    wire.socket.destroy();
    await until(() => endpoint.stats().subscribers === 0, "all have left");
    assert.is(statsOf(endpoint, "ndjson").deliveries, 12);
    assert.equal([statsOf(endpoint, "ndjson").ended, statsOf(endpoint, "sse").ended], [{
      ...NONE,
      completed: 4,
      disconnected: 2,
    }, {
      ...NONE,
      disconnected: 1,
    }]);

    assert.equal(ends.map(({ reason }) => reason).sort(), [
      "completed",
      "completed",
      "completed",
      "completed",
      "disconnected",
      "disconnected",
      "disconnected",
    ]);
    assert.equal(ends.slice(0, 4).map(({ events }) => events), [6, 1, 2, 0]);
    assert.equal(
      ends.slice(0, 4).map(({ bytes }) => bytes),
      texts.map((text) => new TextEncoder().encode(text).length),
    );
    const total = ends.filter(({ format }) => format === "ndjson").reduce((sum, { bytes }) => sum + bytes, 0);
    assert.is(statsOf(endpoint, "ndjson").bytes, total);
    const [streamed] = ends.filter(({ format }) => format === "sse");
    const chunks = wire.received().split("\r\n\r\n").slice(1).join("\r\n\r\n");
    const sent = [...chunks.matchAll(/^([0-9a-f]+)\r\n/gm)].reduce(
      (sum, [, size]) => sum + parseInt(size!, 16),
      0,
    );
    assert.is(streamed?.bytes, sent);
    assert.is(statsOf(endpoint, "sse").bytes, sent);
    for (const { address, seconds } of ends) {
      assert.is(address, "127.0.0.1");
      assert.ok(seconds >= 0 && seconds < 60, `${seconds}`);
    }
  });
});

test("GET /metrics has no label for subjects, of which there is any number", async () => {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5 });
  for (const digit of ["a", "b"]) session.emit("torrent_finished", { infohash: digit.repeat(40), name: "x" });
  const stream = await app.request(`/events?since=earliest&follow=false&subject=${"a".repeat(40)}`);
  assert.is((await stream.text()).trim().split("\n").length, 2);
  const metrics = await (await app.request("/metrics")).text();
  assert.match(metrics, /type="torrent_finished"\} 2/);
  assert.not.match(metrics, /a{40}|subject/);
});

test("onStreamEnd is called once for each stream, with the reason of its end", async () => {
  const errors: unknown[] = [];
  const { channel, endpoint, ends } = makeEndpoint(catalogue, {
    ...OPTIONS,
    stallTimeout: 0.3,
    writeToSocket: true,
    onError: (error) => void errors.push(error),
    filter: (event) => {
      if (event.type === "bell") throw new Error("a bell");
      return true;
    },
  });
  await serving(endpoint, async (_, port) => {
    const wires = [await openWire(port), await openWire(port)];
    const [stalled, left] = wires as [typeof wires[0], typeof wires[0]];
    stalled.socket.pause();
    for (const wire of wires) wire.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => endpoint.stats().subscribers === 2, "both are open");
    await until(() => left.received().includes("events_start"), "it has begun");
    left.socket.destroy();
    await until(() => ends.length === 1, "it has left");
    // More than the buffers of a connection hold.
    for (let n = 0; n < 120; n++) publish(channel, 100, "x".repeat(1000));
    await until(() => ends.length === 2, "the stalled one is disconnected");
    stalled.socket.destroy();

    await read(endpoint, "since=latest");
    const failing = linesOf((await endpoint.request("/")).body!);
    await failing.event();
    channel.publish("bell");
    await within(failing.rest().then(() => false, () => true), "the end of the stream");
    const closed = linesOf((await endpoint.request("/")).body!);
    await closed.event();
    channel.close();
    await closed.rest();
  });
  assert.equal(errors.map((error) => (error as Error).message), ["a bell"]);
  assert.equal(ends.map(({ reason }) => reason), [
    "disconnected",
    "stalled",
    "completed",
    "failed",
    "closed",
  ]);
  const { ended, subscribers } = endpoint.stats().formats["ndjson"]!;
  assert.equal([ended, subscribers], [
    { disconnected: 1, completed: 1, closed: 1, unauthorized: 0, stalled: 1, failed: 1 },
    0,
  ]);
  assert.is(ends[2]?.address, undefined, "without a server there is no address");
});

test("eventsEndpoint() continues when onStreamEnd throws", async () => {
  const { error } = console;
  const shown: unknown[] = [];
  console.error = (...args: unknown[]) => void shown.push(args[0]);
  try {
    const { endpoint, channel } = makeEndpoint(catalogue, {
      ...OPTIONS,
      onStreamEnd: () => {
        throw new Error("no log");
      },
    });
    const lines = linesOf((await endpoint.request("/")).body!);
    await read(endpoint, "since=earliest");
    publish(channel, 1);
    assert.equal((await lines.events(2)).map(({ type }) => type), ["events_start", "note"]);
    await lines.close();
    assert.is(statsOf(endpoint, "ndjson").subscribers, 0);
    assert.equal(shown.map((one) => (one as Error).message), ["no log", "no log"]);
  } finally {
    console.error = error;
  }
});

test("onError is called once for each error that a callback throws while streams are open", async () => {
  const errors: unknown[] = [];
  let asked = 0;
  const { channel, endpoint } = makeEndpoint(catalogue, {
    ...OPTIONS,
    heartbeat: 0.1,
    authorize: (c) => {
      if (c.req.query("user") !== "a") return true;
      if (asked++ === 0) return true;
      throw new Error("no database");
    },
    filter: (event) => {
      if (event.type === "bell") throw new Error("a bell");
      return true;
    },
    onStreamEnd: () => {
      throw new Error("no log");
    },
    onError: (error) => void errors.push((error as Error).message),
  });
  const unconfirmed = linesOf((await endpoint.request("/?user=a")).body!);
  await unconfirmed.rest();
  assert.equal(errors.splice(0), ["no database", "no log"]);
  for (let n = 0; n < 2; n++) await linesOf((await endpoint.request("/")).body!).event();
  channel.publish("bell");
  await until(() => endpoint.stats().subscribers === 0, "both are disconnected");
  assert.equal(errors.sort(), ["a bell", "a bell", "no log", "no log"]);
});

test("endpoint.stats() counts losses by reason, and the lost events if their number is known", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 10 } });
  publish(channel, 25);
  await read(endpoint, `since=${channel.epoch}-3`); // 12 have expired
  await read(endpoint, `since=${channel.epoch}-0`); // 15
  await read(endpoint, `since=${channel.epoch}-15`); // none
  await read(endpoint, "since=gone-3");
  await read(endpoint, "since=gone-3&format=sse");
  assert.equal(statsOf(endpoint, "ndjson").lost, {
    history_expired: { times: 2, events: 27 },
    unknown_epoch: { times: 1, events: 0 },
    slow_consumer: { times: 0, events: 0 },
  });
  assert.is(statsOf(endpoint, "sse").lost.unknown_epoch.times, 1);

  const slow = linesOf((await endpoint.request("/")).body!);
  publish(channel, 1);
  await slow.events(2);
  for (let n = 0; n < 5; n++) {
    publish(channel, 10);
    await new Promise((resolve) => setTimeout(resolve));
  }
  const seen = channel.last;
  publish(channel, 1);
  const losses: number[] = [];
  for (let event; (event = await slow.event()).id !== `${channel.epoch}-${seen + 1}`;) {
    if (event.type === "events_lost") losses.push(event.event.count);
  }
  await slow.close();
  assert.ok(losses.length > 0, "it was overtaken");
  const events = losses.reduce((sum, count) => sum + count);
  assert.equal(statsOf(endpoint, "ndjson").lost.slow_consumer, { times: losses.length, events });
});

test("endpoint.stats() counts rejected requests by the code of the answer", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, maxBodyBytes: 100 });
  const before = endpoint.stats().refusals;
  assert.ok(Object.values(before).every((count) => count === 0));
  const post = (body: string, type = "application/json") =>
    endpoint.request("/", { method: "POST", body, headers: { "Content-Type": type } });
  await endpoint.request("/?since=nonsense");
  await endpoint.request("/?since=nonsense", { headers: { Accept: "image/png" } });
  await endpoint.request("/?types=nothing");
  await endpoint.request("/?follow=perhaps");
  await endpoint.request("/?follow=perhaps", { method: "HEAD" });
  await post("{}");
  await post("[]");
  await post("x".repeat(101));
  await post("", "text/plain");
  await post('{"type":"bell"}');
  channel.close();
  await post('{"type":"bell"}');
  const codes = Object.entries(endpoint.stats().refusals).filter(([, count]) => count! > 0);
  assert.equal(Object.fromEntries(codes), {
    InvalidCursor: 1,
    NotAcceptable: 1,
    UnknownEventType: 1,
    InvalidParameter: 2,
    InvalidEvent: 2,
    PayloadTooLarge: 1,
    UnsupportedMediaType: 1,
    ChannelClosed: 1,
  });
  assert.equal(Object.keys(endpoint.stats().refusals), Object.keys(before), "no code comes or goes");
});

test("endpoint.stats() counts a batch and its latency once for all subscribers of a format, and not without any", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  publish(channel, 7);
  const streams = await Promise.all(
    ["/", "/", "/?types=bell", "/?format=sse"].map((path) => endpoint.request(path)),
  );
  const lines = linesOf(streams[0]!.body!);
  await lines.event();
  for (let n = 0; n < 3; n++) {
    channel.publishBatch([{ type: "bell" }, { type: "bell" }]);
    await lines.events(2);
  }
  await until(() => statsOf(endpoint, "sse").batches.sum === 6, "the other format is as far");
  for (const stats of [statsOf(endpoint, "ndjson"), statsOf(endpoint, "sse")]) {
    const { bounds, counts, sum } = stats.batches;
    assert.is(sum, 6);
    assert.is(counts.length, bounds.length + 1);
    const batches = counts.reduce((total, count) => total + count);
    assert.is(stats.latency.counts.reduce((total, count) => total + count), batches);
    // The test did not wait for the other format, which may have joined some.
    if (stats.subscribers === 3) {
      assert.equal([batches, counts[bounds.findIndex((bound) => bound >= 2)]], [3, 3]);
    } else assert.ok(batches >= 1 && batches <= 3, `${batches}`);
    assert.ok(stats.latency.sum >= 0 && stats.latency.sum < 30, `${stats.latency.sum}`);
  }
  await lines.close();
  for (const stream of streams.slice(1)) await stream.body?.cancel();
  publish(channel, 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(statsOf(endpoint, "ndjson").batches.sum, 6, "there was no subscriber");
});

test("endpoint.stats() measures the latency from the time of the event", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, OPTIONS);
  const { now } = Date;
  const lines = linesOf((await endpoint.request("/")).body!);
  await lines.event();
  try {
    publish(channel, 1); // It is handed out in a microtask: by then the clock shows more, and once less.
    Date.now = () => now() + 2000;
    await lines.event();
    Date.now = () => now() - 5000;
    publish(channel, 1);
    Date.now = () => now() - 9000;
    await lines.event();
  } finally {
    Date.now = now;
  }
  const { bounds, counts, sum } = statsOf(endpoint, "ndjson").latency;
  assert.is(counts[bounds.indexOf(3)], 1);
  assert.ok(sum >= 2 && sum < 30, `${sum}`);
  await lines.close();
});

test("createHistogram() counts each value in the first bucket that holds it", () => {
  const bounds = fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { maxLength: 8 })
    .map((values) => values.sort((a, b) => a - b));
  fc.assert(
    fc.property(bounds, fc.array(fc.integer({ min: -60, max: 60 })), (bounds, values) => {
      const histogram = createHistogram(bounds);
      const empty = histogram.read();
      for (const value of values) histogram.add(value);
      const { counts, sum } = histogram.read();
      const expected = [...bounds, Infinity].map((bound, bucket) =>
        values.filter((value) => value <= bound && value > (bounds[bucket - 1] ?? -Infinity)).length
      );
      assert.equal(counts, expected);
      assert.is(sum, values.reduce((total, value) => total + value, 0));
      assert.equal(empty.counts, new Array(bounds.length + 1).fill(0), "what was read stays as it is");
    }),
  );
});

/** What `promtool check metrics` has to say of a text: nothing, where it is well. */
async function promtool(text: string): Promise<{ code: number | null; output: string }> {
  const child = spawn("promtool", ["check", "metrics"], { stdio: "pipe" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => output += part);
  }
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve)
  );
  child.stdin.end(text);
  return { code: await within(ended, "promtool (of Debian's package prometheus)"), output };
}

/** The samples of an exposition. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const samples = lines.map((line) =>
    [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))] as const
  );
  assert.is(new Set(lines).size, samples.length);
  return new Map(samples);
}

test("GET /metrics answers with every metric, in a text that promtool accepts", async () => {
  const session = createSession({ version: "7.1.5", history: { events: 3 } });
  const app = createApp(session, { heartbeat: null });
  const metrics = async () => await (await app.request("/metrics")).text();
  const first = await metrics();
  assert.equal(await promtool(first), { code: 0, output: "" });

  for (let n = 0; n < 5; n++) session.emit("upgrader_tick", { text: "half way" });
  const read = async (query: string) => await (await app.request(`/events?follow=false&${query}`)).text();
  const text = await read(`since=${session.channel.epoch}-1`);
  await read("since=gone-7&format=sse");
  await read("since=nonsense");
  const lines = linesOf((await app.request("/events")).body!);
  await lines.event();
  session.emit("upgrader_finished");
  await lines.event();

  const response = await app.request("/metrics");
  assert.is(response.status, 200);
  assert.is(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const last = await response.text();
  assert.equal(await promtool(last), { code: 0, output: "" });
  const samples = samplesOf(last);
  const expected: Record<string, number> = {
    [`info{version="7.1.5",epoch="${session.channel.epoch}"}`]: 1,
    'published_events_total{type="upgrader_tick"}': 5,
    'published_events_total{type="upgrader_finished"}': 1,
    'published_events_total{type="shutdown"}': 0,
    "history_events": 3,
    "history_bytes": session.channel.stats().bytes,
    'subscribers{format="ndjson"}': 1,
    'subscribers{format="sse"}': 0,
    'ended_streams_total{format="ndjson",reason="completed"}': 1,
    'ended_streams_total{format="sse",reason="completed"}': 1,
    'ended_streams_total{format="sse",reason="stalled"}': 0,
    'deliveries_total{format="ndjson"}': 4,
    'deliveries_total{format="sse"}': 3,
    'losses_total{format="ndjson",reason="history_expired"}': 1,
    'lost_events_total{format="ndjson",reason="history_expired"}': 1,
    'losses_total{format="sse",reason="unknown_epoch"}': 1,
    'refusals_total{code="InvalidCursor"}': 1,
    'refusals_total{code="PayloadTooLarge"}': 0,
    'batch_events_bucket{format="ndjson",le="1"}': 1,
    'batch_events_bucket{format="ndjson",le="+Inf"}': 1,
    'batch_events_sum{format="ndjson"}': 1,
    'batch_events_count{format="ndjson"}': 1,
    'publish_to_write_seconds_count{format="ndjson"}': 1,
    'publish_to_write_seconds_bucket{format="sse",le="+Inf"}': 0,
  };
  for (const [name, value] of Object.entries(expected)) {
    assert.is(samples.get(`events_endpoint_${name}`), value, name);
  }
  assert.ok(samples.get('events_endpoint_sent_bytes_total{format="ndjson"}')! > text.length);
  assert.equal(
    [...samples.keys()],
    [...samplesOf(first).keys()],
    "no series comes or goes: labels are bounded",
  );
  await lines.close();

  const head = await app.request("/metrics", { method: "HEAD" });
  assert.equal([head.status, await head.text()], [200, ""]);
});

test("GET /metrics counts rejections before the endpoint, and those that an EventSource gets with status 200", async () => {
  const session = createSession({ version: "7.1.5" });
  const lines: string[] = [];
  const log = createLog("text", (line) => void lines.push(line));
  const app = createApp(session, { heartbeat: null, apiKey: "s3cret", maxConnections: 1, log });
  const headers = { "X-Api-Key": "s3cret" };
  await app.request("/events?key=wrong");
  await app.request("/metrics");
  const open = linesOf((await app.request("/events", { headers })).body!);
  await open.event();
  assert.is((await app.request("/events", { headers })).status, 503);
  assert.is((await app.request("/events?format=sse", { headers })).status, 200);
  const samples = samplesOf(await (await app.request("/metrics", { headers })).text());
  assert.is(samples.get('events_endpoint_refusals_total{code="Unauthorized"}'), 2);
  assert.is(samples.get('events_endpoint_refusals_total{code="TooManyConnections"}'), 2);
  await open.close();
  assert.equal(lines.map((line) => line.replace(/^\S+ /, "").replace(/ (format|seconds)=.*/, "")), [
    "info stream refused reason=rejected code=Unauthorized status=401",
    "info stream refused reason=rejected code=TooManyConnections status=503",
    "info stream refused reason=rejected code=TooManyConnections status=200",
    "info stream ended reason=disconnected",
  ]);
});

test("onStreamEnd reports unauthorized when authorize() no longer permits the stream", async () => {
  let permitted = true;
  const { endpoint, ends } = makeEndpoint(catalogue, {
    ...OPTIONS,
    heartbeat: 0.05,
    authorize: () => permitted,
  });
  const lines = linesOf((await endpoint.request("/")).body!);
  await lines.event();
  permitted = false;
  await lines.rest();
  assert.equal(ends.map(({ reason }) => reason), ["unauthorized"]);
});

test("GET /metrics has cumulative buckets in every histogram", async () => {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: null });
  const lines = linesOf((await app.request("/events")).body!);
  await lines.event();
  for (const size of [1, 2, 5, 50]) {
    session.channel.publishBatch(Array.from({ length: size }, () => ({ type: "upgrader_started" as const })));
    await lines.events(size);
  }
  const samples = samplesOf(await (await app.request("/metrics")).text());
  const buckets = [...samples].filter(([name]) =>
    name.startsWith('events_endpoint_batch_events_bucket{format="ndjson"')
  );
  assert.equal(buckets.map(([, count]) => count), [1, 2, 3, 3, 4, 4, 4, 4, 4]);
  await lines.close();
});

test.run();
