/**
 * Subjects: derived by the catalogue, or given with an event.
 *
 * @module
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, createFormat, defineEvents, eventsEndpoint, EventsError } from "../../src/mod.ts";
import { WrittenDraft } from "../../src/events/encode.ts";
import { isSubject, subjectMatcher } from "../../src/events/subject.ts";
import { suite } from "../support/suite.ts";

const test = suite("events: subject");

const catalogue = defineEvents({
  order: v.object({ id: v.optional(v.unknown()) }),
  note: v.string(),
  closed: null,
}, {
  subject: {
    order: ({ id }) => {
      if (id === "throws") throw new Error("no such order");
      return typeof id === "string" ? `order/${id}` : id as undefined;
    },
  },
});

function channelOf(): ReturnType<typeof createChannel<typeof catalogue.schemas>> {
  return createChannel(catalogue);
}

/** Returns the issues with which publishing is rejected. */
function refusalOf(run: () => unknown): EventsError {
  try {
    run();
  } catch (error) {
    if (error instanceof EventsError) return error;
    throw error;
  }
  throw new Error("it was published");
}

test("publish() writes the subject that the catalogue derives between type and event", () => {
  const channel = channelOf();
  channel.publish("order", { id: "42" });
  channel.publish("note", "hello");
  channel.publish("order", { id: undefined });
  channel.publish("order", { id: 'a"ü\\' });
  const { entries } = channel.read(0, 1e6);
  const heads = entries.map(({ json }) => json.slice(0, json.indexOf(',"id":"')));
  assert.equal(heads, [
    '{"type":"order","subject":"order/42","event":{"id":"42"}',
    '{"type":"note","event":"hello"',
    '{"type":"order","event":{}',
    '{"type":"order","subject":"order/a\\"ü\\\\","event":{"id":"a\\"ü\\\\"}',
  ]);
  assert.equal(entries.map(({ subject }) => subject), ["order/42", undefined, undefined, 'order/a"ü\\']);
  assert.equal(entries.map((entry) => channel.parse(entry).subject), entries.map(({ subject }) => subject));
  for (const { json, bytes } of entries) assert.is(new TextEncoder().encode(json).length, bytes);
});

test("publish() and publishBatch() take a subject that the catalogue does not derive, or the same", () => {
  const channel = channelOf();
  channel.publish("note", "hello", { subject: "user/ü" });
  channel.publish("closed", undefined, { subject: "shop" });
  channel.publishBatch([
    { type: "closed", subject: "shop" },
    { type: "order", subject: "order/42", event: { id: "42" } },
    { type: "order", subject: "anything", event: { id: undefined } },
    { type: "note", subject: undefined, event: "hello" },
  ]);
  const { entries } = channel.read(0, 1e6);
  const expected = ["user/ü", "shop", "shop", "order/42", "anything", undefined];
  assert.equal(entries.map(({ subject }) => subject), expected);
  assert.ok(entries[1]!.json.startsWith('{"type":"closed","subject":"shop","id":"'));
  for (const { json, bytes } of entries) assert.is(new TextEncoder().encode(json).length, bytes);
});

test("publish() rejects a subject that is none, or another one than the catalogue derives", () => {
  const channel = channelOf();
  const bad = [
    "",
    "a b",
    "a\tb",
    "a\nb",
    "\u00a0",
    "\u2028",
    "\u0085",
    "\0",
    "\ud800",
    "x".repeat(257),
    42,
    null,
  ];
  for (const subject of bad) {
    const { code, issues } = refusalOf(() => channel.publishBatch([{ type: "closed", subject } as never]));
    assert.equal([code, issues[0]!.path], ["InvalidEvent", "subject"]);
    assert.match(issues[0]!.message, /^must be 1 to 256 characters without white space and controls, not /);
  }
  const other = refusalOf(() => channel.publish("order", { id: "1" }, { subject: "order/2" }));
  assert.match(other.message, 'subject: is "order/1" in this catalogue: leave it out, or send the same');
  assert.is(channel.last, 0);
  assert.throws(
    () => channel.publish("closed", undefined, { subjct: "shop" } as never),
    /did you mean subject\?/,
  );
  assert.throws(
    () => channel.publish("closed", undefined, "shop" as never),
    /must be a plain object, not "shop"/,
  );
  channel.publish("closed", undefined, { subject: "😀".repeat(256) });
});

test("publish() reports a subject that is none beside the issues of the payload", () => {
  const { issues } = refusalOf(() => channelOf().publish("note", 7 as never, { subject: "a b" }));
  assert.equal(issues.map(({ path }) => path), ["event", "subject"]);
});

