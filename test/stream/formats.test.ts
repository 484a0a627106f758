/**
 * The wire formats: which one a request gets, and its text.
 *
 * @module
 */
import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createFormat, defineEvents } from "../../src/mod.ts";
import { makeEndpoint, withEndpoint } from "../support/endpoint.ts";
import { openWire, until, within } from "../support/harness.ts";

const catalogue = defineEvents({
  "note": v.object({ text: v.string() }),
  "a:b/c.d-e": null,
});

const test = suite("stream: formats");

/** Returns what the endpoint answers to an Accept header: a media type, or the code of an error. */
async function answerTo(accept: string | undefined, query = ""): Promise<string> {
  const { endpoint } = makeEndpoint(catalogue, { heartbeat: null });
  const headers = accept === undefined ? {} : { Accept: accept };
  const response = await endpoint.request(`/?follow=false${query}`, { headers });
  if (response.status !== 200) return `${response.status} ${(await response.json()).error.code}`;
  assert.is(response.headers.get("vary"), "Accept");
  await response.body?.cancel();
  return response.headers.get("content-type")!;
}

test("GET /events answers the media type that Accept prefers, or 406", async () => {
  const answers: [accept: string | undefined, answer: string][] = [
    [undefined, "application/x-ndjson"],
    ["", "application/x-ndjson"],
    ["*/*", "application/x-ndjson"],
    ["application/*", "application/x-ndjson"],
    ["text/*", "text/event-stream"],
    ["application/x-ndjson", "application/x-ndjson"],
    ["application/jsonl", "application/jsonl"],
    ["application/ndjson", "application/ndjson"],
    ["APPLICATION/NDJSON", "application/ndjson"],
    ["text/event-stream", "text/event-stream"],
    ["Text/Event-Stream; charset=utf-8", "text/event-stream"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/x-ndjson"],
    ["text/event-stream, */*;q=0.1", "text/event-stream"],
    ["application/x-ndjson;q=0.5, text/event-stream", "text/event-stream"],
    ["application/x-ndjson;q=0.5, text/event-stream;q=0.4", "application/x-ndjson"],
    ["text/event-stream;q=0.4,application/jsonl;q=0.400", "application/jsonl"],
    ["application/x-ndjson;q=0, */*", "application/jsonl"],
    ["application/*;q=0, */*;q=0.1", "text/event-stream"],
    ["*/*;q=0, text/event-stream", "text/event-stream"],
    ["application/*;q=0.9, application/x-ndjson;q=0.1, application/jsonl;q=0.1", "application/ndjson"],
    ['application/json;a="x, text/html;q=1", text/event-stream', "text/event-stream"],
    ['text/event-stream;a=";q=0.3", application/x-ndjson;q=0.5', "text/event-stream"],
    ['text/event-stream;a="\\";q=0";q=0.5, application/jsonl;q=0.4', "text/event-stream"],
    ['application/jsonl, text/event-stream;a="never closed, */*', "application/jsonl"],
    ["text/event-stream;q = 0.5, application/jsonl;Q=0.6", "application/jsonl"],
    ["text/html", "406 NotAcceptable"],
    ["application/json", "406 NotAcceptable"],
    ["text/event-stream;q=0", "406 NotAcceptable"],
    ["*/*;q=0.0", "406 NotAcceptable"],
    ["text/event-stream;q=2", "406 NotAcceptable"],
    ["nonsense", "406 NotAcceptable"],
    [",;,", "406 NotAcceptable"],
  ];
  for (const [accept, answer] of answers) assert.is(await answerTo(accept), answer, `Accept: ${accept}`);
});

test("format overrides Accept, and NDJSON keeps the name that Accept prefers", async () => {
  assert.is(await answerTo("text/event-stream", "&format=ndjson"), "application/x-ndjson");
  assert.is(await answerTo("application/jsonl, text/event-stream", "&format=ndjson"), "application/jsonl");
  assert.is(await answerTo("application/x-ndjson", "&format=sse"), "text/event-stream");
  assert.is(await answerTo("text/html", "&format=sse"), "text/event-stream");
  assert.is(await answerTo("*/*", "&format="), "application/x-ndjson");
  assert.is(await answerTo("*/*", "&format=xml"), "400 InvalidParameter");
});

test("GET /events lists every media type in its 406", async () => {
  const response = await makeEndpoint(catalogue, { heartbeat: null }).endpoint.request("/", {
    headers: { Accept: "image/png" },
  });
  assert.is(response.status, 406);
  assert.is(response.headers.get("vary"), "Accept");
  const { error } = await response.json();
  for (
    const name of ["application/x-ndjson", "application/jsonl", "application/ndjson", "text/event-stream"]
  ) {
    assert.ok(error.message.includes(name), error.message);
  }
});

test("GET /events shortens long parameters and headers in its errors", async () => {
  const long = "image/png,".repeat(1000);
  const { endpoint } = makeEndpoint(catalogue, { heartbeat: null });
  const answers = [
    await endpoint.request("/", { headers: { Accept: long } }),
    await endpoint.request("/", { headers: { "Last-Event-ID": long } }),
    ...await Promise.all(["format", "follow", "bookmarks", "since", "types"].map((name) => {
      return endpoint.request(`/?${name}=${long}`);
    })),
  ];
  for (const answer of answers) {
    assert.ok(answer.status >= 400);
    assert.ok((await answer.text()).length < 1000);
  }
});

test("GET /events answers any Accept header with a stream or 406", async () => {
  const part = fc.constantFrom(
    "text",
    "*",
    "/",
    "event-stream",
    ";",
    "q",
    "=",
    "0.5",
    ",",
    '"',
    "\\",
    " ",
    "1",
    "x-ndjson",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 20 }), async (parts) => {
      const answer = await answerTo(parts.join("").trim());
      assert.match(answer, /^(application\/|text\/event-stream|406 NotAcceptable)/);
    }),
    { numRuns: 1000 },
  );
});

