/**
 * Payloads that are not written again, because they came as JSON, or not parsed again, because they are plain.
 *
 * @module
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { WrittenDraft } from "../../src/events/encode.ts";
import { copyPlain, NOT_PLAIN } from "../../src/events/json.ts";
import { suite } from "../support/suite.ts";

const test = suite("events: encode");

/** Returns the JSON that is kept of a payload; `undefined` if it has to be written. */
function kept(payload: string): string | undefined {
  const text = `{"type":"any","event":${payload}}`;
  const draft = WrittenDraft.read(text, JSON.parse(text), 64);
  return draft && WrittenDraft.payloadOf(draft)?.text;
}

/** Returns ways to write a value as JSON, of which the first is that of `JSON.stringify`. */
function waysOf(value: unknown): string[] {
  if (typeof value === "number") {
    const text = JSON.stringify(value);
    return [text, value.toExponential(), text.replace(/000$/, "e3"), text.includes("e") ? text : `${text}E0`];
  }
  if (typeof value === "string") {
    const escaped = value.replace(/./gs, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    return [JSON.stringify(value), `"${escaped}"`, JSON.stringify(value).replaceAll("/", "\\/")];
  }
  return [JSON.stringify(value)];
}

/** JSON written in some way: with white space, escapes, exponents and keys that occur twice. */
const written: fc.Arbitrary<string> = fc.letrec<{ json: string }>((tie) => {
  const space = fc.constantFrom("", "", "", "", " ", "\n", "\t ");
  const scalar = fc.tuple(
    fc.oneof(
      fc.integer(),
      fc.integer().map((n) => n * 1000),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 0.001, 1000, 1e21, 1e-7, 2 ** 53, 2 ** 53 - 1, 123456.789, true, false, null),
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("\u2028", "\u0085", "\ud800", "a/b", "1e5", ":1e5", '"'),
    ),
    fc.nat(),
  ).map(([value, n]) => waysOf(value)[n % 7] ?? JSON.stringify(value));
  const join = (parts: readonly string[], end: string) => parts.join(",") + end;
  return {
    json: fc.oneof(
      { maxDepth: 3 },
      scalar,
      fc.array(fc.tuple(space, tie("json")).map((parts) => parts.join("")), { maxLength: 4 })
        .map((items) => `[${join(items, "]")}`),
      fc.array(fc.tuple(fc.constantFrom('"a"', '"b"', '"2"', '"__proto__"'), space, tie("json")), {
        maxLength: 3,
      }).map((members) => `{${join(members.map(([key, space, value]) => `${key}:${space}${value}`), "}")}`),
    ),
  };
}).json;

test("WrittenDraft.read() keeps a payload only as JSON.stringify() writes it, but for the order of keys", () => {
  let count = 0;
  fc.assert(
    fc.property(written, (payload) => {
      const json = kept(payload);
      if (json === undefined) return;
      count++;
      const value = JSON.parse(payload);
      assert.is(json, payload);
      assert.is(json.length, JSON.stringify(value).length, json);
      assert.equal(JSON.parse(json), value);
      assert.not.match(json, /[\n\r\t\\\u0085\u2028\u2029]/);
      assert.is(json.match(/"a":|"b":|"2":/g)?.length ?? 0, keysIn(value), "no key occurs twice");
    }),
    { numRuns: 3000 },
  );
  assert.ok(count > 500, `${count} were kept`);
});

/** Returns the number of keys `a`, `b` and `2` in a value. */
function keysIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).filter((key) => /^[ab2]$/.test(key)).length;
  return own + Object.values(value).reduce((sum: number, member) => sum + keysIn(member), 0);
}

test("WrittenDraft.read() keeps what common libraries write without white space", () => {
  for (
    const payload of [
      '{"n":100000,"size":7000,"share":0.001,"list":[],"map":{},"none":null,"yes":true,"é":"漢😀"}',
      '{"hash":"08ada5a7a6183aae1e09d831df6748d566095a10"}',
      '{"b":1,"2":1}',
      "[[1,-2.5],[0]]",
      '"text"',
      "-1",
    ]
  ) assert.is(kept(payload), payload);
});

test("WrittenDraft.read() keeps no white space, exponent, escape, repeated key or inexact number", () => {
  for (
    const payload of [
      '{"n": 1}',
      '{"n":1e5 }', // As long as 100000 is.
      '{"n":1e3, "m":1}',
      "[1e3,1000.0]",
      "-0",
      "1.0",
      "1e21",
      "9007199254740993",
      "1e999",
      '{"a":1,"a":2}',
      '{"a":1},"event":{"a":1}',
      '{"a":1},"type":"any"',
      '{"a":1},"id":"x"',
      '"\\u0041"',
      '"\\ud800"',
      '"\\n"',
      '"\u2028"',
      "null",
    ]
  ) assert.is(kept(payload), undefined, payload);
  const read = (text: string) => WrittenDraft.read(text, JSON.parse(text), 64);
  for (
    const text of [
      '{"event":{},"type":"any"}',
      ' {"type":"any","event":{}}',
      '{"type":"any","event":{}} ',
      '{"type":"any"}',
      '{"type":1,"event":{}}',
      "[]",
    ]
  ) assert.is(read(text), undefined, text);
});

test("WrittenDraft.read() keeps no payload with more levels than an event may have", () => {
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  assert.is(kept(nested(63)), nested(63));
  assert.is(kept(nested(64)), undefined);
  assert.is(kept(nested(100_000 / 20)), undefined);
});

class Point {
  x = 1;
  toJSON() {
    return "a point";
  }
}

test("copyPlain() returns what JSON.parse() of JSON.stringify() returns, or NOT_PLAIN", () => {
  let count = 0;
  const odd = fc.constantFrom(
    new Date(0),
    new Map([[1, 2]]),
    new Point(),
    Object.create({ inherited: 1 }),
    Object.create(null, { own: { value: 1, enumerable: true }, hidden: { value: 2 } }),
    JSON.parse('{"__proto__":{"a":1}}'),
    {
      get n() {
        return 7;
      },
    },
    { toJSON: () => 1 },
    { toJSON: undefined },
    new Number(1),
    [, 1],
    () => 1,
    Symbol("s"),
    1n,
    -0,
    NaN,
    undefined,
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), odd)),
        fc.array(fc.oneof(fc.jsonValue(), odd)),
        fc.object({ withNullPrototype: true, values: [fc.jsonValue(), odd] }),
      ),
      (value) => {
        const copy = copyPlain(value);
        if (copy === NOT_PLAIN) return;
        count++;
        const expected = JSON.parse(JSON.stringify(value));
        assert.equal(copy, expected);
        assert.is(JSON.stringify(copy), JSON.stringify(expected), "with its keys in the same order");
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(count > 500, `${count} were copied`);
});

test("copyPlain() ends for objects that contain themselves, or one another many times", () => {
  const circle: unknown[] = [];
  circle.push(circle, circle);
  assert.is(copyPlain(circle), NOT_PLAIN);
  let shared: unknown = 1;
  for (let level = 0; level < 60; level++) shared = [shared, shared];
  assert.is(copyPlain(shared), NOT_PLAIN);
});

test.run();
