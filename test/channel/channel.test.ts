import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { type Batch, createChannel, defineEvents, EventsError } from "../../src/mod.ts";
import { until, within } from "../support/harness.ts";

const catalogue = defineEvents({
  tick: v.object({ n: v.number() }),
  any: v.any(),
  note: v.looseObject({ text: v.string() }),
  closed: null,
});

const test = suite("channel");

function errorOf(publish: () => unknown): EventsError {
  try {
    publish();
  } catch (error) {
    if (error instanceof EventsError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function positions(batches: readonly Batch[]): number[] {
  return batches.flatMap(({ entries }) => entries.map(({ position }) => position));
}

test("publish() stores a dictionary with its keys in order, an id without gaps, and its time", () => {
  const channel = createChannel(catalogue);
  const before = Date.now();
  const ids = [channel.publish("tick", { n: 1 }), channel.publish("closed")];
  const [first, second] = channel.read(0, 1e6).entries;
  assert.is(
    first?.json.replace(/"time":".*"/, '"time":0'),
    `{"type":"tick","event":{"n":1},"id":"${ids[0]}","time":0}`,
  );
  assert.is(second?.json.replace(/"time":".*"/, '"time":0'), `{"type":"closed","id":"${ids[1]}","time":0}`);
  assert.equal(ids, [`${channel.epoch}-1`, `${channel.epoch}-2`]);
  const { time } = channel.parse(first!);
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now());
});

test("createChannel() gives each channel an epoch of its own", () => {
  assert.is.not(createChannel(catalogue).epoch, createChannel(catalogue).epoch);
});

test("publish() keeps keys that the schema does not have, __proto__ among them", () => {
  const channel = createChannel(catalogue);
  const payload = JSON.parse('{"n":1,"more":{"x":[null]},"__proto__":{"polluted":true}}');
  channel.publish("tick", payload);
  const json = channel.read(0, 1e6).entries[0]!.json;
  assert.ok(json.includes('"event":{"n":1,"more":{"x":[null]},"__proto__":{"polluted":true}}'), json);
  assert.is(({} as { polluted?: boolean }).polluted, undefined);
});

test("publish() is unaffected by later changes of its payload", () => {
  const channel = createChannel(catalogue);
  const payload = { n: 1 };
  channel.publish("tick", payload);
  payload.n = 2;
  const [entry] = channel.read(0, 1e6).entries;
  const event = channel.parse(entry!);
  assert.equal(event.event, { n: 1 });
  Object.assign(event, { type: "changed" });
  assert.is(channel.parse(entry!).type, "tick");
});

test("publish() rejects an event that does not fit with its issues, and publishes nothing", () => {
  const channel = createChannel(catalogue);
  const error = errorOf(() => channel.publish("tick", { n: "one" } as never));
  assert.is(error.code, "InvalidEvent");
  assert.equal(error.issues.map(({ index, path }) => ({ index, path })), [{ index: 0, path: "event.n" }]);
  assert.match(error.message, /"tick".*event\.n.*Expected number/);
  assert.match(errorOf(() => channel.publish("tock" as "closed")).message, /"tock" is not a type/);
  assert.match(errorOf(() => channel.publish("constructor" as "closed")).message, /not a type/);
  assert.match(errorOf(() => channel.publish("events_lost" as "closed")).message, /control event/);
  assert.match(errorOf(() => channel.publish("closed", {} as never)).message, /has no payload/);
  assert.match(
    errorOf(() => channel.publish(...(["tick"] as unknown as ["closed"]))).message,
    /needs a payload/,
  );
  assert.is(channel.last, 0);
  const { events, bytes, readers } = channel.stats();
  assert.equal([events, bytes, readers], [0, 0, 0]);
});

test("publish() rejects a payload that has no JSON, with the path of the reason", () => {
  const channel = createChannel(catalogue);
  const cycle: Record<string, unknown> = { a: { b: [] } };
  (cycle["a"] as { b: unknown[] }).b.push(cycle);
  const cases: [unknown, string, RegExp][] = [
    [cycle, "event.a.b.0", /contains itself/],
    [{ list: [1, { big: 10n }] }, "event.list.1.big", /BigInt/],
    [{ x: NaN }, "event.x", /NaN/],
    [{ x: [Infinity] }, "event.x.0", /Infinity/],
    [[undefined], "event.0", /undefined/],
    [[() => 1], "event.0", /function/],
    [Symbol("s"), "event", /symbol/],
    [() => 1, "event", /function/],
    [{ toJSON: () => undefined }, "event", /no JSON form/],
    [{ x: Object.fromEntries([["\ud800", 1], ["\ufffd", 2]]) }, "event.x.\ufffd", /two keys/],
    [
      {
        get broken() {
          throw new Error("getter failed");
        },
      },
      "event",
      /getter failed/,
    ],
  ];
  for (const [payload, path, reason] of cases) {
    const error = errorOf(() => channel.publish("any", payload));
    assert.is(error.code, "InvalidEvent");
    assert.is(error.issues[0]?.path, path, `${error.message}`);
    assert.match(error.issues[0]!.message, reason);
  }
  assert.is(channel.last, 0);
});

test("publish() either rejects a deeply nested payload or keeps it whole", () => {
  const channel = createChannel(catalogue);
  const deep = Array.from({ length: 1e5 }).reduce((inner) => [inner], 0);
  try {
    channel.publish("any", deep);
    assert.ok(channel.read(0, 1e6).entries[0]!.json.includes("[".repeat(1e5) + "0" + "]".repeat(1e5)));
  } catch (error) {
    assert.match((error as EventsError).message, /nested too deeply/);
    assert.is(channel.last, 0);
  }
});

test("publish() accepts toJSON, undefined keys, nulls, dates, and an object that occurs twice", () => {
  const channel = createChannel(catalogue);
  const twice = { a: 1 };
  channel.publish("any", {
    at: new Date(0),
    none: undefined,
    nil: null,
    twice: [twice, twice],
    wrapped: new Number(3),
  });
  const [entry] = channel.read(0, 1e6).entries;
  assert.equal(channel.parse(entry!).event, {
    at: "1970-01-01T00:00:00.000Z",
    nil: null,
    twice: [{ a: 1 }, { a: 1 }],
    wrapped: 3,
  });
});

test("publish() writes any string as one line of well-formed UTF-8", () => {
  const channel = createChannel(catalogue, { history: { events: 1 } });
  const text = fc.string({
    unit: fc.constantFrom(
      "a",
      "\\",
      '"',
      "ud800",
      "\ud83d",
      "\ude00",
      "\u2028",
      "\u2029",
      "\u0085",
      "\n",
      "\0",
      "é",
      "漢",
      "😀",
    ),
  });
  fc.assert(
    fc.property(text, (text) => {
      channel.publish("note", { text });
      const entry = channel.read(channel.last - 1, 1e6).entries[0]!;
      assert.not.match(entry.json, /[\n\r\u0085\u2028\u2029]/);
      const bytes = new TextEncoder().encode(entry.json);
      assert.is(bytes.length, entry.bytes);
      assert.is(new TextDecoder("utf-8", { fatal: true }).decode(bytes), entry.json);
      const repaired = text.replace(
        /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
        "\ufffd",
      );
      assert.equal(channel.parse(entry).event, { text: repaired });
    }),
    { numRuns: 3000 },
  );
});

test("publishBatch() publishes all events or none, and reports every issue of each", () => {
  const channel = createChannel(catalogue);
  const error = errorOf(() =>
    channel.publishBatch([
      { type: "tick", event: { n: 1 } },
      { type: "tick", event: { n: "x" } as never },
      { type: "nope" as "closed" },
      { type: "any", event: { a: 1n } },
    ])
  );
  assert.equal(error.issues.map(({ index, path }) => `${index} ${path}`), [
    "1 event.n",
    "2 type",
    "3 event.a",
  ]);
  assert.is(channel.last, 0);
  assert.is(channel.publishBatch([{ type: "tick", event: { n: 1 } }, { type: "closed" }]).length, 2);
  assert.equal(channel.publishBatch([]), []);
  assert.is(channel.last, 2);
});

test("createChannel() bounds its history in events and bytes for payloads of any size", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3000 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1024, max: 20_000 }),
      (sizes, events, bytes) => {
        const channel = createChannel(catalogue, { history: { events, bytes } });
        let published = 0;
        for (const size of sizes) {
          try {
            channel.publish("note", { text: "x".repeat(size) });
            published++;
          } catch (error) {
            assert.ok(size + 300 > bytes, `${size} bytes were rejected: ${error}`);
          }
          const stats = channel.stats();
          const kept = channel.read(channel.first - 1, Infinity).entries;
          assert.ok(stats.events <= events && stats.bytes <= bytes, JSON.stringify(stats));
          assert.is(
            stats.bytes,
            kept.reduce((sum, entry) => sum + new TextEncoder().encode(entry.json).length, 0),
          );
          assert.is(stats.events, kept.length);
          assert.ok(
            published === 0 || kept.at(-1)?.position === published,
            "the newest event is always kept",
          );
          // No event expires too early.
          assert.ok(kept.length === published || stats.events === events || stats.bytes + 3300 > bytes);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("createChannel() rejects invalid limits of its history", () => {
  for (const history of [{ events: 0 }, { events: 1.5 }, { events: NaN }, { bytes: 1023 }, { bytes: -1 }]) {
    assert.throws(
      () => createChannel(catalogue, { history }),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

test("read() returns at least one event, at most the requested bytes, and the exact loss", () => {
  const channel = createChannel(catalogue, { history: { events: 5 } });
  for (let n = 1; n <= 12; n++) channel.publish("tick", { n });
  assert.equal(channel.read(12, 1e6), { entries: [] });
  assert.equal(positions([channel.read(9, 1)]), [10]);
  assert.equal(positions([channel.read(7, 1e6)]), [8, 9, 10, 11, 12]);
  assert.is(channel.read(7, 1e6).lost, undefined);
  const late = channel.read(3, 1e6);
  assert.equal(late.lost, { reason: "slow_consumer", count: 4 });
  assert.equal(positions([late]), [8, 9, 10, 11, 12]);
  const [a, b] = channel.read(7, 1e6).entries;
  assert.is(channel.read(7, a!.bytes + b!.bytes).entries.length, 2);
  assert.is(channel.read(7, a!.bytes + b!.bytes - 1).entries.length, 1);
});

test("batches() replays after a cursor and continues live until the channel is closed", async () => {
  const channel = createChannel(catalogue);
  const ids = [1, 2, 3].map((n) => channel.publish("tick", { n }));
  const seen: Batch[] = [];
  const reading = (async () => {
    for await (const batch of channel.batches(ids[0])) seen.push(batch);
  })();
  await until(() => positions(seen).length === 2, "history was read");
  assert.is(seen.length, 1);
  channel.publish("tick", { n: 4 });
  channel.publish("tick", { n: 5 });
  await until(() => positions(seen).length === 4, "live events were read");
  assert.is(seen.length, 2, "what is published in one turn is one batch");
  channel.publish("closed");
  channel.close();
  await within(reading, "the end of the iterator");
  assert.equal(positions(seen), [2, 3, 4, 5, 6]);
  assert.is(channel.stats().readers, 0);
});

test("batches() starts at the earliest event, the latest or a cursor, and reports what is missing", async () => {
  const channel = createChannel(catalogue, { history: { events: 2 } });
  const ids = [1, 2, 3, 4, 5].map((n) => channel.publish("tick", { n }));
  const first = async (since: string) => (await channel.batches(since).next()).value;
  assert.equal(positions([await first("earliest")]), [4, 5]);
  assert.is((await first("earliest")).lost, undefined);
  assert.equal(positions([await first(ids[3]!)]), [5]);
  assert.equal((await first(ids[0]!)).lost, { reason: "history_expired", count: 2 });
  assert.equal((await first("0123-3")).lost, { reason: "unknown_epoch", count: null });
  assert.equal(positions([await first("0123-3")]), [4, 5]);
  for (
    const bad of [
      "",
      "x",
      "a-",
      "-1",
      "a-01",
      "A-1",
      `${channel.epoch}-6`,
      `${channel.epoch}-99999999999999999`,
    ]
  ) {
    assert.is(errorOf(() => channel.batches(bad)).code, "InvalidCursor", bad);
  }
});

test("batches() reports a loss once when its reader is overtaken", async () => {
  const channel = createChannel(catalogue, { history: { events: 3 } });
  const batches = channel.batches();
  channel.publish("tick", { n: 1 });
  assert.equal(positions([(await batches.next()).value]), [1]);
  for (let n = 2; n <= 10; n++) channel.publish("tick", { n });
  const { lost, entries } = (await batches.next()).value as Batch;
  assert.equal(lost, { reason: "slow_consumer", count: 6 });
  assert.equal(positions([{ entries }]), [8, 9, 10]);
});

test("return() settles pending calls of next(), and leaves nothing behind", async () => {
  const channel = createChannel(catalogue);
  const batches = channel.batches();
  const waiting = [batches.next(), batches.next()];
  assert.is(channel.stats().readers, 1);
  await within(batches.return!(), "return()");
  for (const next of waiting) assert.equal(await within(next, "next()"), { done: true, value: undefined });
  assert.is(channel.stats().readers, 0);
  channel.publish("tick", { n: 1 });
  assert.equal(await batches.next(), { done: true, value: undefined });
  channel.batches(); // It is never used.
  assert.is(channel.stats().readers, 0);
});

test("next() settles several pending calls in turn", async () => {
  const channel = createChannel(catalogue);
  const batches = channel.batches();
  const waiting = [batches.next(), batches.next()];
  channel.publish("tick", { n: 1 });
  assert.equal(positions([(await within(waiting[0]!, "the first")).value]), [1]);
  channel.publish("tick", { n: 2 });
  assert.equal(positions([(await within(waiting[1]!, "the second")).value]), [2]);
});

test("publish() wakes all waiting iterators", async () => {
  const channel = createChannel(catalogue);
  const waiting = [1, 2, 3, 4, 5].map(() => channel.batches().next());
  channel.publish("tick", { n: 1 });
  for (const next of waiting) assert.equal(positions([(await within(next, "a batch")).value]), [1]);
});

test("close() rejects further events, and the channel can still be read to its end", async () => {
  const channel = createChannel(catalogue);
  channel.publish("tick", { n: 1 });
  channel.close();
  channel.close();
  assert.ok(channel.closed);
  assert.is(errorOf(() => channel.publish("tick", { n: 2 })).code, "ChannelClosed");
  const seen: Batch[] = [];
  for await (const batch of channel.batches("earliest")) seen.push(batch);
  assert.equal(positions(seen), [1]);
});

test("batches() delivers or counts each event once and in order, in any interleaving", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("publish" as const), count: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant("read" as const), reader: fc.nat({ max: 2 }) }),
    fc.record({ do: fc.constant("resume" as const), reader: fc.nat({ max: 2 }) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 10 }),
      async (steps, events) => {
        const channel = createChannel(catalogue, { history: { events } });
        const readers = [0, 1, 2].map(() => ({
          batches: channel.batches("earliest"),
          last: 0,
          accounted: 0,
        }));

        const read = async (reader: (typeof readers)[number]) => {
          const { lost, entries } = (await within(reader.batches.next(), "a batch")).value as Batch;
          reader.accounted += (lost?.count ?? 0) + entries.length;
          for (const entry of entries) {
            assert.ok(entry.position > reader.last, "positions only increase");
            reader.last = entry.position;
            assert.equal(channel.parse(entry).event, { n: entry.position });
          }
          assert.is(reader.accounted, reader.last, "read and lost make up all that was published so far");
        };

        for (const step of steps) {
          if (step.do === "publish") {
            for (let i = 0; i < step.count; i++) channel.publish("tick", { n: channel.last + 1 });
            continue;
          }
          const reader = readers[step.reader]!;
          if (step.do === "resume") {
            await reader.batches.return!();
            reader.batches = channel.batches(`${channel.epoch}-${reader.last}`);
          } else if (reader.last < channel.last) await read(reader);
        }
        for (const reader of readers) while (reader.last < channel.last) await read(reader);
        assert.is(channel.stats().readers, 0);
      },
    ),
    { numRuns: 1000 },
  );
});

test("publish() rejects an event with more issues than a call takes arguments", () => {
  const channel = createChannel(defineEvents({ names: v.object({ a: v.array(v.string()) }) }));
  const a = Array.from({ length: 200_000 }, () => 1) as unknown as string[];
  try {
    channel.publish("names", { a });
    assert.unreachable("it was published");
  } catch (error) {
    assert.is((error as EventsError).code, "InvalidEvent");
    assert.ok((error as EventsError).issues.length > 65_536);
  }
});

test.run();
