import fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { sseDecoder } from "../../src/client/sse.ts";
import { connect, type ConnectOptions, type Dictionary, EventsError } from "../../src/client/mod.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import * as v from "valibot";
import { within } from "../support/harness.ts";
import { NDJSON, SSE } from "../support/scripted.ts";

const test = suite("client: decode");

const encoder = new TextEncoder();

/** Reads a response of these chunks to its end. */
async function readAll(
  chunks: readonly Uint8Array[],
  contentType: string | undefined,
  options: ConnectOptions = {},
): Promise<{ events: Dictionary[]; error: EventsError | undefined }> {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (next < chunks.length) controller.enqueue(chunks[next++]!);
      else controller.close();
    },
  });
  const response = new Response(
    body,
    contentType === undefined ? {} : { headers: { "Content-Type": contentType } },
  );
  const events: Dictionary[] = [];
  let error: unknown;
  const connection = connect("http://localhost/", { fetch: () => response, reconnect: false, ...options });
  const reading = (async () => {
    for await (const event of connection) events.push(event);
  })();
  await within(reading, "the end").catch((caught) => error = caught);
  assert.ok(error === undefined || error instanceof EventsError, String(error));
  return { events, error: error as EventsError | undefined };
}

/** The bytes, cut at these places. */
function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end));
}

/** Events as any server may send them, with all that JSON and UTF-8 can hold. */
const someEvents: fc.Arbitrary<Dictionary[]> = fc.array(
  fc.record({
    type: fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter((type) =>
      !type.startsWith("events_")
    ),
    event: fc.oneof(
      fc.jsonValue({ maxDepth: 2, stringUnit: "grapheme" }),
      fc.string({ unit: "binary", maxLength: 40 }),
    ),
    id: fc.stringMatching(/^[a-z0-9-]{1,9}$/),
  }),
  { maxLength: 12 },
).map((events) => JSON.parse(JSON.stringify(events)));
const somePlaces = fc.array(fc.nat(), { maxLength: 30 });
const lineEnds = fc.constantFrom("\n", "\r\n");

/** Places to cut at so that every chunk is one byte. */
const everywhere = Array.from({ length: 5000 }, (_, index) => index);

test("connect() yields the events of NDJSON however its bytes are split", async () => {
  await fc.assert(
    fc.asyncProperty(
      someEvents,
      somePlaces,
      lineEnds,
      fc.array(fc.nat(13), { maxLength: 5 }),
      fc.boolean(),
      fc.constantFrom(NDJSON, "application/json", undefined),
      async (events, places, end, beats, hasMark, contentType) => {
        const lines = events.map((event) => JSON.stringify(event));
        for (const beat of beats) lines.splice(beat, 0, ""); // Heartbeats.
        const text = (hasMark && lines.length > 0 ? "\ufeff" : "") + lines.map((line) => line + end).join("");
        assert.equal(await readAll(cutAt(encoder.encode(text), places), contentType), {
          events,
          error: undefined,
        });
      },
    ),
    { numRuns: 300 },
  );
});

test("connect() yields the events of SSE however its bytes are split", async () => {
  await fc.assert(
    fc.asyncProperty(
      someEvents,
      somePlaces,
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.tuple(fc.nat(13), fc.constantFrom(":", ": hello", "id: z", "retry: 1", "")), {
        maxLength: 5,
      }),
      fc.boolean(),
      fc.constantFrom(SSE, "text/event-stream;charset=utf-8"),
      async (events, places, end, others, hasMark, contentType) => {
        const blocks = events.map((event) => {
          return [
            `id: ${event.id}`,
            `data:${JSON.stringify(event, null, 1).replaceAll("\n", `${end}data: `)}`,
          ];
        });
        for (const [at, other] of others) blocks.splice(at, 0, other === "" ? [] : [other]);
        const text = (hasMark ? "\ufeff" : "") +
          blocks.map((lines) => [...lines, ""].map((line) => line + end).join("")).join("");
        assert.equal(await readAll(cutAt(encoder.encode(text), places), contentType), {
          events,
          error: undefined,
        });
      },
    ),
    { numRuns: 300 },
  );
});

