import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { withNats } from "../nats/server.ts";
import { findFreePort, type Lines, openLines, until, within } from "../support/harness.ts";
import { cuts, line, NDJSON, scripted, SSE, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { withWorkers, type Workerd } from "../support/workerd.ts";

const test = suite("workers");

/** The configuration of the example. */
const wrangler = JSON.parse(
  await readFile(new URL("../../examples/wrangler.jsonc", import.meta.url), "utf8"),
);
const [shop] = wrangler.durable_objects.bindings;

const NEW: string = wrangler.compatibility_date;
/** The first date at which Workers have streams of their own, and that of the example. */
const DATES = ["2022-11-30", NEW];
/** From here on `fetch` has the option `cache`; the oldest date of Workers that are modules. */
const CLIENT_DATES = ["2021-11-03", "2024-11-10", "2024-11-11"];

const natsPort = await findFreePort();

let workers: Promise<Workerd> | undefined;
let stop = () => {};
let stopped: Promise<void> | undefined;

/** Starts `workerd` once for all tests. */
function started(): Promise<Workerd> {
  return workers ??= new Promise((resolve, reject) => {
    const options = {
      file: "test/package/worker.ts",
      objects: { [shop.name]: shop.class_name, FEED: "Feed", DURABLE: "Durable" },
      texts: { NATS: `ws://127.0.0.1:${natsPort}` },
      dates: [...DATES, ...CLIENT_DATES],
    };
    stopped = withWorkers(options, (running) => {
      resolve(running);
      return new Promise((end) => stop = end);
    });
    stopped.catch(reject);
  });
}

test.after(async () => {
  stop();
  await stopped;
});

async function urlOf(date: string): Promise<string> {
  return (await started()).urlOf(date);
}

async function post(url: string, body: unknown): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return await within(fetch(url, { method: "POST", headers, body: JSON.stringify(body) }), `POST ${url}`);
}

/** Publishes a number. Returns its id. */
async function publish(url: string, n: number): Promise<string> {
  const response = await post(`${url}/events`, { type: "number", event: { n } });
  assert.is(response.status, 202, await response.clone().text());
  return (await response.json()).last_id;
}

async function statsOf(url: string): Promise<{ subscribers: number; readers: number }> {
  const { subscribers, readers } = await (await within(fetch(`${url}/stats`), "the stats")).json();
  return { subscribers, readers };
}

/** Opens a stream that a test ends by itself. */
async function opened(url: string, headers: Record<string, string> = {}): Promise<Lines> {
  return await openLines(url, { headers });
}

test("createChannel() and eventsEndpoint() at module scope start in a Worker", async () => {
  for (const date of DATES) {
    const url = `${await urlOf(date)}/plain/events?follow=false`;
    const lines = await opened(url);
    assert.equal((await lines.rest()).map(({ type }) => type), ["events_start"], date);
  }
});

test("worker.ts streams the orders that are posted to its Durable Object", async () => {
  const url = await urlOf(NEW);
  const lines = await opened(`${url}/events`);
  assert.equal((await lines.event()).event, { heartbeat: 5 });
  const placed = { id: "o-1", total: 42 };
  const response = await post(`${url}/orders`, placed);
  assert.is(response.status, 201);
  const { id, type, event } = await lines.event();
  assert.equal({ type, event }, { type: "order_placed", event: placed });
  assert.equal(await response.json(), { event: id });
  assert.is((await post(`${url}/orders`, { id: "o-2", total: -1 })).status, 400);
  const stats = await (await fetch(`${url}/stats`)).json();
  assert.is(stats.endpoint.subscribers, 1);
  assert.is(stats.channel.events, 1);
  await lines.close();
});

