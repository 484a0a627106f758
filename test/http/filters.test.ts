import { compress } from "hono/compress";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint, type MemoryChannel } from "../../src/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { linesOf, openLines, serving, until, within } from "../support/harness.ts";

const catalogue = defineEvents({
  torrent_finished: v.object({ n: v.number() }),
  torrent_error: v.object({ n: v.number() }),
  market_ask: v.object({ n: v.number(), user: v.optional(v.string()) }),
});

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: null, history: { events: 1000 } };

const test = suite("http: filters");

/** Publishes an event of each of these types, numbered from 1 on. */
function publish(
  channel: MemoryChannel<typeof catalogue.schemas>,
  ...types: ("torrent_finished" | "torrent_error" | "market_ask")[]
): string[] {
  return types.map((type) => channel.publish(type, { n: channel.last + 1 }));
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

test("types selects by name and by prefix, live and replayed", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  publish(channel, "torrent_finished", "market_ask", "torrent_error", "market_ask");
  const seen = async (types: string) => {
    const { body } = await endpoint.request(`/?since=earliest&${types}`);
    const lines = linesOf(body!);
    return { lines, start: await lines.event() };
  };
  const cases: [string, number[]][] = [
    ["types=torrent_finished", [1, 5]],
    ["types=torrent_*", [1, 3, 5, 7]],
    ["types=torrent_*,market_ask", [1, 2, 3, 4, 5, 6, 7, 8]],
    ["types=market_ask,torrent_error", [2, 3, 4, 6, 7, 8]],
    ["types=market_ask&types=torrent_error", [2, 3, 4, 6, 7, 8]],
    ["types=*", [1, 2, 3, 4, 5, 6, 7, 8]],
    ["types=", [1, 2, 3, 4, 5, 6, 7, 8]],
    ["types=,%20market_ask%20,", [2, 4, 6, 8]],
    ["types=events_lost", []],
  ];
  const open = await Promise.all(cases.map(([types]) => seen(types)));
  publish(channel, "torrent_finished", "market_ask");
  await turn();
  publish(channel, "torrent_error", "market_ask");
  await turn();
  channel.close();
  for (const [i, [types, numbers]] of cases.entries()) {
    assert.is(open[i]!.start.type, "events_start", "control events pass every filter");
    assert.equal((await open[i]!.lines.rest()).map(({ event }) => event.n), numbers, types);
  }
});

test("types rejects a name that matches no type", async () => {
  const { endpoint } = makeEndpoint(catalogue, OPTIONS);
  for (const bad of ["nope", "torrent", "Torrent_*", "market_ask,nope*", "*_finished", "torrent_**"]) {
    const response = await endpoint.request(`/?types=${bad}`);
    assert.is(response.status, 400);
    const { error } = await response.json();
    assert.is(error.code, "UnknownEventType");
    assert.ok(error.message.includes(`"${bad.split(",").at(-1)}"`), error.message);
  }
});

test("an unknown type gets the nearest name, in types and in a POST", async () => {
  const { endpoint } = makeEndpoint(catalogue, OPTIONS);
  const { error } = await (await endpoint.request("/?types=torrent_finish")).json();
  assert.is(error.message, 'no event type matches "torrent_finish": did you mean torrent_finished?');
  const drafts = Array.from({ length: 10 }, () => ({ type: "market-ask", event: { n: 1 } }));
  const headers = { "Content-Type": "application/json" };
  const response = await endpoint.request("/", { method: "POST", headers, body: JSON.stringify(drafts) });
  const messages: string[] = (await response.json()).error.details.map(({ message }: Error) => message);
  const plain = '"market-ask" is not a type of this catalogue';
  assert.equal(messages[0], `${plain}: did you mean market_ask?`);
  assert.equal(messages[9], plain, "a body of unknown types costs no comparison for each");
});