test("connect() yields what a channel published, in either format, byte by byte", async () => {
  const channel = createChannel(defineEvents({ note: v.any() }));
  const payloads = [
    "",
    "é漢😀\u2028\u0085\ufeff",
    "\ud800",
    { "__proto__": 1, a: [null, { b: "\r\n" }] },
    0,
    "data: x\n\n",
  ];
  for (const payload of payloads) channel.publish("note", payload);
  for (const format of ["ndjson", "sse"]) {
    const response = await eventsEndpoint(channel).request(`/?since=earliest&follow=false&format=${format}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const { events, error } = await readAll(cutAt(bytes, everywhere), response.headers.get("Content-Type")!);
    assert.is(error, undefined);
    assert.equal(
      JSON.stringify(events.map(({ event }) => event)).replaceAll("\ud800", "\ufffd"),
      JSON.stringify(payloads).replaceAll("\\ud800", "\ufffd"),
    );
    assert.equal(events.map(({ id }) => id), payloads.map((_, index) => `${channel.epoch}-${index + 1}`));
  }
});

test("connect() takes lines of white space in NDJSON for blank", async () => {
  const text = ` \t\r\n{"type":"a"}\n  \n\t\t\n \r\n${" ".repeat(40)}\r\n{"type":"b"}\n \n`;
  for (const places of [[], everywhere]) {
    const { events, error } = await readAll(cutAt(encoder.encode(text), places), NDJSON);
    assert.equal([events, error], [[{ type: "a" }, { type: "b" }], undefined]);
  }
});

test("connect() ignores comment lines, however they are split, also at the end of a stream", async () => {
  const cases: [text: string, types: string[]][] = [
    [':\n:\ndata: {"type":"a"}\n\n:\n:\n', ["a"]],
    [':\n\n: x\n\ndata: {"type":"a"}\n:\n: data: no\n\n\n: y\n', ["a"]],
    ['data: {"type":"a"}\r\n:\r\n\r\n:data: {"type":"no"}\r\n\r\n:\r\n', ["a"]],
    ['id: 1\n:\ndata: {"type":\n: between\ndata: ":\\n:"}\n\n:\n', [":\n:"]],
    [':\nretry: 5\n:\ndata: {"type":"a"}\n\nretry: 7\n:\n', ["a"]],
  ];
  for (const [text, types] of cases) {
    for (const places of [[], everywhere, [1, 2, 5, 9], ...[...text].map((_, at) => [at])]) {
      const { events, error } = await readAll(cutAt(encoder.encode(text), places), SSE);
      assert.equal(
        [events.map(({ type }) => type), error],
        [types, undefined],
        JSON.stringify([text, places]),
      );
    }
  }
});

test("sseDecoder() keeps nothing of the comment lines on a silent stream", () => {
  const decoder = sseDecoder(1000, () => new EventsError("LineTooLong", ""));
  for (let n = 0; n < 10_000; n++) {
    assert.equal(decoder.push(encoder.encode(n % 2 === 0 ? ":\n" : ": a longer comment\n")), []);
  }
  for (let n = 0; n < 10_000; n++) assert.equal(decoder.push(encoder.encode(n === 0 ? ":" : "x")), []);
  assert.is(decoder.rest(), "");
  const frames = decoder.push(encoder.encode('\ndata: {"type":"a"}\n\n'));
  assert.equal(frames.map((frame) => (frame as { data: string }).data), ['{"type":"a"}']);
});

test("connect() ignores a byte order mark at the start, and rejects one elsewhere", async () => {
  const mark = "\ufeff";
  const bytes = encoder.encode(`${mark}{"type":"a"}\n${mark}{"type":"b"}\n`);
  for (const places of [[], everywhere, [16]]) {
    const { events, error } = await readAll(cutAt(bytes, places), NDJSON);
    assert.equal([events, error?.code], [[{ type: "a" }], "InvalidLine"]);
  }
});

test("connect() drops an event that is not terminated at the end of the stream", async () => {
  const cases: [string, string][] = [
    [NDJSON, '{"type":"a"}\n{"type":"b","event":12'],
    [NDJSON, '{"type":"a"}\n{"type":"b"}'],
    [SSE, 'data: {"type":"a"}\n\ndata: {"type":"b"}\n'],
    [SSE, 'data: {"type":"a"}\n\ndata: {"type":"b"}'],
    [SSE, 'data: {"type":"a"}\n\nid: 1'],
  ];
  for (const [contentType, text] of cases) {
    for (const places of [[], everywhere]) {
      const { events, error } = await readAll(cutAt(encoder.encode(text), places), contentType);
      assert.equal([events, error?.code], [[{ type: "a" }], "ConnectionLost"], text);
      assert.match(error!.message, /in the middle of a line/);
    }
  }
});

test("next() rejects with InvalidLine and its beginning for a line that is not a dictionary with a type", async () => {
  const lines = [
    "null",
    "7",
    '"text"',
    "[]",
    "{}",
    '{"type":1}',
    '{"topic":1}',
    "{",
    "nonsense",
    '{"type":"a"} {}',
  ];
  for (const line of [...lines, "x".repeat(500)]) {
    for (const [contentType, text] of [[NDJSON, `${line}\n`], [SSE, `data: ${line}\n\n`]] as const) {
      const before = contentType === NDJSON ? '{"type":"a"}\n' : 'data: {"type":"a"}\n\n';
      const { events, error } = await readAll([encoder.encode(before + text + before)], contentType);
      assert.equal([events, error?.code], [[{ type: "a" }], "InvalidLine"], line);
      assert.ok(error!.message.includes(JSON.stringify(line.slice(0, 80))), error!.message);
      assert.ok(error!.message.length < 300);
    }
  }
});

test("next() rejects with InvalidLine for a block of SSE whose data is white space", async () => {
  for (const data of [" \t", " ".repeat(40)]) {
    const { events, error } = await readAll([encoder.encode(`event: a\ndata: ${data}\n\n`)], SSE);
    assert.equal([events, error?.code], [[], "InvalidLine"]);
  }
});

test("maxLineBytes is the length of the longest line that is accepted, however it is split", async () => {
  const MAX = 100;
  const ofLength = (length: number) => `{"type":"é","event":"${"x".repeat(length - 24)}"}`;
  assert.is(encoder.encode(ofLength(MAX)).length, MAX);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 24, max: MAX }), { maxLength: 4 }),
      fc.integer({ min: 1, max: 3 }),
      somePlaces,
      fc.constantFrom("", "\n", `\n${ofLength(30)}\n`),
      async (lengths, excess, places, after) => {
        const before = lengths.map((length) => ofLength(length) + "\n").join("");
        const good = await readAll(cutAt(encoder.encode(before), places), NDJSON, { maxLineBytes: MAX });
        assert.equal([good.events.length, good.error], [lengths.length, undefined]);
        const bytes = encoder.encode(before + ofLength(MAX + excess) + after);
        const { events, error } = await readAll(cutAt(bytes, places), NDJSON, { maxLineBytes: MAX });
        assert.equal([events.length, error?.code], [lengths.length, "LineTooLong"]);
        assert.match(error!.message, /more than 100 bytes/);
      },
    ),
    { numRuns: 300 },
  );
});

test("maxLineBytes limits a block of SSE, whether it arrives at once, in pieces or in many lines", async () => {
  const before = 'data: {"type":"a"}\n\n';
  const cases = [`data: "${"x".repeat(2000)}"\n\n`, `data: "${"x".repeat(2000)}`, "data: []\n".repeat(400)];
  for (const text of cases) {
    for (const places of [[], everywhere]) {
      const chunks = cutAt(encoder.encode(before + text), places);
      const { events, error } = await readAll(chunks, SSE, { maxLineBytes: 1000 });
      assert.equal([events, error?.code], [[{ type: "a" }], "LineTooLong"]);
    }
  }
});

test("connect() reads a line of many chunks in time linear in its length", async () => {
  // 16 MB in pieces of 64 bytes: a decoder that scans all of it again for each piece takes minutes.
  const piece = encoder.encode("x".repeat(64));
  const chunks = [
    encoder.encode('{"type":"a","event":"'),
    ...Array(250_000).fill(piece),
    encoder.encode('"}\n'),
  ];
  for (const contentType of [NDJSON, SSE]) {
    if (contentType === SSE) chunks[0] = encoder.encode('data: {"type":"a","event":"');
    if (contentType === SSE) chunks[chunks.length - 1] = encoder.encode('"}\n\n');
    const { events, error } = await readAll(chunks, contentType, { maxLineBytes: 20_000_000 });
    assert.is(error, undefined);
    assert.is((events[0]?.event as string).length, 16_000_000);
  }
});

test.run();
