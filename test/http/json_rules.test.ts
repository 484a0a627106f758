/**
 * The rules of JSON (RFC 8259), case by case, as bodies of `POST /events`: what a parser has to take, what it has to refuse, and
 * what the standard leaves open. The kinds are those that JSONTestSuite sorts its cases into.
 *
 * @module
 */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { makeEndpoint, type TestEndpoint } from "../support/endpoint.ts";
import { suite } from "../support/suite.ts";

const test = suite("http: rules of JSON");

const catalogue = defineEvents({ note: v.any() });
const encoder = new TextEncoder();

// In these tables each character below U+0100 is a byte in `raw()`; elsewhere texts are UTF-8.
const raw = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const wide = (text: string) => new Uint8Array(Uint16Array.from(text, (char) => char.charCodeAt(0)).buffer);
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const MARK = "\ufeff";

/** Texts that every parser has to take. */
// deno-fmt-ignore
const VALID: readonly string[] = [
  // Structure and white space.
  "null", "true", "false", "7", "-0.5", '"lone"', '""', "[]", "{}", " [ ] ", "\t[1]\r\n", "[\n1\r\n,\t2 ]", '{\n"a"\r:\t1 \n}', "[[]   ]", '[""]', "[null, 1, \"1\", {}]", "[1,null,null,null,2]",
  // Numbers.
  "0", "-0", "[-1]", "[123.456]", "[ 4]", "1E22", "1e+2", "1E-2", "123e45", "123.456e78", "0e1", "0e+1", "20e1", "-123", "1.5E+2", `-0.${"0".repeat(77)}1`, "-1.0e28", "5e-324", "1e-400",
  // Objects.
  '{"a":1,"a":2}', '{"a":{},"a":{}}', '{"":0}', '{"a\\u0000b":1}', '{"min":-1.0e+28,"max":1.0e+28}', `{"x":[{"id":"${"x".repeat(40)}"}],"id":"${"y".repeat(40)}"}`, '{"a":[]}', '{"title":"\\u041f\\u043e"}',
  // Strings: escapes, and every length of UTF-8.
  '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\\\u0000"', '"\\u0000"', '"\\u0012"', '"\\uFFFF"', '"\\uDBFF\\uDFFF"', '"\\ud83d\\ude39\\ud83d\\udc8d"', '"\\uD834\\uDd1e"', '"\\u00A0"', '"\\u200B\\u2064"', '"\\uFDD0\\uFFFE"',
  '"\\uD83F\\uDFFE\\uDBFF\\uDFFE"', '"\\u0022\\u005C"', '"a/*b*/c//d"', '"\\\\a\\\\n"', '"new\\u000Aline"', '"\x7f"', '"a\x7fa"', '"\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}"', '"\u{1bfff}\u{1fffe}"', '"\u2028\u2029"', '"π €𝄞"', '" "',
];

/** Texts that every parser has to refuse. */
// deno-fmt-ignore
const INVALID: readonly string[] = [
  // Arrays.
  "[1 true]", '["":1]', '[""],', "[1,]", "[1,,2]", '["x",,]', '["x"]]', '["",]', '["x"', "[x", "[3[4]]", "[1:2]", "[,]", "[-]", "[   , \"\"]", "[\"a\",\n4\n,1,", "[1,,]", "[\"\x0ba\"\\f]", "[*]", '[""', "[1,", "[1,\n1\n,1", "[{}",
  // Literals.
  "[fals]", "[nul]", "[tru]", "True", "NULL", "[TRUE]", "truefalse", "[nan]", "nullx", "undefined", "fals", "n", "tru",
  // Numbers.
  "123\0", "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]", "[0.3e+]", "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]", "[1eE2]", "[2.e+3]", "[2.e-3]", "[9.e+]",
  "[Inf]", "[NaN]", "[\uff11]", "[1+2]", "[0x1]", "[0x42]", "[Infinity]", "[0e+-1]", "[-123.123foo]", "[-Infinity]", "[-foo]", "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]", "[1.]", "[.123]", "[1.2a-3]", "[1.8011670033376514H-308]", "[012]", "2@", "1_0", "1n", "00",
  // Objects.
  '["x", truth]', '{"x": tru}', '{[: "x"}', '{"x", null}', '{"x"::"b"}', "{😀}", '{"a":"a" 123}', "{key: 'value'}", '{"a" b}', '{:"b"}', '{"a":', '{"a"', "{1:1}", "{9999E9999:1}", "{null:null,null:null}", '{"id":0,,,,,}', "{'a':0}", '{"id":0,}', '{"a":"b"}/**/',
  '{"a":"b"}/**//', '{"a":"b"}//', '{"a":"b"}/', '{"a":"b",,"c":"d"}', '{a: "b"}', '{"a":"a', '{ "x" : "y", "z" }', '{"a":"b"}#',
  // Strings.
  " ", '["\\uD800\\"]', '["\\uD800\\u"]', '["\\uD800\\u1"]', '["\\uD800\\u1x"]', "[é]", '["\\\0"]', '["\\x00"]', '["\\\\\\"]', '["\\\t"]', '["\\🌀"]', '["\\"]', '["\\u00A"]', '["\\uD834\\uDd"]', '["\\uD800\\uD800\\x"]', '["\\a"]', '["\\uqqqq"]', '[\\u0020"x"]',
  "[\\n]", '"', "['single quote']", "abc", '["\\', '["a\0a"]', '["new\nline"]', '"\t"', '"\\UA66D"', '""x', '"a"b', '"\r"', '"\x1f"',
  // Structure.
  "\u2060[]", MARK, "<.>", "[<null>]", "[1]x", "[1]]", '["asd]', "aå", "]", "}", '{"x": true,', "[][]", "", "2@", "{}}", '{"":', '{"a":/*comment*/"b"}', '{"a": true} "x"', "['", "[,", "[{", '["a', '["a"', "{", "{]", "{,", "{[", '{"a', "{'a'", '["\\{["\\{["\\{["\\{',
  "*", '{"a":"b"}#{}', "[\\u000A\"\"]", "[1", "[ false, nul", "[ true, fals", "[ false, tru", '{"asd":"asd"', "å", "[\u2060]", "[\x0c]", "\x0c[]", "\x0b1", "\u00a01", "\u30001", "\u20281", "[".repeat(100_000), '[{"":'.repeat(50_000), `${MARK}${MARK}1`, `[1${MARK}]`,
];

