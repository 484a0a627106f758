/**
 * Readers that read slowly, or not at all, and do not affect others.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents, type MemoryChannel } from "../../src/mod.ts";
import { makeEndpoint, withEndpoint } from "../support/endpoint.ts";
import { linesOf, openLines, openWire, serving, timersLeftBy, until, within } from "../support/harness.ts";

const catalogue = defineEvents({ note: v.object({ n: v.number(), text: v.string() }) });

const test = suite("stream: slow readers");

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: null, writeToSocket: true };

/** Publishes this many notes of this many characters. */
function publish(channel: MemoryChannel<typeof catalogue.schemas>, count: number, size: number = 1000): void {
  for (let i = 0; i < count; i++) channel.publish("note", { n: channel.last + 1, text: "x".repeat(size) });
}

const REQUEST = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** Opens a stream on a socket that is not read. */
async function openStalled(port: number, subscribers: () => number) {
  const before = subscribers();
  const wire = await openWire(port);
  wire.socket.pause();
  wire.write(REQUEST);
  await until(() => subscribers() === before + 1, "it has subscribed");
  return wire;
}

/** A number of events that no buffers of a connection hold, so that a reader stalls. */
const MUCH = 12_000;

test("GET /events delivers to others while one reader stalls, and then to that one without a gap", async () => {
  await withEndpoint(catalogue, OPTIONS, async ({ endpoint, channel, url, port }) => {
    const stalled = await openStalled(port, () => endpoint.stats().subscribers);
    const lines = await openLines(`${url}/events`);
    await lines.event();
    for (let i = 0; i < MUCH / 100; i++) {
      publish(channel, 100);
      await turn();
    }
    for (let n = 1; n <= MUCH; n++) assert.is((await lines.event()).event.n, n);
    await lines.close();
    stalled.socket.resume();
    await until(() => stalled.received().includes(`"n":${MUCH},`), "it has read all of it");
    const numbers = [...stalled.received().matchAll(/"n":(\d+),/g)].map(([, n]) => Number(n));
    assert.equal(numbers, Array.from({ length: MUCH }, (_, i) => i + 1));
    stalled.socket.destroy();
    await until(() => endpoint.stats().subscribers === 0, "both have disconnected");
  });
});

test("GET /events delivers in few pieces what a reader missed that was published one by one", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, OPTIONS);
  const [live, ...others] = await Promise.all([1, 2, 3].map(async () => (await endpoint.request("/")).body!));
  const lines = linesOf(live!);
  await lines.event();
  for (let n = 1; n <= 500; n++) {
    publish(channel, 1, n % 50 === 0 ? 20_000 : 200); // A large one stands by itself.
    assert.is((await lines.event()).event.n, n);
    if (n === 300) others.push((await endpoint.request(`/?since=${channel.epoch}-271`)).body!);
  }
  for (const [i, body] of others.entries()) {
    const [reader, decoder] = [body.getReader(), new TextDecoder()];
    const numbers: number[] = [];
    let pieces = 0;
    while (numbers.at(-1) !== 500) {
      const text = decoder.decode((await within(reader.read(), "a piece")).value!);
      for (const [, n] of text.matchAll(/"n":(\d+),/g)) numbers.push(Number(n));
      pieces++;
    }
    const first = i < 2 ? 1 : 272;
    assert.equal(numbers, Array.from({ length: 501 - first }, (_, k) => first + k));
    assert.ok(pieces < 40, `${pieces} pieces`);
    await reader.cancel();
  }
  await lines.close();
});

test("GET /events holds no erased event in what it has sent of others to a reader that does not read", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, OPTIONS);
  const note = (text: string) => ({ type: "note", event: { n: channel.last + 1, text } }) as const;
  const secret = () => ({ ...note("secret"), subject: "user/jane" });
  const live = linesOf((await endpoint.request("/")).body!);
  /** Publishes events one by one, each of which is a chunk. */
  const publishEach = async (...drafts: ReturnType<typeof note>[]) => {
    for (const draft of drafts) {
      channel.publishBatch([draft]);
      await live.event();
    }
  };
  /** Opens a stream, and returns what it is sent first of the events. */
  const firstOf = async (query: string) => {
    const reader = (await endpoint.request(`/?since=${channel.epoch}-${query}`)).body!.getReader();
    await within(reader.read(), "the start");
    const { value } = await within(reader.read(), "a piece");
    return { value: value!, close: () => reader.cancel() };
  };
  await live.event();
  await publishEach(note("1"), secret(), note("3"), note("4"), note("5"));
  const ofPage = await firstOf("2");
  await publishEach(secret(), note("7"));
  channel.publishBatch([secret(), { ...note("9"), subject: "order/9" }]);
  await live.events(2);
  const ofBatch = await firstOf("7&subject=order/9");
  const ofMiddle = await firstOf("8");
  assert.is(channel.erase({ subject: "user/jane" }), 3);
  const decoder = new TextDecoder();
  for (const { value, close } of [ofPage, ofBatch, ofMiddle]) {
    assert.match(decoder.decode(value), /"text":"[39]"/);
    assert.not.match(decoder.decode(value.buffer), "secret");
    await close();
  }
  await live.close();
});