for (const date of DATES) {
  test(`eventsEndpoint() in a Durable Object streams NDJSON and SSE with heartbeats at ${date}`, async () => {
    const url = `${await urlOf(date)}/feed`;
    const ndjson = await opened(`${url}/events`, { Accept: NDJSON });
    const sse = await opened(`${url}/events`, { Accept: SSE });
    assert.is((await ndjson.event()).type, "events_start");
    assert.match((await sse.next())!, /^retry: \d+$/);
    for (let text; (text = (await sse.next())!) !== "";) assert.match(text, /^(event|data|id): /);
    const id = await publish(url, 1);
    const { type, event, id: received } = await ndjson.event();
    assert.equal([type, event, received], ["number", { n: 1 }, id]);
    assert.is((await sse.next())!, "event: number");
    assert.match((await sse.next())!, /^data: \{"type":"number","event":\{"n":1\}/);
    assert.is((await sse.next())!, `id: ${id}`);
    assert.is((await sse.next())!, "");
    for (let beats = 0; beats < 2; beats++) {
      assert.is(await ndjson.next(), "");
      assert.is((await sse.next())!, ":");
    }
    await Promise.all([ndjson.close(), sse.close()]);
  });

  test(`eventsEndpoint() in a Durable Object forgets streams that were closed at ${date}`, async () => {
    const url = `${await urlOf(date)}/feed`;
    await until(async () => (await statsOf(url)).subscribers === 0, "no stream is open");
    const formats = [NDJSON, SSE];
    const streams = await Promise.all(
      Array.from({ length: 60 }, (_, i) => opened(`${url}/events`, { Accept: formats[i % 2]! })),
    );
    assert.equal(await statsOf(url), { subscribers: 60, readers: 2 });
    await Promise.all(streams.map((one) => one.close()));
    // No server reports a disconnect to a Durable Object: a write shows it, at the latest that of a heartbeat.
    await until(async () => (await statsOf(url)).subscribers === 0, "the streams are gone");
    assert.equal(await statsOf(url), { subscribers: 0, readers: 0 });
  });

  test(`eventsEndpoint() in a Durable Object resumes after Last-Event-ID at ${date}`, async () => {
    const url = `${await urlOf(date)}/feed`;
    const id = await publish(url, 100);
    const missed = [await publish(url, 101), await publish(url, 102)];
    const sse = await opened(`${url}/events?follow=false`, { "Accept": SSE, "Last-Event-ID": id });
    const ids: string[] = [];
    for (let text; (text = await sse.next()) !== undefined;) {
      if (text.startsWith("id: ")) ids.push(text.slice(4));
    }
    assert.equal(ids, [id, ...missed]);
  });

  test(`connect() resumes a stream of a Durable Object without gap or repeat at ${date}`, async () => {
    const url = `${await urlOf(date)}/feed`;
    const first = await publish(url, 0);
    let requests = 0;
    const cut = async (address: string, init: RequestInit) => {
      const response = await fetch(address, init);
      return new Response(response.body!.pipeThrough(cutAfter(350 + 170 * (requests++ % 2))), response);
    };
    const connection = connect(`${url}/events`, {
      since: first,
      fetch: cut,
      headers: { Accept: NDJSON }, // SSE would ask for seconds between two attempts.
      reconnect: { min: 0.01, max: 0.02 },
    });
    const numbers = Array.from({ length: 30 }, (_, i) => i + 1);
    const publishing = (async () => {
      for (const n of numbers) await publish(url, n);
    })();
    const received: unknown[] = [];
    for await (const { event } of connection) {
      if (received.push((event as { n: number }).n) === numbers.length) break;
    }
    await publishing;
    assert.equal(received, numbers);
    assert.ok(requests > 5, `${requests} requests`);
  });

  test(`eventsEndpoint() in a plain Worker rejects the readers of a second request at ${date}`, async () => {
    const url = `${await urlOf(date)}/plain`;
    const first = await opened(`${url}/events`);
    await first.event();
    const others = await Promise.all([
      fetch(`${url}/events`),
      fetch(`${url}/events?follow=false`),
      post(`${url}/events`, { type: "number", event: { n: 1 } }),
    ]);
    for (const response of others) {
      assert.is(response.status, 501);
      const { error } = await within(response.json(), "the error");
      assert.is(error.code, "RequestsIsolated");
      assert.match(error.message, "one Durable Object");
    }
    assert.is(await first.next(), "", "the first stream goes on");
    await first.close();
    const isFree = async () => {
      const response = await fetch(`${url}/events?follow=false`);
      await response.text();
      return response.status === 200;
    };
    await until(isFree, "the first stream is forgotten");
  });
}

test("eventsEndpoint() serves a channel at module scope to one Durable Object, and rejects the readers of another", async () => {
  const url = `${await urlOf(NEW)}/plain/events`;
  const first = await opened(`${url}?object=first`);
  const second = await opened(`${url}?object=first`);
  const other = await within(fetch(`${url}?object=other`), "the other object");
  assert.is(other.status, 501);
  assert.is((await other.json()).error.code, "RequestsIsolated");
  for (const lines of [first, second]) {
    assert.is((await lines.event()).type, "events_start");
    await lines.close();
  }
});

test("eventsEndpoint() in a plain Worker streams a channel that each request makes for itself", async () => {
  const url = `${await urlOf(NEW)}/own`;
  const all = await Promise.all([1, 2, 3].map(async () => await (await opened(url)).rest()));
  for (const [start, ...events] of all) {
    assert.is(start?.type, "events_start");
    assert.equal(events.map(({ event }) => event.n), [1, 2, 3]);
  }
});

test("connect() reports unknown_epoch after a Durable Object was restarted", async () => {
  const url = `${await urlOf(NEW)}/feed`;
  const publishTo = (n: number) => post(`${url}/events?object=mortal`, { type: "number", event: { n } });
  await publishTo(1);
  const connection = connect(`${url}/events?object=mortal`, {
    since: "earliest",
    reconnect: { min: 0.01, max: 0.1 },
    idleTimeout: 5,
  });
  const next = async () => {
    const { value } = await within(connection.next(), "an event");
    return [value?.type, value?.event];
  };
  assert.equal(await next(), ["number", { n: 1 }]);
  await fetch(`${url}/restart?object=mortal`).catch(() => {});
  await publishTo(2);
  assert.equal(await next(), ["events_lost", { reason: "unknown_epoch", count: null }]);
  assert.equal(await next(), ["number", { n: 2 }]);
  await connection.return();
});

test("natsChannel() in a Durable Object loses nothing when the object is restarted", async () => {
  const url = `${await urlOf(NEW)}/durable`;
  const early = await within(fetch(`${url}/events`), "the object without NATS");
  await early.body?.cancel();
  assert.is(early.status, 500);
  const settings = `websocket { listen: "127.0.0.1:${natsPort}", no_tls: true }`;
  await withNats(async () => {
    await publish(url, 1);
    const connection = connect(`${url}/events`, {
      since: "earliest",
      reconnect: { min: 0.01, max: 0.1 },
      idleTimeout: 5,
    });
    const received: unknown[] = [];
    for await (const { event } of connection) {
      const { n } = event as { n: number };
      received.push(n);
      if (n === 4) break;
      if (n === 2) await fetch(`${url}/restart`).catch(() => {});
      await publish(url, n + 1);
    }
    assert.equal(received, [1, 2, 3, 4]);
  }, { settings });
});

/** Cuts a body after a number of bytes, wherever that is. */
function cutAfter(bytes: number): TransformStream<Uint8Array, Uint8Array> {
  let left = bytes;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left < 0) controller.error(new Error("cut"));
    },
  });
}

