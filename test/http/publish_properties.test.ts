/**
 * Properties of publishing, with generated bodies, hostile and valid ones.
 *
 * @module
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { accepted, issuesIn, JSON_TYPE, NDJSON, publishing } from "./publisher.ts";

const test = suite("http: publish properties");

/** Text that is JSON, or resembles it. */
const scalars = fc.constantFrom(
  "0",
  "-0",
  "1",
  "0.1",
  "1e300",
  "1e999",
  "-1e999",
  "1e-999",
  "01",
  "1.",
  ".5",
  "+1",
  "0x1",
  "NaN",
  "Infinity",
  "9007199254740991",
  "9007199254740992",
  "-9007199254740993",
  "123456789012345678901234567890",
  "1E400",
  "true",
  "null",
  "undefined",
  '""',
  '"\\u0000"',
  '"\0"',
  '"\\ud800"',
  '"\\ude00\\ud83d"',
  '"\u2028\u0085"',
  '"\ufeff"',
  '"\\',
  '"',
  "''",
  "{}",
  "[]",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\0",
  "\ufeff",
  "\r",
  "\n",
);
const keys = fc.constantFrom(
  "type",
  "event",
  "id",
  "time",
  "n",
  "text",
  "__proto__",
  "constructor",
  "prototype",
  "toJSON",
  "length",
  "then",
  "",
);
const types = fc.constantFrom(
  "tick",
  "any",
  "note",
  "words",
  "closed",
  "events_start",
  "events_lost",
  "nope",
  "__proto__",
  "toString",
);
const { value: rawValue } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalars,
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
    fc.array(tie("value"), { maxLength: 4 }).map((values) => `[${values.join()}]`),
    fc.array(fc.tuple(keys, tie("value")), { maxLength: 4 }).map((entries) =>
      `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`
    ),
  ),
}));
/** Valid events. JSON writes large doubles as integers, which are rejected, so there are none. */
const validEvent = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true })
    .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n))
    .map((n) => JSON.stringify({ type: "tick", event: { n } })),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify({ type: "note", event: { text } })),
  fc.array(fc.string(), { maxLength: 5 }).map((event) => JSON.stringify({ type: "words", event })),
  fc.constant('{"type":"closed"}'),
);
const oddEvent = fc.oneof(
  fc.tuple(types, rawValue).map(([type, value]) => `{"type":"${type}","event":${value}}`),
  types.map((type) => `{"type":"${type}"}`),
  fc.array(fc.tuple(keys, rawValue), { maxLength: 5 }).map((entries) =>
    `{"type":"any",${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`
  ),
  fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.constantFrom("[", '{"a":', '[{"__proto__":'), fc.boolean())
    .map(([levels, open, closed]) => {
      const close = [...open.replace(/"[^"]*":/g, "")].reverse().map((c) => (c === "[" ? "]" : "}")).join("");
      return `{"type":"any","event":${open.repeat(levels)}1${closed ? close.repeat(levels) : ""}}`;
    }),
  fc.tuple(fc.nat({ max: 50_000 }), fc.constantFrom("x", "\\n", "\\", "9", "é", '\\"', "\\ud800"))
    .map(([length, piece]) => `{"type":"note","event":{"text":"${piece.repeat(length / piece.length)}"}}`),
  rawValue,
);
const eventText = fc.oneof({ weight: 3, arbitrary: validEvent }, { weight: 2, arbitrary: oddEvent });
/** A whole body of events, some of them odd. */
const bodyText = fc.oneof(
  eventText,
  fc.array(validEvent, { minLength: 1, maxLength: 6 }).map((events) => events.join("\n")),
  fc.array(validEvent, { minLength: 1, maxLength: 6 }).map((events) => `[${events.join()}]`),
  fc.array(eventText, { maxLength: 8 }).map((events) => `[${events.join()}]`),
  fc.array(fc.oneof(eventText, fc.constantFrom("", " ", "\r", "\ufeff", "\0")), { maxLength: 8 })
    .chain((lines) => fc.constantFrom("\n", "\r\n", "\n\n", "\r").map((end) => lines.join(end) + end)),
);
/** A body with random edits. */
const edited = fc.tuple(
  bodyText,
  fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat({ max: 20 }), scalars), {
    maxLength: 3,
  }),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.boolean(),
).map(([text, edits, cut, cuts]) => {
  for (const [place, length, insert] of edits) {
    const at = Math.floor(place * text.length);
    text = text.slice(0, at) + insert + text.slice(at + length);
  }
  return cuts ? text.slice(0, Math.floor(cut * text.length)) : text;
});
const hostile = fc.oneof(
  { weight: 4, arbitrary: bodyText.map((text) => new TextEncoder().encode(text)) },
  { weight: 4, arbitrary: edited.map((text) => new TextEncoder().encode(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(bodyText, fc.uint8Array({ minLength: 1, maxLength: 4 }), fc.nat())
      .map(([text, bytes, at]) => {
        const body = new TextEncoder().encode(text);
        body.set(bytes.subarray(0, body.length), at % Math.max(1, body.length - bytes.length + 1));
        return body;
      }),
  },
).map((bytes) => ({
  bytes,
  [fc.toStringMethod]: () => JSON.stringify(Buffer.from(bytes).toString("latin1")),
}));
const contentType = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(JSON_TYPE, NDJSON) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("application/jsonl", "text/plain", "", "application/json; charset=x"),
  },
);

