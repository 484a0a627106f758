/**
 * Event streams as the standard defines them (WHATWG HTML, 9.2.5 and 9.2.6): every rule for the decoder of the client, and
 * what the server writes.
 *
 * @module
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import * as v from "valibot";
import type { SseBlock } from "../../src/client/block.ts";
import { sseDecoder } from "../../src/client/sse.ts";
import { connect, type Dictionary, EventsError } from "../../src/client/mod.ts";
import { defineEvents } from "../../src/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { readEventStream, type StandardBlock } from "../support/event_stream.ts";
import { within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("client: event streams");

const encoder = new TextEncoder();

/** What a decoder found in a stream: its blocks, the delay in seconds, and whether a block had begun at the end. */
interface Decoded {
  readonly blocks: readonly StandardBlock[];
  readonly retry: number;
}

/** Decodes a stream whose bytes arrive in these chunks. */
function decode(chunks: readonly Uint8Array[]): Decoded {
  const decoder = sseDecoder(1_000_000, () => new EventsError("LineTooLong", ""));
  const frames = chunks.flatMap((chunk) => decoder.push(chunk)) as SseBlock[];
  const blocks = frames.map(({ event, id, data }) => ({ event, id, data }));
  return { blocks, retry: decoder.retry() };
}

/** What the decoder has to find: a block without data and without an id is no frame, and one without data has none. */
function dueOf(bytes: Uint8Array): Decoded {
  const { blocks, retry } = readEventStream(bytes);
  const due = blocks.map((block) => ({ ...block, data: block.data ?? "" }));
  return { blocks: due.filter(({ id, data }) => data !== "" || id !== undefined), retry: retry / 1000 };
}

/** The bytes whole, in single bytes, and cut once at every place. */
function* splits(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes];
  yield Array.from(bytes, (byte) => Uint8Array.of(byte));
  for (let at = 1; at < bytes.length; at++) yield [bytes.slice(0, at), bytes.slice(at)];
}

/** A block with this data alone. */
const data = (text: string): StandardBlock => ({ event: undefined, id: undefined, data: text });

