import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, EventsError, type Issue, type Schemas } from "../../src/mod.ts";
import { triblerEvents } from "../../src/tribler/mod.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("events: catalogue");

/** Returns the error that defineEvents() rejects these schemas with. */
function refusalOf(schemas: unknown): EventsError {
  try {
    defineEvents(schemas as Schemas);
  } catch (error) {
    if (error instanceof EventsError) return error;
    throw error;
  }
  throw new Error("the schemas were accepted");
}

// `events_start` cannot be published, so its schema has another name here.
const { events_start: startSchema, ...publishable } = triblerEvents.schemas;
const channel = createChannel(defineEvents({ ...publishable, start_payload: startSchema }), {
  history: { events: 10 },
});
const payloads: readonly (readonly [type: string, payload: unknown])[] = Object.entries(triblerPayloads)
  .map(([type, payload]) => [type === "events_start" ? "start_payload" : type, payload]);

/** Publishes the payload. Returns the issues that it is rejected with; none if it is accepted. */
function issuesOf(type: string, payload: unknown): readonly Issue[] {
  const last = channel.last;
  try {
    channel.publishBatch([{ type, event: payload } as never]);
  } catch (error) {
    if (!(error instanceof EventsError) || error.code !== "InvalidEvent") throw error;
    assert.is(channel.last, last, "nothing is published");
    return error.issues;
  }
  assert.is(channel.last, last + 1);
  return [];
}

function pathsOf(type: string, payload: unknown): string[] {
  return issuesOf(type, payload).map(({ path }) => path);
}

/** The payload of the newest event, as its consumers parse it. */
function newest(): unknown {
  return channel.parse(channel.read(channel.last - 1, Infinity).entries[0]!).event;
}

/** A place inside a payload. */
interface Place {
  readonly keys: readonly string[];
  readonly value: unknown;
}

/** Returns every place in the value below its root. */
function placesIn(value: unknown, keys: readonly string[] = []): Place[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => [
    { keys: [...keys, key], value: child },
    ...placesIn(child, [...keys, key]),
  ]);
}

/** Returns a copy of the value in which the holder of the place is changed. */
function changedAt<T>(root: T, keys: readonly string[], change: (holder: never, key: never) => void): T {
  const copy = structuredClone(root);
  let holder: unknown = copy;
  for (const key of keys.slice(0, -1)) holder = (holder as Record<string, unknown>)[key];
  change(holder as never, keys.at(-1) as never);
  return copy;
}

function withValue<T>(root: T, keys: readonly string[], value: unknown): T {
  return changedAt(root, keys, (holder: Record<string, unknown>, key: string) => holder[key] = value);
}

/** Number of fields that the documentation requires in these payloads, those of each object in a list included. */
const REQUIRED = 158;
/** Keys that a payload need not have. */
const OPTIONAL = new Set(["hidden", "error_text", "image"]);
/** The numbers that may have a fraction; all others are counts, sizes, or whole seconds. */
const FRACTIONAL = new Set(["relevance_score", "amount", "traded", "percent", "time"]);

function isFractional(type: string, key: string): boolean {
  if (key === "timestamp") return type.startsWith("market_");
  return FRACTIONAL.has(key);
}

test("defineEvents() accepts names of 1 to 128 letters, digits and _ . : - /", () => {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const good = ["a", "_", "0", "-", "a".repeat(128), `${letters}${letters.toUpperCase()}0123456789_.:-/`];
  for (const name of good) {
    const catalogue = defineEvents({ [name]: null });
    assert.equal(catalogue.types, [name]);
    assert.match(createChannel(catalogue).publish(name), /-1$/);
  }
  const bad = ["", "a".repeat(129), "a b", "a\n", "\n", "é", "a*", 'a"', "a\\", "a,b", "😀", "\0", "\u2028"];
  for (const name of bad) {
    const error = refusalOf({ fine: null, [name]: null });
    assert.is(error.code, "InvalidCatalogue");
    assert.ok(error.message.startsWith(`${JSON.stringify(name)} cannot name an event`), error.message);
  }
});

