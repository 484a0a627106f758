import * as fc from "fast-check";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint, type MemoryChannel } from "../../src/mod.ts";
import { makeEndpoint, untilIdle, withEndpoint } from "../support/endpoint.ts";
import {
  type Dictionary,
  linesOf,
  openLines,
  openWire,
  serving,
  timersLeftBy,
  until,
  within,
} from "../support/harness.ts";

const catalogue = defineEvents({ tick: v.object({ n: v.number() }), note: v.object({ text: v.string() }) });

const test = suite("http: endpoint");

/** The default options of the endpoints. */
const OPTIONS = { writeToSocket: true };

function publish(channel: MemoryChannel<typeof catalogue.schemas>, count: number): string[] {
  return Array.from({ length: count }, () => channel.publish("tick", { n: channel.last + 1 }));
}

function numbers(events: readonly Dictionary[]): number[] {
  return events.filter(({ type }) => type === "tick").map(({ event }) => event.n);
}

test("GET /events sends its headers and events_start at once", async () => {
  await withEndpoint(catalogue, OPTIONS, async ({ url, ...set }) => {
    const response = await within(fetch(`${url}/events`), "the answer");
    assert.is(response.status, 200);
    assert.is(response.headers.get("content-type"), "application/x-ndjson");
    assert.is(response.headers.get("cache-control"), "no-store, no-transform");
    assert.is(response.headers.get("x-accel-buffering"), "no");
    assert.is(response.headers.get("x-content-type-options"), "nosniff");
    assert.is(response.headers.get("vary"), "Accept");
    const lines = linesOf(response.body!);
    const start = await lines.event();
    assert.equal(Object.keys(start), ["type", "event", "id", "time"]);
    assert.is(start.type, "events_start");
    assert.equal(start.event, { heartbeat: 5 });
    assert.is(start.id, `${set.channel.epoch}-0`);
    publish(set.channel, 1);
    assert.equal(numbers([await lines.event()]), [1]);
    await lines.close();
    await untilIdle(set);
  });
});

test("HEAD /events answers as GET does, and opens no stream", async () => {
  await withEndpoint(catalogue, OPTIONS, async ({ url, ...set }) => {
    const response = await within(fetch(`${url}/events`, { method: "HEAD" }), "the answer");
    assert.is(response.status, 200);
    assert.is(response.headers.get("content-type"), "application/x-ndjson");
    assert.is(response.headers.get("cache-control"), "no-store, no-transform");
    assert.is(await response.text(), "");
    assert.is((await fetch(`${url}/events?since=x`, { method: "HEAD" })).status, 400);
    assert.is(set.endpoint.stats().subscribers, 0);
    assert.is(set.channel.stats().readers, 0);
  });
});

test("startPayload() is called for each stream, and is the payload of events_start", async () => {
  const channel = createChannel(defineEvents({ events_start: v.object({ visits: v.number() }), tick: null }));
  let visits = 0;
  const endpoint = eventsEndpoint(channel, { startPayload: () => ({ visits: ++visits }), heartbeat: null });
  for (const expected of [1, 2]) {
    const [start] = await linesOf((await endpoint.request("/?follow=false")).body!).rest();
    assert.equal(start!.event, { visits: expected, heartbeat: null });
  }
});

test("eventsEndpoint() leaves an error in startPayload() to app.onError()", async () => {
  const app = new Hono();
  const startPayload = () => {
    throw new Error("no state");
  };
  app.route("/events", eventsEndpoint(createChannel(catalogue), { startPayload }));
  app.onError((error, c) => c.text(`mine: ${error.message}`, 500));
  assert.is(await (await app.request("/events")).text(), "mine: no state");
});

