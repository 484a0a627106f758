import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { connect, type Dictionary } from "../../src/client/mod.ts";
import { createChannel, defineEvents, type Dialect, eventsEndpoint } from "../../src/mod.ts";
import { tribler712Events, triblerEvents } from "../../src/tribler/mod.ts";
import * as v from "valibot";
import { within } from "../support/harness.ts";
import { ends, NDJSON, scripted, SSE, streams } from "../support/scripted.ts";
import { generationPayloads } from "../tribler/generation_payloads.ts";

const test = suite("client: dialects");

const infohash = "08ada5a7a6183aae1e09d831df6748d566095a10";
const FINISHED = { type: "torrent_finished", event: { infohash, name: "Sintel – é漢😀", hidden: false } };
const STATE = { type: "shutdown", event: "Checkpointing torrents" };
const UPGRADED = { type: "upgrader_finished" };
/** The events that each release sends. */
const EVENTS: readonly Dictionary[] = [FINISHED, STATE, UPGRADED];
const START = { tribler_started: true, version: "7.1.5" };

const json = JSON.stringify;
const unnamed = (value: unknown) => `data: ${json(value)}\n\n`;
const named = (type: string, payload: unknown) => `event: ${type}\ndata: ${json(payload)}\n\n`;

/** The same events as each release writes them, after its `events_start`. */
const RELEASES: Readonly<Record<string, { contentType: string | undefined; text: string }>> = {
  "7.0 – 7.4, NDJSON": {
    contentType: NDJSON,
    text: [{ type: "events_start", event: START }, ...EVENTS].map((event) => json(event) + "\n").join(""),
  },
  "7.0 – 7.4, as JSON": {
    contentType: "text/json",
    text: [{ type: "events_start", event: START }, ...EVENTS].map((event) => json(event) + "\n").join(""),
  },
  "7.5 – 7.11": {
    contentType: SSE,
    text: [{ type: "events_start", event: START }, ...EVENTS].map(unnamed).join(""),
  },
  "7.5 – 7.11, as JSON": {
    contentType: "application/json; charset=utf-8",
    text: "\n" + [{ type: "events_start", event: START }, ...EVENTS].map(unnamed).join(""),
  },
  "7.12 – 7.14": {
    contentType: SSE,
    text: unnamed({ topic: "events_start", kwargs: START }) +
      unnamed({ topic: FINISHED.type, args: [], kwargs: FINISHED.event }) +
      unnamed({ topic: STATE.type, args: [STATE.event], kwargs: {} }) +
      unnamed({ topic: UPGRADED.type, args: [], kwargs: {} }),
  },
  "8": {
    contentType: SSE,
    text: named("events_start", START) + named(FINISHED.type, FINISHED.event) +
      named(STATE.type, STATE.event) +
      named(UPGRADED.type, {}),
  },
  "8, without a type": {
    contentType: undefined,
    text: named("events_start", START) + named(FINISHED.type, FINISHED.event) +
      named(STATE.type, STATE.event) +
      named(UPGRADED.type, {}),
  },
};

/** Reads this many events of a stream, and the `events_start` before them. */
async function read(contentType: string | undefined, text: string, count: number) {
  return await scripted([streams(contentType, text)], async ({ url }) => {
    let start: Dictionary | undefined;
    const connection = connect(url, {
      onStatus: (status) => status.type === "open" && (start = status.start),
    });
    const events: Dictionary[] = [];
    const cursors: (string | undefined)[] = [];
    while (events.length < count) {
      const { done, value } = await within(connection.next(), "an event");
      if (done) throw new Error(`the connection ended after ${events.length} events`);
      events.push(value);
      cursors.push(connection.lastId);
    }
    await connection.return();
    return { start, events, cursors };
  });
}

for (const [release, { contentType, text }] of Object.entries(RELEASES)) {
  test(`connect() reads Tribler ${release}`, async () => {
    const { start, events, cursors } = await read(contentType, text, EVENTS.length);
    assert.equal(start, { type: "events_start", event: START });
    assert.equal(events, EVENTS);
    assert.equal(cursors, EVENTS.map(() => undefined));
  });

  test(`connect() reads Tribler ${release} with the catalogue of Tribler`, async () => {
    await scripted([streams(contentType, text)], async ({ url }) => {
      const connection = connect(url, {
        catalogue: triblerEvents,
        types: ["torrent_*", "upgrader_finished"],
      });
      const first = (await within(connection.next(), "an event")).value;
      assert.is(first?.type === "torrent_finished" && first.event.infohash, infohash);
      assert.equal((await within(connection.next(), "an event")).value, UPGRADED);
      await connection.return();
    });
  });
}

test("connect() takes kwargs for the payload, or else args: a single one, or the array", async () => {
  const calls: [Record<string, unknown>, unknown][] = [
    [{ args: [1], kwargs: { a: 2 } }, { a: 2 }],
    [{ args: [[1, 2]], kwargs: {} }, [1, 2]],
    [{ args: [1, "two"], kwargs: {} }, [1, "two"]],
    [{ args: [null] }, null],
    [{ args: [] }, undefined],
    [{ kwargs: { type: "inner", id: "1" } }, { type: "inner", id: "1" }],
    [{}, undefined],
  ];
  const text = calls.map(([call]) => unnamed({ topic: "t", ...call })).join("");
  const { events } = await read(SSE, text, calls.length);
  assert.equal(events.map(({ event }) => event), calls.map(([, event]) => event));
  assert.equal(events.map((event) => "event" in event), calls.map(([, event]) => event !== undefined));
});