/** Streams, each for a rule, and the blocks that they dispatch. `|` stands for each of the three line ends in turn. */
// deno-fmt-ignore
const RULES: readonly (readonly [rule: string, stream: string, blocks: readonly StandardBlock[], retry?: number])[] = [
  ["one line of data", "data: a||", [data("a")]],
  ["several lines of data are joined by LF", "data: a|data: b|data: c||", [data("a\nb\nc")]],
  ["an empty line of data at the beginning", "data:|data: b||", [data("\nb")]],
  ["an empty line of data in the middle and at the end", "data: a|data|data: c|data:||", [data("a\n\nc\n")]],
  ["data without a value dispatches nothing that could be JSON", "data||data:||data: ||data: x||", [data("x")]],
  ["two fields of data without a value are a line feed", "data|data||", [data("\n")]],
  ["exactly one space after the colon is dropped", "data:a||data: a||data:  a||data:\ta||", [data("a"), data("a"), data(" a"), data("\ta")]],
  ["a value keeps colons and the spaces behind it", "data: a: b:c ||", [data("a: b:c ")]],
  ["a field name is taken literally, with its case and spaces", "Data: no|data : no| data: no|datas: no|dat: no|data: a||", [data("a")]],
  ["unknown fields are ignored", "color: blue|x|data: a|:|y:z||", [data("a")]],
  ["an unknown field that begins as a known one is none", "datax: no|id: 1||dataset|id: 2||events: x|ids: 3|retrying: 4|data: a||", [{ event: undefined, id: "1", data: "" }, { event: undefined, id: "2", data: "" }, data("a")]],
  ["comments are ignored wherever they stand", ": c|data: a|:data: b|: |:|data: c|| :||data: d||", [data("a\nc"), data("d")]],
  ["a block of comments dispatches nothing", ": only||:||data: a||", [data("a")]],
  ["further blank lines dispatch nothing", "||data: a||||data: b|||", [data("a"), data("b")]],
  ["the last event field counts", "event: x|event: y|data: a||", [{ event: "y", id: undefined, data: "a" }]],
  ["an empty event field is none", "event: x|event|data: a||event:|data: b||", [data("a"), data("b")]],
  ["the name of an event does not persist", "event: x|data: a||data: b||", [{ event: "x", id: undefined, data: "a" }, data("b")]],
  ["an event field without data dispatches nothing and does not persist", "event: x||data: b||", [data("b")]],
  ["fields count in any order", "data: a|id: 1|event: x||id: 2|event: y|data: b||", [{ event: "x", id: "1", data: "a" }, { event: "y", id: "2", data: "b" }]],
  ["an id without data moves the cursor", "id: 1||data: a||", [{ event: undefined, id: "1", data: "" }, data("a")]],
  ["the last id field counts", "id: 1|id: 2|data: a||", [{ event: undefined, id: "2", data: "a" }]],
  ["an id without a value resets the cursor", "id|data: a||id:||", [{ event: undefined, id: "", data: "a" }, { event: undefined, id: "", data: "" }]],
  ["an id with U+0000 is ignored", "id: 1\0|data: a||id: 2|id: \0|data: b||", [data("a"), { event: undefined, id: "2", data: "b" }]],
  ["U+0000 is kept elsewhere", "event: \0|data: \0||", [{ event: "\0", id: undefined, data: "\0" }]],
  ["retry is digits alone", "retry: 7|retry: 8x|retry: -9|retry: 1.5|retry: |retry|retry:  6|retry: 0x5||", [], 0.007],
  ["the last retry counts, also in a block that has begun", "retry: 7|data: a||retry:2500|", [data("a")], 2.5],
  ["retry may be 0 and have zeros before it", "retry: 9||retry: 00||", [], 0],
  ["a block that has begun is discarded at the end", "data: a||data: b|id: 1|", [data("a")]],
  ["a line that has begun is discarded at the end", "data: a||data: b", [data("a")]],
  ["a blank line that has not ended is none", "data: a|data: b", []],
  ["one byte order mark at the start is dropped", "\ufeffdata: a||", [data("a")]],
  ["the second of two byte order marks is part of a name", "\ufeff\ufeffdata: no|data: a||", [data("a")]],
  ["a byte order mark elsewhere is kept", "data: \ufeffa||\ufeffdata: no||data: b||", [data("\ufeffa"), data("b")]],
  ["a byte order mark before a comment or a blank line", "\ufeff: c||data: a||", [data("a")]],
  ["characters of every length", "data: é漢😀\u{10ffff}||", [data("é漢😀\u{10ffff}")]],
  ["no other character ends a line", "data: a\u2028b\u2029c\u0085d\u000be\u000cf||", [data("a\u2028b\u2029c\u0085d\u000be\u000cf")]],
];

test("sseDecoder() follows every rule of the standard, wherever the bytes are split", () => {
  for (const [rule, text, blocks, retry = 0] of RULES) {
    for (const end of ["\n", "\r\n", "\r"]) {
      const stream = text.replaceAll("|", end);
      const bytes = encoder.encode(stream);
      const due = { blocks: [...blocks], retry };
      assert.equal(dueOf(bytes), due, `${rule}: the algorithm of the standard`);
      for (const chunks of splits(bytes)) {
        const lengths = chunks.length > 2 ? "single bytes" : chunks.map(({ length }) => length);
        assert.equal(decode(chunks), due, `${rule}: ${JSON.stringify(stream)}, cut into ${lengths}`);
      }
    }
  }
});

test("sseDecoder() takes LF, CR, and CR with LF for one line end each, in any mixture", () => {
  const streams: [string, StandardBlock[]][] = [
    ["data: a\r\rdata: b\n\ndata: c\r\n\r\n", [data("a"), data("b"), data("c")]],
    ["data: a\n\rdata: b\r\n\ndata: c\r\r\n", [data("a"), data("b"), data("c")]],
    ["data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\n\r", [data("a\nb\nc"), data("d")]],
    ["data: a\r\n", []],
    ["\r\n\n\r\rdata: a\r\n\n", [data("a")]],
  ];
  for (const [stream, blocks] of streams) {
    const bytes = encoder.encode(stream);
    assert.equal(dueOf(bytes).blocks, blocks);
    for (const chunks of splits(bytes)) assert.equal(decode(chunks).blocks, blocks, JSON.stringify(stream));
  }
});