test("GET /events delivers live events in order, also those of one turn", async () => {
  await withEndpoint(catalogue, OPTIONS, async ({ url, ...set }) => {
    const lines = await openLines(`${url}/events`);
    await lines.event();
    for (const count of [1, 5, 1, 100]) {
      publish(set.channel, count);
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert.equal(numbers(await lines.events(107)), Array.from({ length: 107 }, (_, i) => i + 1));
    await lines.close();
  });
});

test("since replays from the earliest event, after a cursor, or not at all", async () => {
  const { channel, app } = makeEndpoint(catalogue, OPTIONS);
  const ids = publish(channel, 5);
  const read = async (query: string, headers: Record<string, string> = {}) => {
    const response = await app.request(`/events?follow=false${query}`, { headers });
    assert.is(response.status, 200);
    const events = await linesOf(response.body!).rest();
    return { start: events[0]!.id, numbers: numbers(events) };
  };
  const zero = `${channel.epoch}-0`;
  assert.equal(await read("&since=earliest"), { start: zero, numbers: [1, 2, 3, 4, 5] });
  assert.equal(await read(`&since=${ids[2]}`), { start: ids[2], numbers: [4, 5] });
  assert.equal(await read(`&since=${zero}`), { start: zero, numbers: [1, 2, 3, 4, 5] });
  assert.equal(await read(`&since=${ids[4]}`), { start: ids[4], numbers: [] });
  assert.equal(await read("&since=latest"), { start: ids[4], numbers: [] });
  assert.equal(await read(""), { start: ids[4], numbers: [] });
  assert.equal(await read("", { "Last-Event-ID": ids[3]! }), { start: ids[3], numbers: [5] });
  assert.equal(await read(`&since=${ids[0]}`, { "Last-Event-ID": ids[3]! }), { start: ids[3], numbers: [5] });
  assert.equal(await read(`&since=${ids[0]}`, { "Last-Event-ID": "" }), {
    start: ids[0],
    numbers: [2, 3, 4, 5],
  });
  assert.equal(await read("&since="), { start: ids[4], numbers: [] });
  assert.equal(await read(`&since=earliest&lastEventId=${ids[3]}`), { start: ids[3], numbers: [5] });
  assert.equal(await read(`&lastEventId=${ids[0]}`, { "Last-Event-ID": ids[3]! }), {
    start: ids[3],
    numbers: [5],
  });
  assert.equal(await read(`&since=${ids[3]}&lastEventId=`), { start: ids[3], numbers: [5] });
});

test("since replays the same text as was delivered live", async () => {
  const { channel, app } = makeEndpoint(catalogue, OPTIONS);
  const live = linesOf((await app.request("/events")).body!);
  publish(channel, 3);
  await live.next();
  const text = [await live.next(), await live.next(), await live.next()];
  const replay = linesOf((await app.request("/events?since=earliest&follow=false")).body!);
  await replay.next();
  assert.equal([await replay.next(), await replay.next(), await replay.next()], text);
  await live.close();
});

test("GET /events rejects cursors that are malformed or ahead, and invalid parameters", async () => {
  const { channel, app } = makeEndpoint(catalogue, OPTIONS);
  const [id] = publish(channel, 1);
  const refused = async (query: string, headers: Record<string, string> = {}) => {
    const response = await app.request(`/events?${query}`, { headers });
    assert.is(response.status, 400, query);
    assert.match(response.headers.get("content-type")!, /^application\/json/);
    const { error } = await response.json();
    assert.is(error.handled, true);
    assert.type(error.message, "string");
    return error.code;
  };
  for (
    const bad of ["x", "1", "a-b", `${id} `, `${channel.epoch}-2`, `${channel.epoch}--1`, "%00", "Latest"]
  ) {
    assert.is(await refused(`since=${encodeURIComponent(bad)}`), "InvalidCursor", bad);
    if (bad !== "%00") assert.is(await refused("", { "Last-Event-ID": bad.trim() + "!" }), "InvalidCursor");
  }
  assert.is(await refused(`since=${id}`, { "Last-Event-ID": "bad" }), "InvalidCursor");
  assert.is(await refused("", { "Last-Event-ID": "earliest" }), "InvalidCursor");
  assert.is(await refused("lastEventId=earliest"), "InvalidCursor");
  assert.is(await refused("follow=no"), "InvalidParameter");
});

test("GET /events reports the exact loss after an expired cursor", async () => {
  const { channel, app } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 3 } });
  const ids = publish(channel, 10);
  const events = await linesOf((await app.request(`/events?follow=false&since=${ids[1]}`)).body!).rest();
  assert.equal(events.map(({ type }) => type), ["events_start", "events_lost", "tick", "tick", "tick"]);
  assert.is(events[0]!.id, ids[1]);
  assert.equal(events[1]!.event, { reason: "history_expired", count: 5 });
  assert.is(events[1]!.id, ids[6]);
  assert.equal(numbers(events), [8, 9, 10]);
});

