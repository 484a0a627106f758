/**
 * What the server wrote: `lastText`, and with `bigint` every digit of an integer.
 *
 * @module
 */
import * as assert from "uvu/assert";
import * as v from "valibot";
import { connect, type ConnectOptions, type Dictionary, type EventsError } from "../../src/client/mod.ts";
import { defineEvents, type Schemas } from "../../src/mod.ts";
import { tribler712Events } from "../../src/tribler/mod.ts";
import { suite } from "../support/suite.ts";
import { NDJSON, SSE } from "../support/scripted.ts";

const test = suite("client: exact");

/** Makes options under which one response with this body is read to its end. */
function responding(contentType: string, text: string) {
  const fetch = () => new Response(text, { headers: { "Content-Type": contentType } });
  return { fetch, reconnect: false } as const;
}

const URL = "http://127.0.0.1/events";

/** Reads a response to its end. Returns each event, and its text. */
async function read(contentType: string, text: string, options: ConnectOptions<Schemas, boolean> = {}) {
  const connection = connect(URL, { ...responding(contentType, text), ...options });
  const events: Dictionary[] = [];
  const texts: (string | undefined)[] = [];
  assert.is(connection.lastText, undefined);
  for await (const event of connection) {
    events.push(event as Dictionary);
    texts.push(connection.lastText);
  }
  return { events, texts };
}

/** A payload that parsing and writing would change. */
const RAW = String
  .raw`{"id":4611686018427387905, "b":1.0,"a":-0,"\u0061\/":"\u00e9\u202e\n","1":1e2,"0":[1.50]}`;

test("lastText is the text of an event as the server wrote it, in every dialect", async () => {
  const whole = ` { "event" :${RAW}, "type":"t","id":"e-1"}`;
  const bare = `{"event":${RAW},"type":"t"}`;
  const built = `{"type":"t","event":${RAW}}`;
  const cases: [contentType: string, text: string, expected: string][] = [
    [NDJSON, `${whole}\n`, whole.trim()],
    [NDJSON, `${whole}\r\n`, whole.trim()],
    [SSE, `event: t\ndata: ${whole}\nid: e-1\n\n`, whole.trim()],
    [SSE, `data: ${bare}\n\n`, bare],
    [SSE, `data: ${bare}\nid: e-1\n\n`, `${bare.slice(0, -1)},"id":"e-1"}`],
    [SSE, `data: {"type":"t","event":{\ndata: "a":1.0}}\n\n`, '{"type":"t","event":{\n"a":1.0}}'],
    [SSE, `data: {"topic":"t","args":[], "kwargs" : ${RAW} }\n\n`, built],
    [SSE, `data: {"topic":"t","args":[${RAW}],"kwargs":{}}\n\n`, built],
    [SSE, `data: {"topic":"t","args":[1.0, ${RAW}]}\n\n`, `{"type":"t","event":[1.0,${RAW}]}`],
    [SSE, `data: {"topic":"t","args":[null]}\n\n`, '{"type":"t","event":null}'],
    [SSE, `data: {"topic":"t","kwargs":{}}\n\n`, '{"type":"t"}'],
    [SSE, `event: t\ndata: ${RAW}\n\n`, built],
    [SSE, `event: t\ndata: ${RAW}\nid: "8"\n\n`, `${built.slice(0, -1)},"id":"\\"8\\""}`],
    [SSE, `event: t\ndata: {}\nid: 8\n\n`, '{"type":"t","id":"8"}'],
    [SSE, `event: t\ndata: -0\n\n`, '{"type":"t","event":-0}'],
  ];
  for (const [contentType, text, expected] of cases) {
    const { events, texts } = await read(contentType, text);
    assert.equal(texts, [expected], text);
    assert.equal(events, [JSON.parse(expected)], text);
  }
});

test("lastText names arguments as the event of a catalogue does", async () => {
  const { events, texts } = await read(
    SSE,
    'data: {"topic":"torrent_finished","args":["' + "0".repeat(40) +
      '", "1.0"],"kwargs":{"hidden" :false}}\n\n' +
      'data: {"topic":"channel_discovered","args":[{"id":4611686018427387905}]}\n\n',
    { catalogue: tribler712Events },
  );
  assert.equal(texts, [
    `{"type":"torrent_finished","event":{"infohash":"${"0".repeat(40)}","name":"1.0","hidden" :false}}`,
    '{"type":"channel_discovered","event":{"data":{"id":4611686018427387905}}}',
  ]);
  assert.equal(events, texts.map((text) => JSON.parse(text!)));
});

test("lastText stays that of the last event of next() while other events pass", async () => {
  const text = '{"type":"a","event":1.0}\n\n{"type":"events_bookmark","id":"x"}\n{"type":"b"}\n';
  const connection = connect(URL, { ...responding(NDJSON, text), types: ["a"] });
  await connection.next();
  assert.is(connection.lastText, '{"type":"a","event":1.0}');
  assert.is((await connection.next()).done, true);
  assert.is(connection.lastText, '{"type":"a","event":1.0}');
});

const found = defineEvents({
  found: v.object({ id: v.number(), ids: v.array(v.number()), name: v.string() }),
});
const FOUND = '{"id":4611686018427387905,"ids":[1,-9007199254740992,1.5],"name":"9007199254740993"}';

test("connect() gives integers that a double cannot hold as BigInt with bigint, in every dialect", async () => {
  const event = { id: 4611686018427387905n, ids: [1, -9007199254740992n, 1.5], name: "9007199254740993" };
  const cases: [contentType: string, text: string][] = [
    [NDJSON, `{"type":"found","event":${FOUND}}\n`],
    [SSE, `data: {"type":"found","event":${FOUND}}\n\n`],
    [SSE, `data: {"topic":"found","args":[],"kwargs":${FOUND}}\n\n`],
    [SSE, `event: found\ndata: ${FOUND}\n\n`],
  ];
  for (const [contentType, text] of cases) {
    for (const options of [{}, { catalogue: found }]) {
      const { events, texts } = await read(contentType, text, { ...options, bigint: true });
      assert.equal(events, [{ type: "found", event }], text);
      assert.ok(texts[0]!.includes(FOUND));
      const plain = await read(contentType, text, options);
      assert.equal(plain.events, [{ type: "found", event: JSON.parse(FOUND) }], text);
    }
  }
});

test("connect() validates the number that a BigInt stands for, and types it as number or bigint", async () => {
  const line = `{"type":"found","event":${FOUND}}\n`;
  const connection = connect(URL, { ...responding(NDJSON, line), catalogue: found, bigint: true });
  for await (const received of connection) {
    if (received.type !== "found") continue;
    const id: number | bigint = received.event.id;
    const ids: (number | bigint)[] = received.event.ids;
    const name: string = received.event.name;
    assert.equal([typeof id, ids.length, name.length], ["bigint", 3, 16]);
    // @ts-expect-error: it may be a BigInt
    const _number: number = received.event.id;
  }
  for await (const received of connect(URL, { ...responding(NDJSON, line), catalogue: found })) {
    if (received.type !== "found") continue;
    const id: number = received.event.id;
    assert.is(id, 4611686018427388000);
  }
  const small = defineEvents({ found: v.looseObject({ id: v.pipe(v.number(), v.maxValue(7)) }) });
  const strict = connect(URL, { ...responding(NDJSON, line), catalogue: small, bigint: true });
  const error: EventsError = await strict.next().then(() => assert.unreachable(), (error) => error);
  assert.is(error.code, "InvalidEvent");
  assert.is((error.event as { event: { id: unknown } }).event.id, 4611686018427387905n);
});

test.run();