test("connect() names arguments by position after the keys of a schema of tribler712Events, for every topic", async () => {
  const payloads: Readonly<Record<string, object>> = generationPayloads["7.12"];
  for (const topic of tribler712Events.types) {
    const entries = Object.entries(payloads[topic]!);
    const names = Object.keys(
      (tribler712Events.schemas as unknown as Record<string, { entries: object }>)[topic]!.entries,
    );
    entries.sort(([a], [b]) => names.indexOf(a) - names.indexOf(b));
    // From all by name, over mixed ones, to all by position.
    const calls = [...entries, undefined].map((_, count) => ({
      topic,
      args: entries.slice(0, count).map(([, value]) => value),
      kwargs: Object.fromEntries(entries.slice(count)),
    }));
    await scripted([ends(SSE, calls.map(unnamed).join(""))], async ({ url }) => {
      const events: unknown[] = [];
      for await (const event of connect(url, { catalogue: tribler712Events, reconnect: false })) {
        events.push(event);
      }
      assert.equal(
        events,
        calls.map(() => ({ type: topic, event: JSON.parse(json(payloads[topic])) })),
        topic,
      );
    });
  }
});

test("connect() takes arguments as they are when a schema does not name them all, or one comes twice", async () => {
  const version = (args: unknown[], kwargs: object) => ({ topic: "tribler_new_version", args, kwargs });
  const calls = [
    version(["7.13", "more"], {}),
    version(["7.13"], { version: "7.14" }),
    { topic: "state", args: ["bare"], kwargs: {} },
    { topic: "new", args: [1, 2], kwargs: {} },
  ];
  await scripted([ends(SSE, calls.map(unnamed).join(""))], async ({ url }) => {
    const events: unknown[] = [];
    const catalogue = defineEvents({
      tribler_new_version: tribler712Events.schemas.tribler_new_version,
      state: v.string(),
    });
    const keep = (event: Dictionary) => events.push(event.event);
    const options = { catalogue, reconnect: false, onUnknown: keep, onInvalid: keep } as const;
    for await (const { event } of connect(url, options)) events.push(event);
    assert.equal(events, [["7.13", "more"], { version: "7.14" }, "bare", [1, 2]]);
  });
});

test("connect() keeps an empty dictionary where the type has a payload", async () => {
  const catalogue = defineEvents({ note: v.looseObject({}), none: null });
  for (const dialect of ["7.12", "8"] as const satisfies Dialect[]) {
    const channel = createChannel(catalogue);
    channel.publish("note", {});
    channel.publish("none");
    const endpoint = eventsEndpoint(channel, { dialect });
    const fetch = () => endpoint.request("/?since=earliest&follow=false");
    const events: unknown[] = [];
    const texts: unknown[] = [];
    const connection = connect("http://127.0.0.1/", { catalogue, fetch, reconnect: false });
    for await (const { type, event } of connection) {
      events.push([type, event]);
      texts.push(JSON.parse(connection.lastText!).event);
    }
    assert.equal(events, [["note", {}], ["none", undefined]], dialect);
    assert.equal(texts, [{}, undefined], dialect);
  }
});

test("connect() takes no payload of Tribler 8 for a dictionary of this package", async () => {
  const payloads = [
    { type: "t" },
    { type: "t", event: { a: 1 }, id: "e-1", time: "" },
    { type: "other", id: "e-1" },
    { type: "t", id: 1 },
    { topic: "t", args: [], kwargs: {} },
    [],
    null,
    "text",
  ];
  const plain = await read(SSE, payloads.map((payload) => named("t", payload)).join(""), payloads.length);
  assert.equal(plain.events, payloads.map((event) => ({ type: "t", event })));

  // Nor if the block has a cursor, unless type and cursor are both those of the block.
  const withId = (payload: unknown) => `id: e-1\n${named("t", payload)}`;
  const others = payloads.filter((payload) => json(payload) !== json(payloads[1]));
  const cursored = await read(SSE, others.map(withId).join(""), others.length);
  assert.equal(cursored.events, others.map((event) => ({ type: "t", event, id: "e-1" })));
  assert.equal(cursored.cursors, others.map(() => "e-1"));
  const ours = await read(SSE, withId(payloads[1]), 1);
  assert.equal(ours.events, [payloads[1]]);
});

test("lastId is the cursor of the block when the dictionary has none, or another", async () => {
  const text = `id: 1\n${unnamed({ type: "a" })}id: 2\n${unnamed({ type: "b", id: "x" })}${
    unnamed({ type: "c" })
  }`;
  const { events, cursors } = await read(SSE, text, 3);
  assert.equal(events, [{ type: "a", id: "1" }, { type: "b", id: "x" }, { type: "c" }]);
  assert.equal(cursors, ["1", "2", "2"]);
});

test.run();