test("filter decides for each request, on replayed and live events, within types", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, {
    ...OPTIONS,
    filter: (event, c) => event.type !== "market_ask" || event.event.user === c.req.query("user"),
  });
  const publish = (user: string) => channel.publish("market_ask", { n: channel.last + 1, user });
  const open = async (query: string) => linesOf((await endpoint.request(`/?since=earliest&${query}`)).body!);
  publish("ann");
  publish("bob");
  channel.publish("torrent_error", { n: 3 });
  const ann = await open("user=ann");
  const bob = await open("user=bob");
  const market = await open("user=bob&types=market_*");
  publish("bob");
  await turn();
  publish("ann");
  channel.close();
  const numbers = async (lines: typeof ann) => (await lines.rest()).slice(1).map(({ event }) => event.n);
  assert.equal(await numbers(ann), [1, 3, 5]);
  assert.equal(await numbers(bob), [2, 3, 4]);
  assert.equal(await numbers(market), [2, 4]);
});

test("filter cuts off its response when it throws", async () => {
  const errors: unknown[] = [];
  const { channel, endpoint } = makeEndpoint(catalogue, {
    ...OPTIONS,
    onError: (error) => void errors.push(error),
    filter: (event) => {
      if ("n" in event.event && event.event.n === 2) throw new Error("no permission found");
      return true;
    },
  });
  channel.publish("torrent_error", { n: 1 });
  const reader = (await endpoint.request("/?since=earliest")).body!.getReader();
  await reader.read();
  assert.match(new TextDecoder().decode((await reader.read()).value), /"n":1/);
  channel.publish("torrent_error", { n: 2 });
  const isCut = await reader.read().then(() => false, () => true);
  assert.ok(isCut);
  assert.equal(errors.map((error) => (error as Error).message), ["no permission found"]);
  assert.is(endpoint.stats().subscribers, 0);
});

test("types yields to other work in a long history that it hides, and reads it to its end", async () => {
  const big = createChannel(catalogue);
  const other = eventsEndpoint(big, { heartbeat: null });
  for (let n = 0; n < 60_000; n++) big.publish("torrent_error", { n });
  big.publish("market_ask", { n: -1 });
  const lines = linesOf((await other.request("/?since=earliest&types=market_ask&follow=false")).body!);
  assert.is((await lines.event()).type, "events_start");
  assert.equal((await lines.rest()).map(({ event }) => event.n), [-1]);
  // A disconnect in the middle of it leaves nothing behind.
  const reader = (await other.request("/?since=earliest&types=market_ask")).body!.getReader();
  await reader.read();
  await turn();
  assert.is(other.stats().subscribers, 1);
  await reader.cancel();
  assert.is(other.stats().subscribers, 0);
});

test("bookmarks=true sends events_bookmark with the heartbeat after hidden events", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.05 });
  const open = async (query: string) => {
    const lines = linesOf((await endpoint.request(`/?types=market_ask&${query}`)).body!);
    await lines.event();
    return lines;
  };
  const [marked, plain] = await Promise.all([open("bookmarks=true"), open("")]);
  assert.is(await marked.next(), "", "no hidden event: a heartbeat");
  const [, id] = publish(channel, "torrent_error", "torrent_error");
  const bookmark = await marked.event();
  assert.equal(Object.keys(bookmark), ["type", "id", "time"]);
  assert.is(bookmark.type, "events_bookmark");
  assert.is(bookmark.id, id);
  assert.is(await marked.next(), "", "reported once");
  publish(channel, "market_ask");
  assert.is((await marked.event()).type, "market_ask");
  assert.is(await marked.next(), "", "the event has the position itself");
  for (let line; (line = await plain.next()) === "" || line === undefined;);
  await Promise.all([marked.close(), plain.close()]);
  assert.is(channel.last, 3);
});

test("format=sse moves the cursor of a filtered stream by a block with nothing but an id", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.05 });
  const reader = (await endpoint.request("/?types=market_ask&format=sse")).body!.getReader();
  const [id] = publish(channel, "torrent_error");
  let text = "";
  while (!text.includes(`\n\nid: ${id}\n\n`)) text += new TextDecoder().decode((await reader.read()).value);
  assert.not.match(text, /torrent_error/);
  await reader.cancel();
});