test("GET /events reports the exact loss when a stalled reader was overtaken", async () => {
  const settings = { ...OPTIONS, history: { events: 500 } };
  await withEndpoint(catalogue, settings, async ({ channel, endpoint, port }) => {
    const stalled = await openStalled(port, () => endpoint.stats().subscribers);
    for (let i = 0; i < MUCH / 100; i++) {
      publish(channel, 100);
      await turn();
    }
    stalled.socket.resume();
    await until(() => stalled.received().includes(`"n":${MUCH},`), "it has read to the end");
    const body = stalled.received();
    const account = [
      ...body.matchAll(/"n":(\d+),|"reason":"slow_consumer","count":(\d+)},"id":"\w+-(\d+)"/g),
    ];
    let position = 0;
    for (const [, n, count, id] of account) {
      position += n === undefined ? Number(count) : 1;
      assert.is(Number(n ?? id), position, "every event is delivered or counted, and in order");
    }
    assert.is(position, channel.last);
    assert.ok(account.some(([, , count]) => count !== undefined), "it was overtaken");
    stalled.socket.destroy();
    await until(() => endpoint.stats().subscribers === 0, "it has disconnected");
  });
});

test("stallTimeout disconnects a reader without progress, and no other", async () => {
  const { channel, app, endpoint } = makeEndpoint(catalogue, { ...OPTIONS, stallTimeout: 0.3 });
  const left = await timersLeftBy(() =>
    serving(app, async (_, port) => {
      const lines = linesOf((await app.request("/events")).body!); // Silent for long, but not stalled.
      await lines.event();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const stalled = await openStalled(port, () => endpoint.stats().subscribers);
      publish(channel, MUCH);
      const reading = (async () => {
        for (let n = 1; n <= MUCH; n++) assert.is((await lines.event()).event.n, n);
      })();
      await until(() => endpoint.stats().subscribers === 1, "the stalled one is disconnected");
      stalled.socket.resume();
      await within(stalled.closed, "its connection to be closed");
      await reading;
      publish(channel, 1);
      assert.is((await lines.event()).event.n, MUCH + 1);
      await lines.close();
      await until(
        () => endpoint.stats().subscribers === 0 && channel.stats().readers === 0,
        "no reader is left",
      );
    })
  );
  assert.is(left, 0);
});

test("stallTimeout does not disconnect a reader that makes progress in a large event", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, stallTimeout: 1 });
  const reader = (await endpoint.request("/")).body!.getReader();
  publish(channel, 1, 2_000_000);
  let size = 0;
  let pieces = 0;
  for (; size < 2_000_000; pieces++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    size += (await within(reader.read(), "a piece")).value!.length;
  }
  assert.ok(pieces * 300 > 1500, `${pieces} pieces`);
  assert.is(endpoint.stats().subscribers, 1);
  // A reader that stops in the middle of it is disconnected.
  publish(channel, 1, 2_000_000);
  await reader.read();
  await until(() => endpoint.stats().subscribers === 0, "it is disconnected");
  assert.is(endpoint.stats().formats.ndjson!.ended.stalled, 1);
});

test("stallTimeout starts again when a part of a large event was read", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, stallTimeout: 2.4 }); // It is checked every 200 ms.
  publish(channel, 1, 600_000); // Two pieces: when one was read, as much is left as before the first was written.
  const reader = (await endpoint.request("/?since=earliest")).body!.getReader();
  await new Promise((resolve) => setTimeout(resolve, 202));
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 170));
  await reader.read();
  const start = performance.now();
  await until(() => endpoint.stats().subscribers === 0, "it is disconnected");
  const ms = performance.now() - start;
  assert.ok(ms > 2390, `after ${ms} ms`);
});

test("stallTimeout does not count the time in which the process was blocked", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, stallTimeout: 0.6 });
  const reader = (await endpoint.request("/")).body!.getReader();
  await reader.read();
  publish(channel, 1, 600_000);
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 200)); // It has been checked.
  for (const end = performance.now() + 1000; performance.now() < end;);
  await turn();
  await turn();
  assert.is(endpoint.stats().subscribers, 1);
  await until(() => endpoint.stats().subscribers === 0, "it is disconnected later");
});