/** Bytes that are not UTF-8, or are in another encoding. */
const NOT_UTF8: readonly Uint8Array[] = [
  ...[
    "[\xff]",
    "[a\xe5]",
    '["\xe0\xff"]',
    '["\xe9"]',
    '["\x81"]',
    '["\xf4\xbf\xbf\xbf"]',
    '["\xc0\xaf"]',
    '["\xe6\x97"]',
  ]
    .map(raw),
  ...[
    '["\xfc\x83\xbf\xbf\xbf\xbf"]',
    '["\xfc\x80\x80\x80\x80\x80"]',
    '["\xed\xa0\x80"]',
    "[1\xe5]",
    "[1e1\xe5]",
    "\xe5",
  ]
    .map(raw),
  ...['{"\xb9":"0",}', '["\\u\xe5"]', '["\\\xe5"]', "\xef\xbb{}", "[0\xe5\n]"].map(raw),
  wide(`${MARK}["é"]`),
  wide('["é"]'),
  wide('["é"]').reverse(),
];

/** What the standard leaves open: the value that is delivered, or `undefined` if the body is rejected. */
const FREE: readonly (readonly [text: string, value: unknown])[] = [
  // Numbers that a double cannot hold are rejected; what is nearer to 0 than any double is 0.
  ["[123.456e-789]", [0]],
  ["[-1e-99999]", [-0]],
  ["[0.4e00669999999999999999999999999999]", undefined],
  ["[-1e+9999]", undefined],
  ["[1.5e+9999]", undefined],
  ["[-123123e100000]", undefined],
  ["[123123e100000]", undefined],
  ["[-123123123123123123123123123123]", undefined],
  ["[100000000000000000000]", undefined],
  ["[100000000000000000001]", undefined],
  ["[9007199254740993]", undefined],
  // Half surrogate pairs become U+FFFD, also in keys.
  ['{"\\uDFAA":0}', { "\ufffd": 0 }],
  ['["\\uDADA"]', ["\ufffd"]],
  ['["\\uD888\\u1234"]', ["\ufffd\u1234"]],
  ['["\\uD800\\n"]', ["\ufffd\n"]],
  ['["\\uDd1ea"]', ["\ufffda"]],
  ['["\\uD800\\uD800\\n"]', ["\ufffd\ufffd\n"]],
  ['["\\ud800"]', ["\ufffd"]],
  ['["\\ud800abc"]', ["\ufffdabc"]],
  ['["\\uDd1e\\uD834"]', ["\ufffd\ufffd"]],
  // A payload begins on the second of 64 levels.
  [nested(63), JSON.parse(nested(63))],
  [nested(64), undefined],
  [nested(500), undefined],
];

/** Where a text stands in a body. */
interface Place {
  readonly name: string;
  readonly contentType: string;
  /** The number of events of the body, and which of them has the text for its payload. */
  readonly events: number;
  readonly index: number;
  /** The text around it. */
  readonly around: readonly [before: string, after: string];
}