test("GET /events reports an unknown loss after a cursor of another channel", async () => {
  const { channel, app } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 3 } });
  publish(channel, 4);
  const events = await linesOf((await app.request("/events?follow=false&since=gone-2")).body!).rest();
  assert.is(events[0]!.id, "gone-2");
  assert.equal(events[1]!.event, { reason: "unknown_epoch", count: null });
  assert.is(events[1]!.id, `${channel.epoch}-1`);
  assert.equal(numbers(events), [2, 3, 4]);
});

test("GET /events reports the loss of a reader that is overtaken, and continues with the oldest event kept", async () => {
  const { channel, app } = makeEndpoint(catalogue, { ...OPTIONS, history: { events: 4 } });
  const lines = linesOf((await app.request("/events")).body!);
  await lines.event();
  publish(channel, 3);
  assert.equal(numbers(await lines.events(3)), [1, 2, 3]);
  publish(channel, 20); // In one turn, more than the history holds: even the fastest reader is overtaken.
  const lost = await lines.event();
  assert.equal(lost.event, { reason: "slow_consumer", count: 16 });
  assert.is(lost.id, `${channel.epoch}-19`);
  assert.equal(numbers(await lines.events(4)), [20, 21, 22, 23]);
  await lines.close();
});

test("follow=false ends after the last event at the time of the request", async () => {
  const set = makeEndpoint(catalogue, OPTIONS);
  publish(set.channel, 2);
  const lines = linesOf((await set.app.request("/events?since=earliest&follow=false")).body!);
  publish(set.channel, 2);
  assert.equal(numbers(await lines.rest()), [1, 2]);
  await untilIdle(set);
});

test("GET /events replays in bounded chunks of whole lines", async () => {
  const { channel, app } = makeEndpoint(catalogue, OPTIONS);
  for (let i = 0; i < 300; i++) channel.publish("note", { text: "x".repeat(i * 10) });
  const reader = (await app.request("/events?since=earliest&follow=false")).body!.getReader();
  let total = 0;
  for (let read; !(read = await reader.read()).done;) {
    assert.is(read.value.at(-1), 0x0a);
    assert.ok(read.value.length < 70_000, `${read.value.length} bytes in one chunk`);
    total += new TextDecoder().decode(read.value).split("\n").length - 1;
  }
  assert.is(total, 301);
});

test("heartbeat sends empty lines while no event is published, and null sends none", async () => {
  const quiet = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: null });
  await withEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.05 }, async ({ url, ...set }) => {
    const lines = await openLines(`${url}/events`);
    assert.equal((await lines.event()).event, { heartbeat: 0.05 });
    assert.equal([await lines.next(), await lines.next()], ["", ""]);
    publish(set.channel, 1);
    assert.equal(numbers([await lines.event()]), [1]);
    assert.is(await lines.next(), "");
    await lines.close();
    await untilIdle(set);
  });
  const lines = linesOf((await quiet.app.request("/events")).body!);
  await lines.next();
  const silent = lines.next();
  await new Promise((resolve) => setTimeout(resolve, 150));
  publish(quiet.channel, 1);
  assert.match((await silent)!, /tick/);
  await lines.close();
});

test("GET /events switches off the idle timeout of the server while its stream is open", async () => {
  const timeouts: number[] = [];
  // What Bun hands to the handler.
  const server = {
    timeout: (_: Request, seconds: number) => void timeouts.push(seconds),
    requestIP: () => null,
  };
  const set = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 5, stallTimeout: 60 });
  // Longer than any silence of the stream; off if its silence may be longer than that.
  const without = { dialect: "7.5" } as const; // It has no heartbeats, whatever the option says.
  for (const options of [{}, { heartbeat: null }, { stallTimeout: null }, { stallTimeout: 300 }, without]) {
    const { app } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 5, stallTimeout: 60, ...options });
    await (await app.request("/events?follow=false", {}, { server })).text();
  }
  assert.equal(timeouts.splice(0), [240, 0, 0, 0, 0]);
  const init = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: '{"type":"tick","event":{"n":1}}',
  };
  assert.is((await set.app.request("/events", init, server)).status, 202);
  assert.equal(timeouts, [0, 75], "off while the body arrives, and restored after it");
});