test("POST /events never answers 5xx nor publishes part of a batch, whatever the body", () =>
  publishing(async ({ channel, post, problems }) => {
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(hostile, contentType, async ({ bytes }, contentType) => {
        const before = channel.last;
        const answer = await post(bytes, contentType);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 202) {
          const { accepted: count } = JSON.parse(answer.text);
          assert.ok(Number.isInteger(count) && count > 0);
          assert.is(channel.last, before + count);
          assert.equal(answer, accepted(channel, count));
          return;
        }
        assert.is(channel.last, before, "a rejected body publishes nothing");
        if (answer.status === 400) assert.ok(issuesIn(answer).length > 0);
        else assert.ok(answer.status === 415 || answer.status === 413, answer.text);
      }),
      { numRuns: 400, includeErrorInReport: true }, // On each of six runtimes, with a seed of its own.
    );
    // The generated bodies must reach each of the outcomes often.
    for (const [status, least] of [[202, 30], [400, 80], [415, 3]] as const) {
      assert.ok((statuses.get(status) ?? 0) >= least, `${status}: ${JSON.stringify([...statuses])}`);
    }
    assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
    assert.equal(problems, []);
    assert.is(({} as Record<string, unknown>)["a"], undefined);
    assert.equal(Object.keys(Object.prototype), []);
    for (const entry of channel.read(0, Infinity).entries) {
      const event = channel.parse(entry);
      assert.equal([event.type, event.id], [entry.type, entry.id]);
      assert.not.match(entry.json, /[\n\r\u0085\u2028\u2029]/);
    }
  }));

test("POST /events publishes every valid body unchanged", () =>
  publishing(async ({ channel, post }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(validEvent, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (events, lines) => {
          const before = channel.last;
          const answer = await post(
            lines ? events.join("\n") : `[${events.join()}]`,
            lines ? NDJSON : JSON_TYPE,
          );
          assert.equal(answer, accepted(channel, events.length));
          const published = channel.read(before, Infinity).entries.map((entry) => {
            const { type, event } = channel.parse(entry);
            return JSON.stringify({ type, event });
          });
          assert.equal(published, events);
        },
      ),
      { numRuns: 50 },
    );
  }));

test("POST /events publishes each batch as one sequence when bodies arrive at the same time", () =>
  publishing(async ({ channel, post }) => {
    const answers = await Promise.all(Array.from({ length: 16 }, async (_, sender) => {
      const ids: string[] = [];
      for (let batch = 0; batch < 10; batch++) {
        const events = Array.from({ length: 7 }, (_, n) => ({ type: "any", event: { sender, batch, n } }));
        const bad = batch % 3 === 2;
        const answer = await post(JSON.stringify(bad ? [...events, { type: "nope" }] : events));
        assert.is(answer.status, bad ? 400 : 202, answer.text);
        if (!bad) ids.push(JSON.parse(answer.text).last_id);
      }
      return ids;
    }));
    assert.is(channel.last, 16 * 7 * 7);
    const events = channel.read(0, Infinity).entries.map((entry) => channel.parse(entry));
    for (let at = 0; at < events.length; at += 7) {
      const batch = events.slice(at, at + 7).map(({ event }) =>
        event as { sender: number; batch: number; n: number }
      );
      assert.equal(batch, batch.map((_, n) => ({ ...batch[0]!, n })));
    }
    assert.equal(
      answers.flat().sort(),
      events.filter((_, index) => index % 7 === 6).map(({ id }) => id).sort(),
    );
  }));

test.run();