test("negotiate() reads an Accept header of 60 KB within half a second", async () => {
  // As long as an HTTP/2 server accepts, and of what makes patterns backtrack.
  for (const accept of ['"' + '\\"'.repeat(30_000) + "\\", '"\\'.repeat(30_000), ",".repeat(60_000)]) {
    const start = performance.now();
    const { endpoint } = makeEndpoint(catalogue, { heartbeat: null });
    const response = await endpoint.request("/", { headers: { Accept: accept } });
    assert.is(response.status, 406);
    const ms = performance.now() - start;
    assert.ok(ms < 500, `${ms} ms`);
  }
});

test("format=sse sends retry in the first block, and in each block the name, the dictionary and the id", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { heartbeat: null });
  const ids = [channel.publish("note", { text: "line\nbreak \u2028 \ud800" }), channel.publish("a:b/c.d-e")];
  const [note, other] = channel.read(0, 1e6).entries;
  const response = await endpoint.request("/?since=earliest&follow=false&format=sse");
  const text = await response.text();
  const [start, ...rest] = text.split("\n\n");
  const first =
    `^retry: 2000\nevent: events_start\ndata: \\{"type":"events_start".*\\}\nid: ${channel.epoch}-0$`;
  assert.match(start!, new RegExp(first));
  assert.equal(rest, [
    `event: note\ndata: ${note!.json}\nid: ${ids[0]}`,
    `event: a:b/c.d-e\ndata: ${other!.json}\nid: ${ids[1]}`,
    "",
  ]);
  assert.ok(note!.json.includes("line\\nbreak \\u2028 \ufffd"));
});

test("format=sse sends the same text of an event as NDJSON", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { heartbeat: null });
  for (const text of ["a", "é😀", "\u0085"]) channel.publish("note", { text });
  const ndjson = await (await endpoint.request("/?since=earliest&follow=false")).text();
  const sse = await (await endpoint.request("/?since=earliest&follow=false&format=sse")).text();
  const lines = ndjson.split("\n").slice(1, -1);
  const data = [...sse.matchAll(/^data: (.*)$/gm)].slice(1).map(([, json]) => json);
  assert.is(lines.length, 3);
  assert.equal(data, lines);
});