test("heartbeat is not queued for a reader that makes no progress", async () => {
  const set = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 0.05 });
  const reader = (await set.app.request("/events")).body!.getReader();
  const other = linesOf((await set.app.request("/events")).body!);
  for (let i = 0; i < 6; i++) await other.next(); // Five heartbeats were sent to the other one.
  const atOnce: string[] = [];
  for (let i = 0; i < 4; i++) {
    const turn = new Promise<undefined>((resolve) => setTimeout(resolve, 0, undefined));
    const read = await Promise.race([reader.read(), turn]);
    if (read === undefined) break;
    atOnce.push(new TextDecoder().decode(read.value));
  }
  assert.match(atOnce[0]!, /^\{.*\}\n$/);
  assert.ok(atOnce.length <= 2, "at most the heartbeat that is due just now");
  await reader.cancel();
  await other.close();
});

test("close() ends every stream after its last event", async () => {
  await withEndpoint(catalogue, OPTIONS, async ({ url, ...set }) => {
    const streams = await Promise.all([1, 2, 3].map(() => openLines(`${url}/events`)));
    for (const lines of streams) await lines.event();
    publish(set.channel, 2);
    set.channel.close();
    for (const lines of streams) assert.equal(numbers(await lines.rest()), [1, 2]);
    await untilIdle(set);
    assert.equal(numbers(await (await openLines(`${url}/events?since=earliest`)).rest()), [1, 2]);
    await untilIdle(set);
  });
});

test("GET /events leaves no subscriber, reader or timer after a disconnect in any phase", async () => {
  const set = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 3 });
  const left = await timersLeftBy(() =>
    serving(set.app, async (_, port) => {
      const request = "GET /events?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n";
      const phases: ((wire: Awaited<ReturnType<typeof openWire>>) => Promise<void> | void)[] = [
        () => {}, // before a byte of the request
        (wire) => wire.write(request.slice(0, 20)), // in the middle of it
        (wire) => wire.write(request), // before the answer
        async (wire) => {
          wire.write(request);
          await until(() => wire.received().includes("events_start"), "the stream has begun");
        },
        async (wire) => {
          wire.write(request);
          await until(() => wire.received().includes("events_start"), "the stream has begun");
          publish(set.channel, 1);
          await until(() => wire.received().includes("tick"), "an event has arrived");
        },
        async (wire) => {
          wire.socket.pause(); // A reader that stalls while much is sent to it.
          wire.write(request);
          await until(() => set.endpoint.stats().subscribers === 1, "it has subscribed");
          for (let i = 0; i < 200; i++) set.channel.publish("note", { text: "x".repeat(50_000) });
          await new Promise((resolve) => setTimeout(resolve, 20));
        },
      ];
      for (const phase of phases) {
        for (const leave of ["destroy", "end"] as const) {
          const wire = await openWire(port);
          await phase(wire);
          wire.socket[leave]();
          if (leave === "end") wire.socket.destroySoon();
          wire.socket.resume();
          await untilIdle(set);
        }
      }
    })
  );
  assert.is(left, 0);
});

test("GET /events ends its subscriber once when the body is cancelled, the request aborted, or both", async () => {
  const set = makeEndpoint(catalogue, OPTIONS);
  for (const ways of [["cancel"], ["abort"], ["abort", "cancel"], ["cancel", "abort"]]) {
    const abort = new AbortController();
    const body = (await set.app.request("/events", { signal: abort.signal })).body!;
    assert.is(set.endpoint.stats().subscribers, 1);
    for (const way of ways) {
      if (way === "abort") abort.abort();
      else await body.cancel();
    }
    assert.is(set.endpoint.stats().subscribers, 0, ways.join());
    await untilIdle(set);
  }
  const gone = await set.app.request("/events", { signal: AbortSignal.abort() });
  assert.is(set.endpoint.stats().subscribers, 0);
  await gone.body?.cancel();
});