test("GET /events delivers large events whole and in order, live and replayed", async () => {
  const { app, channel } = makeEndpoint(catalogue, { ...OPTIONS, history: { bytes: 100_000_000 } });
  const sizes = [10, 600_000, 10, 12_000_000, 524_288, 10, 700_000, 700_000, 10];
  await serving(app, async (url) => {
    const live = await openLines(`${url}/events`); // It is not read yet.
    for (const size of sizes) {
      publish(channel, 1, size);
      await turn();
    }
    const replayed = await openLines(`${url}/events?since=earliest`);
    for (const lines of [live, replayed]) {
      assert.is((await lines.event()).type, "events_start");
      for (const [i, size] of sizes.entries()) {
        const { event } = await lines.event();
        assert.equal([event.n, event.text.length], [i + 1, size]);
      }
      await lines.close();
    }
  });
});

test("filter delivers large events whole after many hidden ones", async () => {
  const { app, channel } = makeEndpoint(catalogue, { ...OPTIONS, filter: ({ event }) => event.n > 3 });
  publish(channel, 6, 700_000);
  await serving(app, async (url) => {
    const lines = await openLines(`${url}/events?since=earliest`);
    await lines.event();
    for (const n of [4, 5, 6]) assert.is((await lines.event()).event.n, n);
    await lines.close();
  });
});

test("stallTimeout: null never disconnects a stalled reader", async () => {
  await withEndpoint(catalogue, { ...OPTIONS, stallTimeout: null }, async ({ endpoint, channel, port }) => {
    const stalled = await openStalled(port, () => endpoint.stats().subscribers);
    publish(channel, MUCH);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.is(endpoint.stats().subscribers, 1);
    stalled.socket.destroy();
    await until(() => endpoint.stats().subscribers === 0, "it has disconnected");
  });
});

test("GET /events keeps at most one chunk for a stalled reader", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, OPTIONS);
  const body = (await endpoint.request("/")).body!;
  for (let i = 0; i < 50; i++) {
    publish(channel, 20);
    await turn();
  }
  const reader = body.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  assert.match(await read(), /^\{"type":"events_start".*\}\n$/);
  // The rest is read from its position now, not from a queue.
  publish(channel, 1);
  let numbers: number[] = [];
  while (numbers.length < 1001) {
    numbers = numbers.concat([...(await read()).matchAll(/"n":(\d+),/g)].map(([, n]) => Number(n)));
  }
  assert.equal(numbers, Array.from({ length: 1001 }, (_, i) => i + 1));
  await reader.cancel();
});

test("maxDelay sends an event at once after a pause, and a flood in few chunks", async () => {
  const { endpoint, channel } = makeEndpoint(catalogue, { ...OPTIONS, maxDelay: 5 });
  const lines = linesOf((await endpoint.request("/")).body!);
  await lines.next();
  let arrived = false;
  const first = lines.event().then(() => arrived = true);
  publish(channel, 1);
  for (let i = 0; i < 200 && !arrived; i++) await undefined;
  assert.ok(arrived, "within the microtasks of the turn it was published in");
  await first;
  await lines.close();

  const readers = await Promise.all(Array.from({ length: 100 }, async () => {
    const reader = (await endpoint.request("/")).body!.getReader();
    await reader.read();
    return reader;
  }));
  const counts = readers.map((reader) => countChunks(reader, 2000));
  const immediate = () =>
    new Promise<void>((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => (port1.close(), resolve());
      port2.postMessage(0);
    });
  for (let turns = 0; turns < 1000; turns++) {
    publish(channel, 2, 10); // More than could be sent to all of them one by one.
    await immediate();
  }
  for (const chunks of await within(Promise.all(counts), "all events")) {
    assert.ok(chunks < 300, `${chunks} chunks for 2000 events in 1000 turns`);
  }
  await Promise.all(readers.map((reader) => reader.cancel()));
});

/** Reads this many events, and returns in how many chunks they came. */
async function countChunks(reader: ReadableStreamDefaultReader<Uint8Array>, events: number): Promise<number> {
  let chunks = 0;
  for (let read = 0; read < events; chunks++) {
    read += new TextDecoder().decode((await reader.read()).value).split("\n").length - 1;
  }
  return chunks;
}

if (!("Deno" in globalThis || "Bun" in globalThis)) {
  test("abort() of a request ends its stream after a garbage collection", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const { app, endpoint } = makeEndpoint(catalogue, OPTIONS);
    const controller = new AbortController();
    const { signal } = controller;
    const reader = (await app.fetch(new Request("http://localhost/events", { signal }))).body!.getReader();
    await reader.read();
    await turn();
    collect();
    await turn();
    controller.abort();
    await until(() => endpoint.stats().subscribers === 0, "its stream has ended", 1000);
    await reader.cancel();
  });
}

test.run();