test("defineEvents() either rejects a name or makes it the type of its events", () => {
  const name = fc.oneof(
    fc.string({
      unit: fc.constantFrom("a", "Z", "7", "_", ".", ":", "-", "/", " ", '"', "é", "\n"),
      maxLength: 5,
    }),
    fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "1", "valueOf"),
  );
  fc.assert(
    fc.property(name, (name) => {
      const schemas = Object.fromEntries([[name, v.object({ n: v.number() })]]);
      if (!/^[a-zA-Z0-9_.:/-]+$/.test(name)) {
        assert.is(refusalOf(schemas).code, "InvalidCatalogue");
        return;
      }
      const channel = createChannel(defineEvents(schemas));
      assert.equal(channel.catalogue.types, [name]);
      channel.publish(name, { n: 1 });
      const event = channel.parse(channel.read(0, 1e6).entries[0]!);
      assert.is(event.type, name);
      assert.equal(event.event, { n: 1 });
      assert.throws(() => channel.publish(name, { n: "1" } as never), /event\.n/);
    }),
    { numRuns: 500 },
  );
});

test("publishBatch() rejects types that objects inherit, such as __proto__", () => {
  for (const type of ["__proto__", "constructor", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf"]) {
    assert.equal(pathsOf(type, {}), ["type"]);
    assert.equal(pathsOf(type, undefined), ["type"]);
  }
});

test("defineEvents() rejects events_lost and events_bookmark", () => {
  for (const type of ["events_lost", "events_bookmark"]) {
    for (const schema of [null, v.any()]) {
      const error = refusalOf({ [type]: schema });
      assert.is(error.code, "InvalidCatalogue");
      assert.match(error.message, new RegExp(`"${type}" is a control event`));
    }
  }
});

test("defineEvents() accepts a schema of events_start, which still cannot be published", () => {
  const catalogue = defineEvents({ events_start: v.object({ shop: v.string() }), sold: null });
  assert.equal(catalogue.types, ["sold"]);
  assert.ok(catalogue.schemas.events_start);
  const channel = createChannel(catalogue);
  assert.throws(
    () => channel.publishBatch([{ type: "events_start", event: { shop: "x" } } as never]),
    /control event/,
  );
  assert.is(channel.last, 0);
});

test("defineEvents() rejects asynchronous schemas", () => {
  const schemas = [
    v.objectAsync({ n: v.number() }),
    v.pipeAsync(v.string(), v.checkAsync(() => Promise.resolve(true))),
    v.arrayAsync(v.string()),
  ];
  for (const schema of schemas) {
    const error = refusalOf({ fine: null, later: schema });
    assert.is(error.code, "InvalidCatalogue");
    assert.match(error.message, /"later" is not a synchronous schema/);
  }
});

test("defineEvents() rejects values that are not schemas", () => {
  const values = [
    undefined,
    "string",
    7,
    true,
    {},
    [],
    () => true,
    { n: v.number() },
    v.minLength(1),
    Symbol("s"),
  ];
  for (const value of values) {
    const error = refusalOf({ odd: value });
    assert.is(error.code, "InvalidCatalogue");
    assert.match(error.message, /the schema of "odd"/);
  }
});

test("defineEvents() returns a catalogue that cannot be changed", () => {
  const schemas: Record<string, v.GenericSchema | null> = { a: null, b: v.string() };
  const catalogue = defineEvents(schemas);
  schemas["c"] = null;
  schemas["a"] = v.number();
  assert.equal(Object.keys(catalogue.schemas), ["a", "b"]);
  assert.is(catalogue.schemas["a"], null);
  assert.throws(() => Object.assign(catalogue.schemas, { a: v.number() }));
  assert.throws(() => (catalogue.types as string[]).push("c"));
  assert.throws(() => Object.assign(catalogue, { types: [] }));
  assert.equal(defineEvents({}).types, []);
});

test("publish() keeps a payload as it is: no default, no transformation, no key removed", () => {
  const channel = createChannel(defineEvents({
    changed: v.object({ text: v.pipe(v.string(), v.trim(), v.toUpperCase()), n: v.optional(v.number(), 7) }),
  }));
  channel.publish("changed", { text: "  a ", more: true } as never);
  assert.equal(channel.parse(channel.read(0, 1e6).entries[0]!).event, { text: "  a ", more: true });
});

test("publish() validates the payload as it is in JSON", () => {
  const channel = createChannel(defineEvents({ at: v.object({ at: v.pipe(v.string(), v.isoTimestamp()) }) }));
  channel.publish("at", { at: new Date(0) as unknown as string });
  assert.equal(channel.parse(channel.read(0, 1e6).entries[0]!).event, { at: "1970-01-01T00:00:00.000Z" });
  assert.throws(() => channel.publish("at", { at: undefined as unknown as string }), /event\.at/);
});

test("triblerEvents has the 23 documented types and the 3 undocumented ones", () => {
  const documented = [
    "events_start",
    "search_result_channel",
    "search_result_torrent",
    "upgrader_started",
    "upgrader_finished",
    "upgrader_tick",
    "watch_folder_corrupt_torrent",
    "new_version_available",
    "tribler_started",
    "channel_discovered",
    "torrent_discovered",
    "torrent_removed_from_channel",
    "torrent_finished",
    "torrent_error",
    "tribler_exception",
    "market_ask",
    "market_bid",
    "market_ask_timeout",
    "market_bid_timeout",
    "market_transaction_complete",
    "market_payment_received",
    "market_payment_sent",
    "market_iom_input_required",
  ];
  const undocumented = ["signal_low_space", "credit_mining_error", "shutdown"];
  assert.is(documented.length, 23);
  assert.equal(Object.keys(triblerEvents.schemas).sort(), [...documented, ...undocumented].sort());
  assert.equal(
    [...triblerEvents.types].sort(),
    [...documented, ...undocumented].filter((type) => type !== "events_start").sort(),
  );
  assert.equal(Object.keys(triblerPayloads).sort(), [...documented, ...undocumented].sort());
});

test("triblerEvents accepts the payload of each type, which is delivered unchanged", () => {
  for (const [type, payload] of payloads) {
    assert.equal(issuesOf(type, payload), [], type);
    assert.equal(newest(), payload);
  }
});

test("triblerEvents requires a payload where a type has one, and rejects it elsewhere", () => {
  for (const [type, payload] of payloads) {
    if (payload === undefined) {
      for (const odd of [null, {}, "", 0, false]) assert.equal(pathsOf(type, odd), ["event"], type);
    } else {
      assert.equal(pathsOf(type, undefined), ["event"], type);
      for (const odd of [null, 7, true]) assert.equal(pathsOf(type, odd), ["event"], type);
      if (type !== "shutdown") assert.equal(pathsOf(type, "text"), ["event"], type);
    }
  }
});

test("triblerEvents accepts nothing but a string as the payload of shutdown", () => {
  assert.equal(issuesOf("shutdown", "Shutting down"), []);
  assert.is(newest(), "Shutting down");
  assert.equal(issuesOf("shutdown", ""), []);
  for (const odd of [{ text: "x" }, ["x"], { state: "x" }]) assert.equal(pathsOf("shutdown", odd), ["event"]);
});

test("triblerEvents reports the path of each missing field, at any depth", () => {
  let removed = 0;
  for (const [type, payload] of payloads) {
    for (const { keys } of placesIn(payload)) {
      const key = keys.at(-1)!;
      if (OPTIONAL.has(key) || /^\d+$/.test(key)) continue;
      const without = changedAt(
        payload,
        keys,
        (holder: object, key: string) => Reflect.deleteProperty(holder, key),
      );
      const path = ["event", ...keys].join(".");
      assert.equal(pathsOf(type, without), [path], `${type} without ${path}`);
      assert.match(issuesOf(type, without)[0]!.message, new RegExp(`"${key}".*undefined`));
      removed++;
    }
  }
  assert.is(removed, REQUIRED);
});

test("triblerEvents reports the path of each value of a wrong type, at any depth", () => {
  const samples = [null, "text", 7, true, {}, { a: 1 }, [[]]];
  let tried = 0;
  for (const [type, payload] of payloads) {
    for (const { keys, value } of placesIn(payload)) {
      const kind = Array.isArray(value) ? "array" : typeof value;
      const path = ["event", ...keys].join(".");
      for (const sample of samples) {
        // The next test is about arrays in place of dictionaries.
        if (Array.isArray(sample) ? typeof value === "object" : sample !== null && typeof sample === kind) {
          continue;
        }
        assert.equal(
          pathsOf(type, withValue(payload, keys, sample)),
          [path],
          `${type}: ${path} is ${sample}`,
        );
        tried++;
      }
    }
  }
  assert.ok(tried > REQUIRED * 4, `${tried} wrong values`);
});

test("triblerEvents reports an array in place of a dictionary", () => {
  for (const [type, payload] of payloads) {
    if (typeof payload !== "object") continue;
    for (const { keys, value } of [{ keys: [], value: payload }, ...placesIn(payload)]) {
      if (typeof value !== "object" || Array.isArray(value)) continue;
      const path = ["event", ...keys].join(".");
      const paths = pathsOf(type, keys.length === 0 ? [] : withValue(payload, keys, []));
      assert.ok(paths.length > 0, `${type} takes an array as ${path}`);
      assert.ok(paths.every((found) => found === path || found.startsWith(`${path}.`)), paths.join());
    }
  }
});

test("triblerEvents rejects a fraction in counts, sizes and whole seconds, and accepts it in scores and amounts", () => {
  for (const [type, payload] of payloads) {
    for (const { keys, value } of placesIn(payload)) {
      if (typeof value !== "number") continue;
      const path = ["event", ...keys].join(".");
      const expected = isFractional(type, keys.at(-1)!) ? [] : [path];
      assert.equal(pathsOf(type, withValue(payload, keys, value + 0.5)), expected, `${type}: ${path}`);
    }
  }
});

test("triblerEvents reports all issues of a payload at once", () => {
  const payload = structuredClone(triblerPayloads.market_transaction_complete) as unknown as {
    tx: Record<string, unknown>;
  };
  payload.tx["assets"] = { first: { amount: "10" }, second: null };
  payload.tx["trader_id"] = "XY";
  Reflect.deleteProperty(payload, "mine");
  assert.equal(pathsOf("market_transaction_complete", payload).sort(), [
    "event.mine",
    "event.tx.assets.first.amount",
    "event.tx.assets.first.type",
    "event.tx.assets.second",
    "event.tx.trader_id",
  ]);
});

test("triblerEvents keeps unknown keys unchanged, in every object at any depth", () => {
  const added = { of_a_later_release: [null, { deep: ["x", 1.5, true] }], name: undefined };
  for (const [type, payload] of payloads) {
    if (payload === undefined || typeof payload === "string") continue;
    const objects = [{ keys: [], value: payload }, ...placesIn(payload)]
      .filter(({ value }) => typeof value === "object" && !Array.isArray(value));
    assert.ok(objects.length > 0);
    const extended = structuredClone(payload);
    for (const { keys } of objects) {
      let object = extended as Record<string, unknown>;
      for (const key of keys) object = object[key] as Record<string, unknown>;
      object["of_a_later_release"] = added.of_a_later_release;
      Object.defineProperty(object, "__proto__", { value: { x: 1 }, enumerable: true, configurable: true });
    }
    assert.equal(issuesOf(type, extended), [], type);
    const text = JSON.stringify(newest());
    assert.is(text, JSON.stringify(extended), type);
    assert.is(text.split('"of_a_later_release":').length - 1, objects.length);
    assert.is(text.split('"__proto__":').length - 1, objects.length);
  }
  assert.is(({} as { x?: number }).x, undefined);
});

test("triblerEvents accepts a payload without its optional fields", () => {
  let found = 0;
  for (const [type, payload] of payloads) {
    for (const { keys } of placesIn(payload)) {
      if (!OPTIONAL.has(keys.at(-1)!)) continue;
      found++;
      const without = changedAt(
        payload,
        keys,
        (holder: object, key: string) => Reflect.deleteProperty(holder, key),
      );
      assert.equal(issuesOf(type, without), [], type);
      assert.equal(newest(), without);
      assert.equal(issuesOf(type, withValue(payload, keys, undefined)), [], type);
      assert.equal(newest(), without, "undefined is the same as absent");
    }
  }
  assert.is(found, 4);
});

test("triblerEvents accepts hashes of 40 lower-case hexadecimal digits alone", () => {
  const hashes = new Set(["infohash", "dispersy_cid"]);
  let found = 0;
  for (const [type, payload] of payloads) {
    for (const { keys, value } of placesIn(payload)) {
      if (!hashes.has(keys.at(-1)!)) continue;
      found++;
      const hash = value as string;
      const path = ["event", ...keys].join(".");
      assert.equal(issuesOf(type, withValue(payload, keys, "0123456789abcdef".repeat(3).slice(0, 40))), []);
      const odd = [
        hash.toUpperCase(),
        hash.slice(1),
        hash + "0",
        "g" + hash.slice(1),
        ` ${hash}`,
        `${hash}\n`,
        `0x${hash.slice(2)}`,
        "",
      ];
      for (const text of odd) {
        assert.equal(pathsOf(type, withValue(payload, keys, text)), [path], `${type}: ${path} is "${text}"`);
      }
    }
  }
  assert.is(found, 9);
});

test("triblerEvents accepts traders and blocks of any number of lower-case hexadecimal digits", () => {
  const names = new Set(["trader_id", "partner_trader_id", "block_hash"]);
  let found = 0;
  for (const [type, payload] of payloads) {
    for (const { keys } of placesIn(payload)) {
      if (!names.has(keys.at(-1)!)) continue;
      found++;
      const path = ["event", ...keys].join(".");
      for (const text of ["00", "0123456789abcdef"]) {
        assert.equal(issuesOf(type, withValue(payload, keys, text)), [], type);
      }
      for (const text of ["AB", "0x00", "xyz", "00\n", " 00"]) {
        assert.equal(pathsOf(type, withValue(payload, keys, text)), [path], `${type}: ${path} is "${text}"`);
      }
    }
  }
  assert.is(found, 12);
});

test("triblerEvents accepts files of torrents as pairs of path and size", () => {
  const payload = triblerPayloads.torrent_discovered;
  const pathsIn = (files: unknown) => pathsOf("torrent_discovered", { ...payload, files });
  assert.equal(pathsIn([]), []);
  assert.equal(pathsIn([["a", 0]]), []);
  assert.equal(pathsIn([["a", 0], ["b"]]), ["event.files.1.1"]);
  assert.equal(pathsIn([[]]), ["event.files.0.0", "event.files.0.1"]);
  assert.equal(pathsIn([["a", 0], ["b", "1"], [2, 2]]), ["event.files.1.1", "event.files.2.0"]);
  assert.equal(pathsIn([{ path: "a", size: 0 }]), ["event.files.0"]);
  assert.equal(pathsIn(["a", 0]), ["event.files.0", "event.files.1"]);
  assert.equal(pathsIn({ 0: ["a", 0] }), ["event.files"]);
  assert.equal(pathsIn([["a", 0.5]]), ["event.files.0.1"]);
  // A later release may add a value, which passes like an unknown key.
  assert.equal(pathsIn([["a", 0, "more"]]), []);
  assert.equal((newest() as { files: unknown }).files, [["a", 0, "more"]]);
});

test("triblerEvents accepts forms of any number of fields, with a picture in base64 or none", () => {
  const type = "market_iom_input_required";
  const form = triblerPayloads[type].required_input;
  const pathsIn = (changes: object) => pathsOf(type, { required_input: { ...form, ...changes } });
  assert.equal(pathsIn({ required_fields: [] }), []);
  assert.equal(pathsIn({ additional_data: {} }), []);
  assert.equal(pathsIn({ required_fields: [form.required_fields[0], { name: "pin" }] }), [
    "event.required_input.required_fields.1.type",
    "event.required_input.required_fields.1.text",
    "event.required_input.required_fields.1.placeholder",
  ]);
  assert.equal(pathsIn({ required_fields: [null] }), ["event.required_input.required_fields.0"]);
  assert.equal(pathsIn({ additional_data: { image: "no base64!" } }), [
    "event.required_input.additional_data.image",
  ]);
  assert.equal(pathsIn({ additional_data: { image: "iVBORw0KGgoA".repeat(60_000) } }), []);
});

test("publish() keeps the value of zero, negative, large and small numbers", () => {
  const payload = triblerPayloads.signal_low_space;
  for (const time of [0, -1, 1e-7, 0.1 + 0.2, 1e21, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53 - 1]) {
    assert.equal(issuesOf("signal_low_space", { ...payload, time }), []);
    assert.is((newest() as { time: number }).time, time);
  }
});

test.run();