test("eventsEndpoint() rejects invalid options", () => {
  const channel = createChannel(catalogue);
  for (const options of [{ heartbeat: 0 }, { heartbeat: NaN }, { heartbeat: 1e9 }, { maxBodyBytes: 0 }]) {
    assert.throws(() => eventsEndpoint(channel, options), (error: unknown) => error instanceof RangeError);
  }
});

test("GET /events delivers the same bytes to late, stalled and fast readers", async () => {
  const { channel, app } = makeEndpoint(catalogue, OPTIONS);
  const open = async () => (await app.request("/events?since=earliest")).body!;
  const text = async (body: ReadableStream<Uint8Array>) => {
    const lines = linesOf(body);
    await lines.next();
    const all = [];
    while (all.length < 40) all.push(await lines.next());
    await lines.close();
    return all;
  };
  const stalled = await open();
  const reading = text(await open());
  for (let i = 0; i < 20; i++) {
    publish(channel, 2);
    await new Promise((resolve) => setTimeout(resolve));
  }
  const late = await open();
  const expected = await reading;
  assert.equal(await text(late), expected);
  assert.equal(await text(stalled), expected);
});

test("GET /events delivers or counts each published event once, in any interleaving", async () => {
  const consumer = fc.nat({ max: 3 });
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant("publish" as const), count: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), consumer }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), consumer }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("turn" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("microtasks" as const),
        count: fc.integer({ min: 1, max: 30 }),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      async (steps, events) => {
        const set = makeEndpoint(catalogue, { ...OPTIONS, history: { events }, heartbeat: null });
        const { channel, app } = set;

        /** Opens a consumer, which read() checks with every line. */
        const consume = async () => {
          const state = { seen: 0, id: `${channel.epoch}-0`, lines: await connect(`${channel.epoch}-0`) };
          return state;
        };
        const connect = async (since: string) => {
          const lines = linesOf((await app.request(`/events?since=${since}`)).body!);
          const start = await lines.event();
          assert.is(start.id, since);
          return lines;
        };
        const read = async (state: Awaited<ReturnType<typeof consume>>) => {
          const event = await state.lines.event();
          if (event.type === "events_lost") state.seen += event.event.count;
          else assert.is(event.event.n, ++state.seen, "each event once, in order, and every gap reported");
          assert.is(event.id, `${channel.epoch}-${state.seen}`);
          state.id = event.id;
        };

        const consumers = [await consume(), await consume(), await consume(), await consume()];
        for (const step of steps) {
          if (step.do === "publish") publish(channel, step.count);
          else if (step.do === "turn") await new Promise((resolve) => setTimeout(resolve));
          else if (step.do === "microtasks") { for (let i = 0; i < step.count; i++) await undefined; }
          else {
            const state = consumers[step.consumer]!;
            if (step.do === "drop") {
              await state.lines.close();
              state.lines = await connect(state.id);
            } else if (state.seen < channel.last) await read(state);
          }
        }
        for (const state of consumers) {
          while (state.seen < channel.last) await read(state);
          await state.lines.close();
        }
        await untilIdle(set);
      },
    ),
    { numRuns: 400 },
  );
});

test("eventsEndpoint() answers 405 with the allowed methods to every other method", async () => {
  for (const [publish, allowed] of [[true, "GET, HEAD, POST"], [false, "GET, HEAD"]] as const) {
    const endpoint = eventsEndpoint(createChannel(catalogue), { publish });
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", ...(publish ? [] : ["POST"])]) {
      const response = await endpoint.request("/", { method });
      assert.equal([response.status, response.headers.get("allow")], [405, allowed], method);
      assert.is((await response.json()).error.code, "MethodNotAllowed");
    }
    assert.is(endpoint.stats().refusals.MethodNotAllowed, publish ? 4 : 5);
  }
});

test.run();