test("publish() rejects an event whose subject cannot be derived, and keeps the error as its cause", () => {
  const channel = channelOf();
  const thrown = refusalOf(() => channel.publish("order", { id: "throws" }));
  assert.is(thrown.code, "InvalidEvent");
  assert.match(
    thrown.message,
    "subject: cannot be derived: the function of the catalogue threw: no such order",
  );
  assert.is((thrown.cause as Error).message, "no such order");
  for (const id of [42, null, {}, "a b"]) {
    const { message } = refusalOf(() => channel.publish("order", { id }));
    assert.match(message, "subject: cannot be derived: the function of the catalogue returned ");
  }
  assert.is(channel.last, 0);
});

test("publish() rejects an event that has no room beside its subject", () => {
  const channel = createChannel(catalogue, { history: { bytes: 1024 } });
  const subject = "😀".repeat(256);
  assert.match(refusalOf(() => channel.publish("closed", undefined, { subject })).message, "leaves no room");
  assert.match(
    refusalOf(() => channel.publish("note", "x".repeat(1024), { subject: "x" })).message,
    "has 1026 bytes",
  );
  channel.publish("note", "x".repeat(1024 - 256 - 2 - '"subject":"x",'.length), { subject: "x" });
});

test("defineEvents() rejects a subject of a type that there is not, and one that is no function", () => {
  const schemas = { order: v.string(), events_start: v.object({}) };
  const define = (options: unknown) => () => defineEvents(schemas, options as never);
  assert.throws(
    define({ subject: { ordr: () => "x" } }),
    /defineEvents: subject: .*"ordr": did you mean order\?/,
  );
  assert.throws(define({ subject: { events_start: () => "x" } }), /there is no option "events_start"/);
  assert.throws(define({ subject: { order: "order" } }), /defineEvents: subject: order must be a function/);
  assert.throws(define({ subjects: {} }), /did you mean subject\?/);
  assert.throws(define("order"), /must be a plain object/);
  assert.throws(() => defineEvents({}, { subject: { order: () => "x" } } as never), /it has none/);
});

test("WrittenDraft.read() keeps the payload behind a subject", () => {
  const read = (text: string) => WrittenDraft.read(text, JSON.parse(text), 64);
  const draft = read('{"type":"note","subject":"a/b","event":"x"}')!;
  assert.equal([draft.subject, draft.event, WrittenDraft.payloadOf(draft)?.text], ["a/b", "x", '"x"']);
  const rewritten = [
    '{"type":"note","subject":"a\\/b","event":"x"}',
    '{"subject":"a/b","type":"note","event":"x"}',
    '{"type":"note","event":"x","subject":"a/b"}',
    '{"type":"note","subject":1,"event":"x"}',
    '{"type":"note","subject":null,"event":"x"}',
    '{"type":"note","subject":"a","subject":"b","event":"x"}',
  ];
  for (const text of rewritten) assert.is(read(text), undefined, text);
});

test("createFormat() passes the subject and the payload to its hooks", async () => {
  const channel = channelOf();
  const wireFormat = createFormat({
    name: "rows",
    mediaType: "text/plain",
    event: ({ type, subject, payload }) => `${type} ${subject} ${payload}\n`,
    control: () => "",
  });
  channel.publish("order", { id: '4,"event":2' });
  channel.publish("closed", undefined, { subject: '","event":"' });
  const response = await eventsEndpoint(channel, { wireFormat }).request("/?since=earliest&follow=false");
  assert.equal((await response.text()).trim().split("\n"), [
    'order order/4,"event":2 {"id":"4,\\"event\\":2"}',
    'closed ","event":" undefined',
  ]);
});

test("isSubject() and subjectMatcher() agree with their definition for any text", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 10 }),
    fc.nat(3).map((n) => "é".repeat(254 + n)),
    fc.string({ unit: fc.constantFrom("a", "b", "/", "*", "é", " "), minLength: 1, maxLength: 4 }),
  );
  fc.assert(fc.property(text, fc.array(text, { maxLength: 4 }), (subject, patterns) => {
    const characters = [...subject];
    const isPlain = characters.every((char) =>
      // deno-lint-ignore no-control-regex
      char.trim() !== "" && !/[\0-\x1f\x7f-\x9f]/.test(char) && !/^[\ud800-\udfff]$/.test(char)
    );
    assert.is(isSubject(subject), isPlain && characters.length >= 1 && characters.length <= 256);
    const isMatch = patterns.some((pattern) =>
      pattern.endsWith("*")
        ? subject.slice(0, pattern.length - 1) === pattern.slice(0, -1)
        : subject === pattern
    );
    assert.is(subjectMatcher(patterns)(subject), isMatch);
    assert.is(subjectMatcher(patterns)(undefined), false);
  }));
});

test.run();