test("follow=false ends with a bookmark after hidden events", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  const [, , id] = publish(channel, "torrent_error", "market_ask", "torrent_error");
  const read = async (query: string) => {
    const response = await endpoint.request(`/?since=earliest&follow=false&types=market_ask&${query}`);
    return await response.text();
  };
  const bookmark = new RegExp(`"n":2}[^\n]*\n\\{"type":"events_bookmark","id":"${id}",[^\n]*\n$`);
  assert.match(await read("bookmarks=true"), bookmark);
  assert.match(await read("format=sse"), new RegExp(`"n":2}.*\nid: .*\n\nid: ${id}\n\n$`));
  assert.match(await read(""), /"n":2}[^\n]*\n$/, "not by default");
  publish(channel, "market_ask");
  assert.match(await read("bookmarks=true"), /"n":4}[^\n]*\n$/, "the event has the position itself");
  const resumed = await (await endpoint.request(`/?since=${id}&follow=false&bookmarks=true`)).text();
  assert.match(resumed, /^[^\n]*events_start[^\n]*\n[^\n]*"n":4}[^\n]*\n$/);
});

test("bookmarks=true sends events_bookmark when heartbeats are off", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: null });
  const open = async (query: string) => {
    const { body } = await endpoint.request(`/?types=market_ask&follow=true&${query}`);
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader.read()).value!, /events_start/);
    return { next: async () => (await within(reader.read(), query)).value, close: () => reader.cancel() };
  };
  const [marked, sse, plain] = await Promise.all(["bookmarks=true", "format=sse", ""].map(open));
  const [id] = publish(channel, "torrent_error");
  assert.match((await marked!.next())!, new RegExp(`^\\{"type":"events_bookmark","id":"${id}",[^\n]*\n$`));
  assert.is(await sse!.next(), `id: ${id}\n\n`);
  publish(channel, "market_ask");
  for (const reader of [marked!, sse!, plain!]) {
    assert.match((await reader.next())!, /"type":"market_ask"/, "it is the first");
    await reader.close();
  }
});

test("heartbeat is sent while the filter hides all events", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.04 });
  await serving(endpoint, async (url) => {
    const lines = await openLines(`${url}/?types=market_ask`);
    await lines.event();
    let flowing = true;
    const flow = (async () => {
      for (; flowing; await new Promise((resolve) => setTimeout(resolve, 5))) {
        publish(channel, "torrent_error");
      }
    })();
    assert.equal([await lines.next(), await lines.next(), await lines.next()], ["", "", ""]);
    flowing = false;
    await flow;
    await lines.close();
  });
});

test("types shares the bytes between equal filters", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  const read = async (query: string) => {
    const reader = (await endpoint.request(`/?${query}`)).body!.getReader();
    await reader.read();
    return reader;
  };
  const readers = await Promise.all([
    read("types=market_ask,torrent_error"),
    read("types=torrent_error,market_*"),
    read(""),
    read("types=*"),
  ]);
  publish(channel, "torrent_error", "torrent_finished", "market_ask");
  const [a, b, all, every] = await Promise.all(readers.map(async (reader) => (await reader.read()).value!));
  assert.is(a, b, "one copy for two subscribers");
  assert.is.not(a!.buffer, all!.buffer);
  assert.is(all!.length, every!.length);
  await Promise.all(readers.map((reader) => reader.cancel()));
});

test("eventsEndpoint() streams through middleware of the application", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, OPTIONS);
  const app = new Hono();
  app.use(compress());
  app.use(async (c, next) => {
    await next();
    c.res.headers.set("X-After", "yes");
  });
  app.use("/shouted/*", async (c, next) => {
    await next();
    const upper = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) =>
        controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(bytes).toUpperCase())),
    });
    c.res = new Response(c.res.body!.pipeThrough(upper), c.res);
  });
  app.route("/events", endpoint);
  app.route("/shouted/events", endpoint);
  await serving(app, async (url) => {
    const response = await fetch(`${url}/events`);
    assert.is(response.headers.get("x-after"), "yes");
    assert.is(response.headers.get("content-encoding"), null);
    const lines = linesOf(response.body!);
    const shouted = linesOf((await fetch(`${url}/shouted/events`)).body!);
    assert.is((await lines.event()).type, "events_start");
    assert.match((await shouted.next())!, /"TYPE":"EVENTS_START"/);
    for (const n of [1, 2, 3]) {
      channel.publish("torrent_error", { n });
      assert.is((await lines.event()).event.n, n);
      assert.match((await shouted.next())!, new RegExp(`"TYPE":"TORRENT_ERROR","EVENT":{"N":${n}}`));
    }
    await lines.close();
    await shouted.close();
    await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
  });
});

test.run();