for (const date of [...CLIENT_DATES, ...DATES]) {
  test(`connect() in a Worker follows a server, and resumes after a cut at ${date}`, async () => {
    const worker = await urlOf(date);
    const number = (n: number) => line("number", `a-${n}`, { n });
    const block = (n: number) => `event: number\ndata: ${number(n).trim()}\nid: a-${n}\n\n`;
    const replies = [
      cuts(NDJSON, start("a-0"), number(1), number(2).slice(0, 20)),
      streams(NDJSON, start("a-1"), number(2)),
      cuts(SSE, `data: ${start("a-0").trim()}\nid: a-0\n\n`, block(1), block(2).slice(0, 20)),
      streams(SSE, `data: ${start("a-1").trim()}\nid: a-1\n\n`, block(2)),
    ];
    await scripted(replies, async ({ url, requests, open }) => {
      for (const accept of [NDJSON, SSE]) {
        const query = new URLSearchParams({ url, accept, count: "2" });
        const response = await within(fetch(`${worker}/follow?${query}`), "the Worker");
        const { events, statuses } = await response.json();
        assert.equal(events, [1, 2].map((n) => ({ type: "number", event: { n }, id: `a-${n}` })));
        const attempt = ["connecting", "open"];
        assert.equal(statuses, [...attempt, "ConnectionLost", "waiting", ...attempt, "closed"]);
      }
      assert.equal(requests.map(({ query }) => query.get("since")), ["earliest", "a-1", "earliest", "a-1"]);
      await until(() => open() === 0, "the Worker has disconnected");
    });
  });
}

test("connect() in a Worker follows a Durable Object by the fetch of its stub", async () => {
  const worker = await urlOf(NEW);
  await publish(`${worker}/feed`, 7);
  const query = new URLSearchParams({ url: "http://feed/feed/events", accept: NDJSON, count: "1", stub: "" });
  const response = await within(fetch(`${worker}/follow?${query}`), "the Worker");
  const { events, statuses } = await response.json();
  assert.is(events[0].type, "number");
  assert.equal(statuses, ["connecting", "open", "closed"]);
  await until(async () => (await statsOf(`${worker}/feed`)).subscribers === 0, "the stream is gone");
});

test.run();