const GOOD = '{"type":"note","event":0}';
const PLACES: readonly Place[] = [
  {
    name: "a dictionary",
    contentType: "application/json",
    events: 1,
    index: 0,
    around: ['{"type":"note","event":', "}"],
  },
  {
    name: "a batch",
    contentType: "application/json",
    events: 3,
    index: 1,
    around: [`[${GOOD},{"type":"note","event":`, `},${GOOD}]`],
  },
  {
    name: "lines",
    contentType: "application/x-ndjson",
    events: 3,
    index: 1,
    around: [`${GOOD}\n{"type":"note","event":`, `}\n${GOOD}\n`],
  },
];

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a body that has a text at a place. */
function bodyOf({ around: [before, after] }: Place, text: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array([...encoder.encode(before), ...text, ...encoder.encode(after)]);
}

/** What `JSON.parse()` makes of bytes; `undefined` if it takes them for no JSON. */
function parsed(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(decoder.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** The payloads of all events so far, as a stream delivers them. */
async function payloadsOf({ app }: Pick<TestEndpoint<never>, "app">): Promise<string[]> {
  const response = await app.request("/events?since=earliest&follow=false&format=ndjson");
  const lines = (await response.text()).trimEnd().split("\n").slice(1); // The first is events_start.
  return lines.map((line) => JSON.stringify(JSON.parse(line).event));
}

/**
 * Publishes each text at each place. An accepted body delivers its value between the events beside it; a rejected one is
 * answered with 400 and publishes nothing.
 */
async function publishAll(cases: readonly (readonly [text: Uint8Array, value: unknown])[]): Promise<void> {
  const made = makeEndpoint(catalogue, { heartbeat: null, history: { bytes: 100_000_000 } });
  const due: string[] = [];
  for (const [text, value] of cases) {
    for (const place of PLACES) {
      if (place.name === "lines" && text.includes(0x0a)) continue;
      const label = `${place.name}: ${JSON.stringify(new TextDecoder().decode(text).slice(0, 80))}`;
      const response = await made.app.request("/events", {
        method: "POST",
        headers: { "Content-Type": place.contentType },
        body: bodyOf(place, text),
      });
      const answer = await response.json();
      if (value === undefined) {
        assert.equal([response.status, answer.error?.code], [400, "InvalidEvent"], label);
        const { index, message } = answer.error.details[0];
        // A document that is not JSON is one value, whatever it was meant to hold.
        assert.ok(index === place.index || index === 0, label);
        assert.ok(typeof message === "string" && message.length < 500, label);
      } else {
        assert.equal([response.status, answer.accepted], [202, place.events], label);
        due.push(
          ...Array.from({ length: place.events }, (_, n) => n === place.index ? JSON.stringify(value) : "0"),
        );
      }
    }
  }
  assert.is(made.channel.last, due.length, "a rejected body publishes nothing");
  assert.equal(await payloadsOf(made), due);
  assert.equal(made.problems, []);
}

test("POST /events accepts all that is JSON by its standard, and delivers the value of JSON.parse()", async () => {
  const texts = VALID.map((text) => encoder.encode(text));
  for (const text of texts) assert.ok(parsed(text), new TextDecoder().decode(text));
  await publishAll(texts.map((text) => [text, parsed(text)!.value]));
});

test("POST /events rejects all that is not JSON by its standard, and publishes nothing of its batch", async () => {
  const texts = [...INVALID.map((text) => encoder.encode(text)), ...NOT_UTF8];
  for (const text of texts) assert.is(parsed(text), undefined, new TextDecoder().decode(text));
  await publishAll(texts.map((text) => [text, undefined]));
});

test("POST /events decides what the standard of JSON leaves open as its page says", () =>
  publishAll(FREE.map(([text, value]) => [encoder.encode(text), value])));

test("POST /events answers 400 to every rule of JSON as a whole body, and ignores one byte order mark", async () => {
  const made = makeEndpoint(catalogue, { heartbeat: null });
  const texts = [...VALID, ...INVALID, ...FREE.map(([text]) => text)].map((text) => encoder.encode(text));
  for (const text of [...texts, ...NOT_UTF8]) {
    for (const contentType of ["application/json", "application/x-ndjson"]) {
      const headers = { "Content-Type": contentType };
      const response = await made.app.request("/events", {
        method: "POST",
        headers,
        body: new Uint8Array(text),
      });
      const { error } = await response.json();
      assert.equal(
        [response.status, error.code],
        [400, "InvalidEvent"],
        new TextDecoder().decode(text.slice(0, 80)),
      );
    }
  }
  assert.is(made.channel.last, 0);
  const headers = { "Content-Type": "application/json" };
  const marked = await made.app.request("/events", { method: "POST", headers, body: MARK + GOOD });
  assert.is(marked.status, 202);
});

test.run();
