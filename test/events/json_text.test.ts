/**
 * The text of JSON: its parts, and its integers.
 *
 * @module
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { findUnsafeIntegers, membersOf, parseExactly, partsOf } from "../../src/events/json_text.ts";
import { suite } from "../support/suite.ts";

const test = suite("events: JSON text");

/** JSON with any keys and text, and any white space. */
const someJson = fc.tuple(fc.jsonValue({ stringUnit: "binary" }), fc.constantFrom("", "  ", "\t"))
  .map(([value, space]) => JSON.stringify(value, null, space).replaceAll("\n", space === "" ? "" : "\r\n"));

/** Writes JSON with the digits of its BigInts. */
function textOf(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Object.is(value, -0)) return "-0";
  if (Array.isArray(value)) return `[${value.map(textOf).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}:${textOf(one)}`).join(",")}}`;
}

test("partsOf() and membersOf() return the text of each value as it stands there", () => {
  const text = String
    .raw` { "a" : 4611686018427387905 ,"\u0062\"}": [ 1.0, {"c":"]},"} ] , "":"\\" , "-":-0 } `;
  assert.equal([...membersOf(text)], [
    ["a", "4611686018427387905"],
    ['b"}', '[ 1.0, {"c":"]},"} ]'],
    ["", String.raw`"\\"`],
    ["-", "-0"],
  ]);
  assert.equal(partsOf('[ 1.0 ,[2,[]], "a,b" ,{"x":[","]}]'), ["1.0", "[2,[]]", '"a,b"', '{"x":[","]}']);
  for (const empty of ["{}", "[]", " { } ", "[\n]"]) assert.equal(partsOf(empty), []);
  assert.equal([...membersOf('{"a":1,"b":2,"a":3}')], [["a", "3"], ["b", "2"]]);
});

test("membersOf() and partsOf() agree with JSON.parse() on any text", () => {
  fc.assert(fc.property(someJson, (text) => {
    const value = JSON.parse(text);
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) return assert.equal(partsOf(text).map((part) => JSON.parse(part)), value);
    const entries = [...membersOf(text)].map(([key, part]) => [key, JSON.parse(part)]);
    assert.equal(Object.fromEntries(entries), value);
  }));
});

test("parseExactly() gives the integers that a double cannot hold as BigInt, wherever they are", () => {
  const unit = fc.constantFrom("a", "__proto__", '"', "\\", "0");
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit, maxLength: 2 }),
      fc.array(tie("json"), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit, maxLength: 2 }), tie("json"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(fc.property(json, (value) => {
    const text = textOf(value);
    const exact = parseExactly(text);
    assert.equal(
      JSON.parse(JSON.stringify(exact, (_, one) => typeof one === "bigint" ? Number(one) : one)),
      JSON.parse(text),
    );
    const bigints = [...text.matchAll(/(?<=[[:,]|^)-?\d+(?=[\],}]|$)/g)].filter(([digits]) => {
      return !Number.isSafeInteger(Number(digits));
    });
    let count = 0;
    JSON.stringify(exact, (_, one) => {
      if (typeof one !== "bigint") return one;
      count++;
      return String(one);
    });
    const isQuoted = /"[^"]*\d{16}/.test(text);
    if (!isQuoted) assert.is(count, bigints.length, text);
  }));
  assert.equal(parseExactly('{"a":[4611686018427387905,-9007199254740992,9007199254740991,1.0,-0]}'), {
    a: [4611686018427387905n, -9007199254740992n, 9007199254740991, 1, -0],
  });
  assert.is(parseExactly("123456789012345678901"), 123456789012345678901n);
  const { __proto__: own } = parseExactly('{"__proto__":{"__proto__":9007199254740993}}') as {
    __proto__: object;
  };
  assert.is(Object.getOwnPropertyDescriptor(own, "__proto__")?.value, 9007199254740993n);
});

test("parseExactly() takes the last value of a key that occurs twice", () => {
  const big = "9007199254740993";
  for (
    const [text, value] of [
      [`{"a":${big},"a":1}`, { a: 1 }],
      [`{"a":1,"a":${big}}`, { a: 9007199254740993n }],
      [`{"a":{"b":${big}},"a":[7,8]}`, { a: [7, 8] }],
      [`{"a":[${big}],"a":[1]}`, { a: [1] }],
      [`{"a":{"b":[${big}]},"a":{"b":${big}}}`, { a: { b: 9007199254740993n } }],
    ] as const
  ) assert.equal(parseExactly(text), value, text);
});

test("parseExactly() leaves fractions, exponents, strings, and integers beyond the range of a double", () => {
  const text = `["9007199254740993",9007199254740993.0,9007199254740993e0,0.1234567890123456789,${
    "9".repeat(400)
  }]`;
  assert.equal(parseExactly(text), JSON.parse(text));
});

test("parseExactly() and findUnsafeIntegers() take time linear in the length of the text", () => {
  const deep = "[".repeat(100_000) + "9007199254740993,".repeat(100_000) + "0" + "]".repeat(100_000);
  const start = performance.now();
  let value = parseExactly(deep);
  assert.is(findUnsafeIntegers(deep, 64).length, 0);
  const ms = performance.now() - start;
  while (Array.isArray(value) && value.length === 1) value = value[0];
  assert.is((value as unknown[])[99_999], 9007199254740993n);
  assert.ok(ms < 3000, `${ms} ms`);
});

test.run();