test("sseDecoder() replaces bytes that are not UTF-8 by U+FFFD, also at the borders of chunks", () => {
  const bytes = Uint8Array.from(
    "data: \xff\xc3|\xe6\xbc data: \xed\xa0\x80\n\nda\xc3ta: no\ndata: \xf0\x9f\n\n",
    (char) => {
      return char.charCodeAt(0);
    },
  );
  for (const chunks of splits(bytes)) assert.equal(decode(chunks), dueOf(bytes));
});

/** What streams are made of, and what is mistaken for it. */
// deno-fmt-ignore
const PARTS = [
  "\n", "\r", "\r\n", "\n\n", ":", " ", "data", "event", "id", "retry", "data: a", "event: e", "id: 1", "retry: 50", ": c", "data:", "id:", "\ufeff", "\0", "é", "😀", "7", "x", "datax", " data: a", "\ndata", "\nretry: 1\n",
];

test("sseDecoder() finds what the algorithm of the standard finds, in any text in any chunks", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...PARTS), { maxLength: 40 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (parts, places) => {
        const bytes = encoder.encode(parts.join(""));
        const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) =>
          a - b
        );
        const chunks = ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end));
        assert.equal(decode(chunks), dueOf(bytes));
      },
    ),
    { numRuns: 2000 },
  );
});

test("format=sse writes each event so that the algorithm of the standard dispatches it, with its cursor", async () => {
  const made = makeEndpoint(defineEvents({ "a.b:c/d-e_f": v.any(), hidden: null }), { heartbeat: null });
  const payloads = [
    "line\nline\r\nline\r\rdata: x\n\nid: 9\nevent: x\n\n",
    "\u2028\u2029\u0085\u000b\u000c\0\ufeff",
    " leading",
    ":",
    "",
    { "data: ": "\n", "\r": [null, 0, "\ud800"] },
    "é漢😀",
  ];
  for (const payload of payloads) {
    made.channel.publish("a.b:c/d-e_f", payload);
    made.channel.publish("hidden");
  }
  for (const types of ["*", "a.b*", "hidden"]) {
    const path = `/events?since=earliest&follow=false&bookmarks=true&types=${types}`;
    const sse = await made.app.request(`${path}&format=sse`);
    const { blocks, retry, lastEventId } = readEventStream(new Uint8Array(await sse.arrayBuffer()));
    const ndjson = await (await made.app.request(`${path}&format=ndjson`)).text();
    // Control events have the time of their request.
    const textOf = (line: string) => line.replace(/("type":"events_.*"time":").*/, "$1");
    const lines = ndjson.trimEnd().split("\n");
    assert.equal(blocks.map((block) => textOf(block.data!)), lines.map(textOf));
    for (const { event, id, data } of blocks) {
      const dictionary: Dictionary = JSON.parse(data!);
      assert.equal([event, id], [dictionary.type, dictionary.id]);
    }
    assert.is(retry, 2000);
    assert.is(lastEventId, `${made.channel.epoch}-${made.channel.last}`);
  }
});

test("connect() reads what is no event as InvalidLine, and skips blocks whose data is empty", async () => {
  const read = async (text: string) => {
    const headers = { "Content-Type": "text/event-stream" };
    const types: string[] = [];
    const connection = connect("http://localhost/", {
      fetch: () => new Response(text, { headers }),
      reconnect: false,
    });
    const reading = (async () => {
      for await (const { type } of connection) types.push(type);
    })();
    const error = await within(reading, "the end").catch((error: EventsError) => error.code);
    return [types, connection.lastId, error];
  };
  const good = 'data: {"type":"a"}\n\n';
  assert.equal(await read(`data\n\nid: 1\ndata:\n\n${good}`), [["a"], "1", undefined]);
  assert.equal(await read(`${good}data\ndata\n\n`), [["a"], undefined, "InvalidLine"]);
  assert.equal(await read(`${good}data: Hello\n\n`), [["a"], undefined, "InvalidLine"]);
});

test.run();