test("format=sse sends heartbeats as comment lines, which end no block", async () => {
  await withEndpoint(catalogue, { heartbeat: 0.02 }, async ({ port }) => {
    const wire = await openWire(port);
    wire.write("GET /events?format=sse HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => wire.received().split(":\n").length > 3, "three heartbeats");
    assert.is(wire.received().split("\n\n").length, 2, "the block of events_start, and the rest");
    wire.socket.destroy();
  });
});

const tsv = createFormat({
  name: "tsv",
  mediaType: "text/tab-separated-values",
  preamble: "type\tpayload\n",
  event: ({ type, payload = "" }) => `${type}\t${payload}\n`.repeat(payload.length % 3 + 1),
  control: ({ type, json }) => type === "events_lost" ? `lost\t${json}\n` : "",
});

test("createFormat() makes a format that wireFormat uses whatever Accept prefers", async () => {
  const { channel, endpoint } = makeEndpoint(catalogue, { wireFormat: tsv });
  channel.publish("note", { text: "é\ud800" });
  channel.publish("a:b/c.d-e");
  channel.publish("note", { text: "12" });
  const headers = { Accept: "text/event-stream" };
  const response = await endpoint.request("/?since=earliest&follow=false&format=sse", { headers });
  assert.is(response.headers.get("content-type"), "text/tab-separated-values");
  const notes = ['note\t{"text":"é\ufffd"}\n', 'note\t{"text":"12"}\n'];
  const lines = [notes[0]!.repeat(14 % 3), "a:b/c.d-e\t\n", notes[1]!.repeat(13 % 3 + 1)];
  assert.is(await response.text(), "type\tpayload\n" + lines.join(""));
  assert.is(endpoint.stats().formats["tsv"]!.subscribers, 0);
});

test("types keeps events whole in a format whose events have different numbers of lines", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ isNote: fc.boolean(), text: fc.string({ unit: "grapheme", maxLength: 5 }) })),
      async (events) => {
        const { channel, endpoint } = makeEndpoint(catalogue, { wireFormat: tsv });
        const expected = events.flatMap(({ isNote, text }) => {
          channel.publish(...(isNote ? ["note", { text }] : ["a:b/c.d-e"]) as ["note", { text: string }]);
          // Line ends of some readers are escaped.
          const payload = JSON.stringify({ text }).replace(
            /[\u0085\u2028\u2029]/g,
            (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, "0")}`,
          );
          return isNote ? [`note\t${payload}\n`.repeat(payload.length % 3 + 1)] : [];
        });
        const response = await endpoint.request("/?since=earliest&follow=false&types=note");
        assert.is(await response.text(), "type\tpayload\n" + expected.join(""));
      },
    ),
    { numRuns: 100, examples: [[[{ isNote: true, text: "\u2028" }]]] },
  );
});

test("wireFormat omits empty control events, and reports an event without text to onError()", async () => {
  const problems: unknown[] = [];
  const silent = createFormat({ name: "silent", mediaType: "text/plain", event: () => "" });
  const { channel, endpoint } = makeEndpoint(catalogue, {
    wireFormat: silent,
    onError: (error) => problems.push(error),
  });
  channel.publish("a:b/c.d-e");
  const response = await endpoint.request("/?since=earliest&follow=false");
  const failure = await response.text().then(() => undefined, (error: unknown) => error);
  assert.ok(failure !== undefined, "it is cut off");
  assert.match(String(problems[0]), "the wire format silent wrote nothing for a a:b/c.d-e");
});

test("wireFormat sends the first event at once without a preamble and events_start", async () => {
  const bare = createFormat({
    name: "bare",
    mediaType: "text/plain",
    event: ({ type }) => `${type}\n`,
    control: () => "",
  });
  await withEndpoint(catalogue, { wireFormat: bare }, async ({ url, channel, endpoint }) => {
    const opening = fetch(`${url}/events`); // On Bun the headers are sent with the first byte.
    await until(() => endpoint.stats().subscribers === 1, "the stream is open");
    channel.publish("a:b/c.d-e");
    const response = await within(opening, "the headers");
    const reader = response.body!.getReader();
    const { value } = await within(reader.read(), "the event");
    assert.is(new TextDecoder().decode(value), "a:b/c.d-e\n");
    await reader.cancel();
  });
});

test("eventsEndpoint() rejects an unknown dialect, and a dialect beside a wireFormat", () => {
  assert.throws(
    () => makeEndpoint(catalogue, { dialect: "9" as "8" }),
    /^dialect must be one of .*, not "9"$/,
  );
  assert.throws(() => makeEndpoint(catalogue, { dialect: "8", wireFormat: tsv }), /leave one out/);
});

test.run();
