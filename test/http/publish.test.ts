import * as fc from "fast-check";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  createChannel,
  defineEvents,
  type EndpointOptions,
  type EventsEndpoint,
  eventsEndpoint,
  type MemoryChannel,
} from "../../src/mod.ts";
import { openLines, openWire, serving, until, type Wire, within } from "../support/harness.ts";

const catalogue = defineEvents({
  tick: v.object({ n: v.number() }),
  any: v.any(),
  note: v.looseObject({ text: v.string() }),
  words: v.array(v.string()),
  closed: null,
});
type Schemas = typeof catalogue.schemas;

const JSON_TYPE = "application/json";
const NDJSON = "application/x-ndjson";
const MIB = 1024 * 1024;

const test = suite("publish");

/** What a server answered to a `POST`. */
interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A server with an endpoint that can be published to. */
interface Publisher {
  readonly channel: MemoryChannel<Schemas>;
  readonly endpoint: EventsEndpoint;
  readonly port: number;
  readonly url: string;
  /** Requests that have come to the endpoint, and those it is done with. */
  readonly requests: { begun: number; done: number };
  /** What the endpoint left to the application to handle. */
  readonly problems: unknown[];
  post(body: string | Uint8Array | ReadableStream, contentType?: string): Promise<Answer>;
}

/** Serves an endpoint while `use` runs. */
async function publishing(
  use: (server: Publisher) => Promise<void>,
  options: EndpointOptions<Schemas> & { history?: { bytes: number } } = {},
): Promise<void> {
  const { history, ...endpointOptions } = options;
  const channel = createChannel(catalogue, history === undefined ? {} : { history });
  const requests = { begun: 0, done: 0 };
  const problems: unknown[] = [];
  const app = new Hono();
  app.use(async (_, next) => {
    requests.begun++;
    await next();
    requests.done++;
  });
  // No heartbeat within any wait: each would let it begin anew.
  const endpoint = eventsEndpoint(channel, { heartbeat: 60, ...endpointOptions });
  app.route("/events", endpoint);
  app.onError((error, c) => {
    problems.push(error);
    return c.text("the application has to handle this", 500);
  });
  await serving(app, async (url, port) => {
    const post = async (body: string | Uint8Array | ReadableStream, contentType: string = JSON_TYPE) => {
      const init = {
        method: "POST",
        // As bytes, so that no runtime adds a content type of its own.
        body: (typeof body === "string" ? new TextEncoder().encode(body) : body) as BodyInit,
        headers: contentType === "" ? {} : { "Content-Type": contentType },
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
      };
      const response = await within(fetch(`${url}/events`, init), "an answer", 30_000);
      return { status: response.status, text: await within(response.text(), "the answer's body") };
    };
    await use({ channel, endpoint, port, url: `${url}/events`, requests, problems, post });
  });
}

/** The faults that an answer tells, each as its index and its path. */
function faultsIn({ status, text }: Answer): string[] {
  assert.is(status, 400, text);
  const { error } = JSON.parse(text);
  assert.is(error.handled, true);
  assert.is(error.code, "InvalidEvent");
  assert.type(error.message, "string");
  assert.equal(Object.keys(error), ["handled", "code", "message", "details"]);
  for (const fault of error.details) {
    assert.equal(Object.keys(fault), ["index", "path", "message"]);
    assert.ok(Number.isInteger(fault.index) && fault.index >= 0);
    assert.type(fault.path, "string");
    assert.ok(fault.message.length > 0);
  }
  return error.details.map(({ index, path }: { index: number; path: string }) => `${index} ${path}`);
}

function messageOf({ text }: Answer): string {
  return JSON.parse(text).error.details[0].message;
}

function codeOf({ text }: Answer): string {
  return JSON.parse(text).error.code;
}

/** The JSON of the payloads published so far. */
function published(channel: MemoryChannel<Schemas>): string[] {
  return channel.read(channel.first - 1, Infinity).entries.map((entry) =>
    /^\{"type":"\w+"(?:,"event":(.*))?,"id":"[^"]+","time":"[^"]+"\}$/.exec(entry.json)?.[1] ?? ""
  );
}

function accepted(channel: MemoryChannel<Schemas>, count: number): Answer {
  return { status: 202, text: `{"accepted":${count},"last_id":"${channel.epoch}-${channel.last}"}` };
}

/** The head of a request, for a bare socket. */
function head(contentType: string, ...more: string[]): string {
  const lines = ["POST /events HTTP/1.1", "Host: localhost", `Content-Type: ${contentType}`, ...more];
  return lines.join("\r\n") + "\r\n\r\n";
}

async function statusOn(wire: Wire): Promise<number> {
  await until(() => /^HTTP\/1\.1 \d{3} [^]*\r\n\r\n/.test(wire.received()), "an answer arrives");
  return Number(wire.received().slice(9, 12));
}

/** Sends bytes so that each one is on its way before the next one is handed over. */
async function trickle(wire: Wire, bytes: Uint8Array): Promise<void> {
  wire.socket.setNoDelay(true);
  for (const byte of bytes) {
    await new Promise<void>((resolve) => wire.socket.write(Uint8Array.of(byte), () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("one dictionary: 202, how many, and the id of the last", () =>
  publishing(async ({ channel, post, url }) => {
    const response = await fetch(url, {
      method: "POST",
      body: '{"type":"tick","event":{"n":1}}',
      headers: { "Content-Type": JSON_TYPE },
    });
    assert.is(response.status, 202);
    assert.match(response.headers.get("content-type")!, /^application\/json/);
    assert.is(await response.text(), `{"accepted":1,"last_id":"${channel.epoch}-1"}`);
    assert.equal(await post('{"event":{"n":2},"type":"tick"}'), accepted(channel, 1));
    assert.equal(await post(' \n\t{ "type" :\r\n"closed" } \n'), accepted(channel, 1));
    assert.equal(published(channel), ['{"n":1}', '{"n":2}', ""]);
  }));

test("an array of dictionaries is one batch, in its order", () =>
  publishing(async ({ channel, post }) => {
    const body = [{ type: "tick", event: { n: 1 } }, { type: "closed" }, { type: "any", event: [null] }];
    assert.equal(await post(JSON.stringify(body)), accepted(channel, 3));
    assert.is(channel.last, 3);
    assert.equal(published(channel), ['{"n":1}', "", "[null]"]);
    assert.equal(await post('[{"type":"closed"}]'), accepted(channel, 1));
  }));

test("what was published is streamed under the id that the answer told", () =>
  publishing(async ({ endpoint, url, post }) => {
    const stream = await openLines(url);
    const start = await stream.event();
    assert.is(start.type, "events_start");
    const { text } = await post('[{"type":"tick","event":{"n":1}},{"type":"closed"}]');
    const [tick, closed] = await stream.events(2);
    assert.equal([tick!.type, tick!.event, closed!.type, closed!.event], [
      "tick",
      { n: 1 },
      "closed",
      undefined,
    ]);
    assert.is(closed!.id, JSON.parse(text).last_id);
    await stream.close();
    await until(() => endpoint.stats().subscribers === 0, "the stream is over");
  }));

test("NDJSON: one dictionary a line, under each of its names", () =>
  publishing(async ({ channel, post }) => {
    const body = '{"type":"tick","event":{"n":1}}\n{"type":"closed"}\n';
    for (
      const type of [NDJSON, "application/jsonl", "application/ndjson", "Application/X-NDJSON; charset=utf-8"]
    ) {
      assert.equal(await post(body, type), accepted(channel, 2), type);
    }
    assert.is(channel.last, 8);
  }));

test("NDJSON: blank lines, CRLF, a missing last line end and a byte order mark do no harm", () =>
  publishing(async ({ channel, post }) => {
    const [a, b] = ['{"type":"tick","event":{"n":1}}', '{"type":"closed"}'];
    const bodies = [
      `${a}\n${b}`,
      `\n\n${a}\n\n \t\n${b}\n\n`,
      `${a}\r\n${b}\r\n`,
      `\r\n${a}\r\n\r\n${b}`,
      `\ufeff${a}\n${b}\n`,
      `\ufeff\n${a}\n${b}\n`,
      ` ${a} \n\t${b}\t\n`,
    ];
    for (const body of bodies) {
      assert.equal(await post(body, NDJSON), accepted(channel, 2), JSON.stringify(body));
    }
    assert.equal(await post(`${a}\r${b}`, NDJSON).then(faultsIn), ["0 "], "a CR alone ends no line");
    assert.equal(await post(`${a}${b}`, NDJSON).then(faultsIn), ["0 "]);
    assert.equal(
      await post(`${a}\n\ufeff${b}\n`, NDJSON).then(faultsIn),
      ["1 "],
      "a BOM only at the very start",
    );
    assert.is(channel.last, bodies.length * 2);
  }));

test("NDJSON: what other readers take for line ends stays in its string", () =>
  publishing(async ({ channel, post }) => {
    const texts = ["a\u2028b", "a\u2029b", "a\u0085b"];
    const body = texts.map((text) => `{"type":"note","event":{"text":"${text}"}}`).join("\n");
    assert.equal(await post(body, NDJSON), accepted(channel, 3));
    assert.equal(published(channel).map((json) => JSON.parse(json).text), texts);
  }));

test("NDJSON: a line is blank when it holds nothing or JSON's white space", () =>
  publishing(async ({ channel, post }) => {
    for (const line of ["\u00a0", "\u2003", "\f", "\v", "\u2028", "\ufeff"]) {
      const answer = await post(`{"type":"closed"}\n${line}\n`, NDJSON);
      assert.equal(faultsIn(answer), ["1 "], JSON.stringify(line));
    }
    assert.is(channel.last, 0);
  }));

test("a byte order mark at the head of a document is ignored, and one anywhere else is not", () =>
  publishing(async ({ channel, post }) => {
    assert.equal(await post('\ufeff{"type":"closed"}'), accepted(channel, 1));
    assert.equal(await post('\ufeff\ufeff{"type":"closed"}').then(faultsIn), ["0 "]);
    assert.equal(await post('{"type":"closed"}\ufeff').then(faultsIn), ["0 "]);
    assert.equal(await post('{"type":"note","event":{"text":"\ufeff"}}'), accepted(channel, 1));
    assert.equal(JSON.parse(published(channel)[1]!), { text: "\ufeff" });
  }));

test("every fault of a batch is told with its place, and nothing is published", () =>
  publishing(async ({ channel, post }) => {
    const good = '{"type":"tick","event":{"n":1}}';
    await post(good);
    const lines: [line: string, faults: string[]][] = [
      [good, []],
      ['{"type":', [""]],
      ['{"type":"tick","event":{"n":"x"}}', ["event.n"]],
      ["[]", [""]],
      ['{"type":"nope"}', ["type"]],
      ['{"type":"closed","event":{}}', ["event"]],
      ['{"type":"closed","id":"x","time":"y"}', ["id", "time"]],
      ['{"event":1}', ["type"]],
      ["null", [""]],
      ['"closed"', [""]],
      ['{"type":7}', ["type"]],
      ['{"type":"tick"}', ["event"]],
      ['{"type":"words","event":["a",1,"b",null]}', ["event.1", "event.3"]],
      ['{"type":"events_start","event":{}}', ["type"]],
      ['{"type":"any","event":{"a":{"b":[9007199254740993]}}}', ["event.a.b.0"]],
      [good, []],
    ];
    const expected = lines.flatMap(([, paths], index) => paths.map((path) => `${index} ${path}`));
    const answer = await post(lines.map(([line]) => line).join("\n"), NDJSON);
    assert.equal(faultsIn(answer), expected);
    assert.match(JSON.parse(answer.text).error.message, new RegExp(`the first of ${expected.length} issues`));
    const readable = lines.filter(([line]) => line !== '{"type":');
    assert.equal(
      faultsIn(await post(`[${readable.map(([line]) => line).join(",")}]`)),
      readable.flatMap(([, paths], index) => paths.map((path) => `${index} ${path}`)),
    );
    assert.is(channel.last, 1);
  }));

test("blank lines are not counted: an index counts dictionaries", () =>
  publishing(async ({ post }) => {
    assert.equal(faultsIn(await post('\n\n{"type":"closed"}\n\n{"type":"nope"}\n', NDJSON)), ["1 type"]);
    assert.equal(faultsIn(await post('{"type":"nope"}')), ["0 type"]);
  }));

test("every fault of one dictionary is told, whatever else is wrong with it", () =>
  publishing(async ({ post }) => {
    const cases: [body: string, faults: string[]][] = [
      ['{"type":"tick","event":{"n":"x"},"id":"1"}', ["0 event.n", "0 id"]],
      ['{"type":"nope","time":"1"}', ["0 time", "0 type"]],
      ['{"type":"words","event":[9007199254740993,"a",null]}', ["0 event.0", "0 event.2"]],
    ];
    for (const [body, expected] of cases) {
      assert.equal([...new Set(faultsIn(await post(body)))].sort(), expected, body);
    }
  }));

test("what is no dictionary is refused", () =>
  publishing(async ({ channel, post }) => {
    for (const body of ["null", "true", "7", '"closed"', "[[]]", "[null]", '[[{"type":"closed"}]]']) {
      const answer = await post(body);
      assert.equal(faultsIn(answer), ["0 "], body);
      assert.match(messageOf(answer), /must be a dictionary/);
    }
    assert.equal(faultsIn(await post('[{"type":"closed"},null]')), ["1 "]);
    assert.equal(faultsIn(await post('[{"type":"closed"}]', NDJSON)), ["0 "], "a line is one dictionary");
    assert.equal(faultsIn(await post("{}")), ["0 type"]);
    assert.is(channel.last, 0);
  }));

test("what is not JSON is refused", () =>
  publishing(async ({ channel, post }) => {
    const bodies = [
      "closed",
      "{",
      '{"type":"closed"',
      '{"type":"closed"}}',
      '{"type":"closed",}',
      "{'type':'closed'}",
      '{type:"closed"}',
      '{"type":"closed"}{"type":"closed"}',
      '{"type":"closed"}\n{"type":"closed"}',
      '{"type":"any","event":NaN}',
      '{"type":"any","event":01}',
      '{"type":"any","event":+1}',
      '{"type":"any","event":.5}',
      '{"type":"any","event":1.}',
      '{"type":"any","event":0x10}',
      '{"type":"any","event":undefined}',
      '{"type":"note","event":{"text":"a\tb"}}',
      '{"type":"note","event":{"text":"\0"}}',
      '{"type":"note","event":{"text":"\\x41"}}',
      '{"type":"closed"}\0',
      '{"type":"closed"} // done',
      "\u00a0",
    ];
    for (const body of bodies) {
      const answer = await post(body);
      assert.equal(faultsIn(answer), ["0 "], body);
      assert.match(messageOf(answer), /not JSON/);
    }
    assert.is(channel.last, 0);
  }));

test("an empty batch and an empty body are refused", () =>
  publishing(async ({ channel, post, port }) => {
    for (
      const [body, type] of [["[]", JSON_TYPE], ["", NDJSON], ["\n \r\n\n", NDJSON], [
        "\ufeff",
        NDJSON,
      ]] as const
    ) {
      const answer = await post(body, type);
      assert.equal(faultsIn(answer), ["0 "]);
      assert.match(messageOf(answer), /holds no event/);
    }
    for (const body of ["", " ", "\n"]) assert.equal(faultsIn(await post(body)), ["0 "]);
    const wire = await openWire(port);
    wire.write(head(JSON_TYPE)); // Neither a length nor chunks: by HTTP a request without a body.
    assert.is(await statusOn(wire), 400);
    wire.socket.destroy();
    assert.is(channel.last, 0);
  }));

test("a dictionary has no key but type and event: id and time are not the publisher's to say", () =>
  publishing(async ({ channel, post }) => {
    for (const key of ["id", "time", "Type", "", "__proto__", "constructor", "0", "a.b"]) {
      const answer = await post(`{"type":"closed",${JSON.stringify(key)}:"x"}`);
      assert.equal(faultsIn(answer), [`0 ${key}`]);
      assert.match(messageOf(answer), /no key but/);
    }
    assert.is(channel.last, 0);
  }));

test("control events, types of nobody and payloads of the wrong kind are refused", () =>
  publishing(async ({ channel, post }) => {
    for (const type of ["events_start", "events_lost", "events_bookmark"]) {
      for (const event of ["", ',"event":{}']) {
        const answer = await post(`{"type":"${type}"${event}}`);
        assert.equal(faultsIn(answer), ["0 type"]);
        assert.match(messageOf(answer), /control event/);
      }
    }
    for (
      const type of ["nope", "", "TICK", "tick ", "__proto__", "constructor", "toString", "t".repeat(10_000)]
    ) {
      const answer = await post(JSON.stringify({ type, event: {} }));
      assert.equal(faultsIn(answer), ["0 type"]);
      assert.match(messageOf(answer), /is not a type of this catalogue/);
      assert.ok(answer.text.length < 1000, "a name is not told at any length");
    }
    for (const type of [null, 7, true, {}, ["closed"]]) {
      assert.equal(faultsIn(await post(JSON.stringify({ type }))), ["0 type"]);
    }
    for (const event of [null, {}, [], "", 0, false]) {
      const answer = await post(JSON.stringify({ type: "closed", event }));
      assert.equal(faultsIn(answer), ["0 event"]);
      assert.match(messageOf(answer), /has no payload/);
    }
    assert.match(messageOf(await post('{"type":"tick"}')), /needs a payload/);
    assert.equal(faultsIn(await post('{"type":"tick","event":null}')), ["0 event"]);
    assert.is(channel.last, 0);
  }));

test("__proto__ is data like any other: it passes, stands in for nothing, and pollutes nothing", () =>
  publishing(async ({ channel, post }) => {
    const event = '{"__proto__":{"polluted":true,"n":1},"constructor":{"prototype":{"polluted":true}},' +
      '"a":{"__proto__":null}}';
    assert.equal(await post(`{"type":"any","event":${event}}`), accepted(channel, 1));
    assert.equal(
      await post(`{"type":"note","event":{"text":"x","__proto__":{"a":1}}}`),
      accepted(channel, 1),
    );
    assert.equal(published(channel), [event, '{"text":"x","__proto__":{"a":1}}']);
    assert.equal(faultsIn(await post('{"type":"tick","event":{"__proto__":{"n":1}}}')), ["0 event.n"]);
    assert.equal(faultsIn(await post('{"__proto__":{"type":"closed"}}')), ["0 __proto__", "0 type"]);
    assert.is(({} as { polluted?: boolean }).polluted, undefined);
    assert.is(channel.last, 2);
  }));

test("64 levels are taken and 65 are not: the dictionary is the first", () =>
  publishing(async ({ channel, post }) => {
    for (const [open, close, step] of [["[", "]", ".0"], ['{"a":', "}", ".a"]] as const) {
      const body = (levels: number, inner: string) =>
        `{"type":"any","event":${open.repeat(levels - 1)}${inner}${close.repeat(levels - 1)}}`;
      assert.equal(await post(body(64, "1")), accepted(channel, 1));
      assert.equal(await post(`[${body(64, "1")}]`), accepted(channel, 1));
      for (const refused of [body(65, "1"), body(64, "[]"), body(64, "{}")]) {
        const answer = await post(refused);
        assert.equal(faultsIn(answer), [`0 event${step.repeat(63)}`]);
        assert.match(messageOf(answer), /nested more than 64 levels/);
      }
      assert.equal(faultsIn(await post(`{"type":"closed"}\n${body(65, "1")}`, NDJSON)), [
        `1 event${step.repeat(63)}`,
      ]);
    }
    assert.is(channel.last, 4);
  }));

test("any depth that fits in a body is refused, and is the server's last trouble with it", () =>
  publishing(async ({ channel, post, problems }) => {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
      for (const levels of [1000, 20_000, 150_000]) {
        const body = `{"type":"any","event":${open.repeat(levels)}1${close.repeat(levels)}}`;
        assert.is(faultsIn(await post(body)).length, 1);
        assert.is(faultsIn(await post(body.slice(0, body.length / 2))).length, 1);
      }
    }
    assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
    assert.equal(problems, []);
  }));

test("an integer that a double cannot hold is refused with its path", () =>
  publishing(async ({ channel, post }) => {
    const good = [
      "9007199254740991",
      "-9007199254740991",
      "0",
      "-0",
      "1e300",
      "-1E+300",
      "0.1",
      "0.12345678901234567890123",
      "12345678901234567890.5",
      "1e-999",
      '"9007199254740993"',
      '"\\"9007199254740993"',
      '{"9007199254740993":"\\\\","x":" 9007199254740993 "}',
      '"\\"100000000000000000000",1e20',
    ];
    for (const number of good) {
      assert.equal(await post(`{"type":"any","event":[${number}]}`), accepted(channel, 1), number);
    }
    const bad = [
      "9007199254740992",
      "9007199254740993",
      "-9007199254740992",
      "-9007199254740993",
      "123456789012345678901234567890",
      "1" + "0".repeat(300),
    ];
    for (const number of bad) {
      const answer = await post(`{"type":"any","event":{"a":[1,{"b":${number}}]}}`);
      assert.equal(faultsIn(answer), ["0 event.a.1.b"], number);
      assert.match(messageOf(answer), /integer that a double cannot hold/);
    }
    assert.equal(faultsIn(await post("[9007199254740993]")), ["0 "]);
    assert.equal([...new Set(faultsIn(await post('{"type":9007199254740993}')))], ["0 type"]);
    assert.equal(
      faultsIn(await post(`{"type":"any","event":"\\"}"}\n{"type":"any","event":${bad[0]}}`, NDJSON)),
      ["1 event"],
    );
    assert.equal(
      faultsIn(
        await post(
          JSON.stringify({ type: "any", event: ['\\"\n'.repeat(150_000), 7] }).replace("7", bad[0]!),
        ),
      ),
      ["0 event.1"],
    );
    assert.is(channel.last, good.length);
  }));

test("a number is not refused for an integer of the same value elsewhere", () =>
  publishing(async ({ post }) => {
    const body = '{"type":"any","event":1e20}\n{"type":"any","event":100000000000000000000}\n';
    assert.equal(faultsIn(await post(body, NDJSON)), ["1 event"]);
  }));

test("an integer that a double cannot hold is told by its own path, however the body is laid out", () =>
  publishing(async ({ post }) => {
    const bad = "9007199254740993";
    const bodies: [event: string, path: string][] = [
      [`{"a":"\\\\","b":${bad}}`, "b"],
      [`{"a":"\\"","b":${bad}}`, "b"],
      [`{"a":{"b":[{},[],{"c":[1,2]},${bad}]}}`, "a.b.3"],
      [`{"a":[[],[${bad}]]}`, "a.1.0"],
      [`{"a":1,"":{"":${bad}}}`, "."],
      [`{"a":1,"\\u0062":${bad}}`, "b"],
      [`{"a" : "x:y" , "b" : [ "," , "]" , ${bad} ] }`, "b.2"],
      [`\n{\r\n\t"a"\n:\n{"b":1},\n"c"\n:\n${bad}\n}`, "c"],
    ];
    for (const [event, path] of bodies) {
      assert.equal(faultsIn(await post(`{"type":"any","event":${event}}`)), [`0 event.${path}`], event);
      assert.equal(faultsIn(await post(`[{"type":"closed"},{"event":${event},"type":"any"}]`)), [
        `1 event.${path}`,
      ]);
    }
    assert.equal(faultsIn(await post(`[[${bad}],{"type":"any","event":${bad}}]`)), ["0 ", "1 event"]);
  }));

test("white space before a colon is no part of the path", () =>
  publishing(async ({ post }) => {
    const event = `{"a":1,"b"${" ".repeat(100)}:9007199254740993}`;
    assert.equal(faultsIn(await post(`{"type":"any","event":${event}}`)), ["0 event.b"]);
  }));

test("an integer that a double cannot hold is found beside a line that is not JSON", () =>
  publishing(async ({ post }) => {
    const body = '{"type":"x\n{"type":"any","event":9007199254740993}\n{"type":"closed"}\n';
    assert.equal(faultsIn(await post(body, NDJSON)), ["0 ", "1 event"]);
  }));

test("a number beyond the range of a double is refused with its path", () =>
  publishing(async ({ channel, post }) => {
    for (const number of ["1e999", "-1e999", "1E400", "1" + "0".repeat(400)]) {
      assert.equal(faultsIn(await post(`{"type":"tick","event":{"n":${number}}}`)), ["0 event.n"], number);
    }
    assert.equal(faultsIn(await post('{"type":"any","event":[1e999,[1e999]]}')), [
      "0 event.0",
      "0 event.1.0",
    ]);
    assert.is(channel.last, 0);
  }));

test("bytes that are not UTF-8 are refused, wherever they stand", () =>
  publishing(async ({ channel, post }) => {
    const sequences = [
      [0xff],
      [0x80],
      [0xc3],
      [0xc3, 0x28],
      [0xc0, 0xaf],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [0xf0, 0x9f, 0x98],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf8, 0x88, 0x80, 0x80, 0x80],
    ];
    const [before, after] = ['{"type":"note","event":{"text":"', '"}}'].map((text) => Buffer.from(text));
    for (const bytes of sequences) {
      for (const body of [[...before!, ...bytes, ...after!], [...before!, ...bytes], bytes]) {
        for (const type of [JSON_TYPE, NDJSON]) {
          const answer = await post(Uint8Array.from(body), type);
          assert.equal(faultsIn(answer), ["0 "]);
          assert.match(messageOf(answer), /not UTF-8/);
        }
      }
    }
    assert.equal(faultsIn(await post(Uint8Array.from(Buffer.from('\ufeff{"type":"closed"}', "utf16le")))), [
      "0 ",
    ]);
    assert.equal(
      faultsIn(await post(Uint8Array.from([...Buffer.from('{"type":"closed"}\n'), 0xff]), NDJSON)),
      ["0 "],
    );
    assert.is(channel.last, 0);
  }));

test("any text comes through: NUL, quotes, line ends, half a surrogate pair as U+FFFD", () =>
  publishing(async ({ channel, post }) => {
    const texts: [json: string, text: string][] = [
      ["\\u0000", "\0"],
      ['\\"\\\\\\/\\b\\f\\n\\r\\t', '"\\/\b\f\n\r\t'],
      ["漢字 😀 \u007f", "漢字 😀 \u007f"],
      ["\\ud83d\\ude00", "😀"],
      ["\\ud83d", "\ufffd"],
      ["\\ude00\\ud83d", "\ufffd\ufffd"],
      ["\\\\ud83d", "\\ud83d"],
    ];
    for (const [json, text] of texts) {
      assert.equal(await post(`{"type":"note","event":{"text":"${json}"}}`), accepted(channel, 1));
      assert.is(JSON.parse(published(channel).at(-1)!).text, text);
    }
  }));

test("of a key that stands twice the last value counts, as for any reader of JSON", () =>
  publishing(async ({ channel, post }) => {
    assert.equal(
      await post('{"type":"nope","type":"tick","event":"x","event":{"n":"x","n":1}}'),
      accepted(channel, 1),
    );
    assert.equal(published(channel), ['{"n":1}']);
  }));

test("a media type or a charset that cannot be read is 415", () =>
  publishing(async ({ channel, post }) => {
    const good = [
      "application/json",
      "APPLICATION/JSON",
      "application/json;charset=utf-8",
      'application/json ; Charset="UTF-8"',
      "application/json; charset=utf8",
      "application/json; profile=x; charset=utf-8",
      "application/x-ndjson; charset=UTF-8",
    ];
    for (const type of good) assert.equal(await post('{"type":"closed"}', type), accepted(channel, 1), type);
    const bad = [
      "",
      "text/plain",
      "text/plain;charset=UTF-8",
      "text/json",
      "text/event-stream",
      "application/json-seq",
      "application/jsonp",
      "application/vnd.api+json",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/octet-stream",
      "*/*",
      "application/*",
      "application/json; charset=iso-8859-1",
      "application/json; charset=utf-16",
      'application/json; charset="utf-16le"',
      "application/x-ndjson; charset=latin1",
      "application/json, application/x-ndjson",
    ];
    for (const type of bad) {
      const answer = await post('{"type":"closed"}', type);
      assert.is(answer.status, 415, type);
      assert.is(codeOf(answer), "UnsupportedMediaType");
      assert.match(answer.text, /application\/json/);
      assert.match(answer.text, /application\/x-ndjson/);
    }
    assert.is(channel.last, good.length);
  }));

test("a body of the size limit is taken, and one byte more is 413", () =>
  publishing(async ({ channel, post }) => {
    const body = (bytes: number) => '{"type":"note","event":{"text":"é"}}'.padEnd(bytes - 1);
    assert.is(new TextEncoder().encode(body(1000)).length, 1000);
    assert.equal(await post(body(1000)), accepted(channel, 1));
    assert.equal(
      await post(body(1000).trim() + "\n".repeat(1000 - body(0).length - 1), NDJSON),
      accepted(channel, 1),
    );
    const answer = await post(body(1001));
    assert.is(answer.status, 413);
    assert.is(codeOf(answer), "PayloadTooLarge");
    assert.match(answer.text, /1000 bytes/);
    assert.equal(await post(body(1000)), accepted(channel, 1));
    assert.is(channel.last, 3);
  }, { maxBodyBytes: 1000 }));

test("the limit is 1 MiB where nothing else is said", () =>
  publishing(async ({ channel, post }) => {
    const body = (bytes: number) => `{"type":"any","event":"${"x".repeat(bytes - 25)}"}`;
    assert.is(body(MIB).length, MIB);
    assert.equal(await post(body(MIB)), accepted(channel, 1));
    assert.is((await post(body(MIB + 1))).status, 413);
    assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
  }));

test("a length over the limit is refused before any of the body has come", () =>
  publishing(async ({ channel, port }) => {
    const wire = await openWire(port);
    wire.write(head(JSON_TYPE, "Content-Length: 1001"));
    assert.is(await statusOn(wire), 413);
    wire.socket.destroy();
    assert.is(channel.last, 0);
  }, { maxBodyBytes: 1000 }));

test("a body without a length is counted while it comes", () =>
  publishing(async ({ channel, port }) => {
    const chunked = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
    const body = (bytes: number) => '{"type":"closed"}'.padEnd(bytes);

    const good = await openWire(port);
    good.write(head(JSON_TYPE, "Transfer-Encoding: chunked"));
    for (let i = 0; i < 1000; i += 100) good.write(chunked(body(1000).slice(i, i + 100)));
    good.write("0\r\n\r\n");
    assert.is(await statusOn(good), 202);
    good.socket.destroy();
    assert.is(channel.last, 1);

    const bad = await openWire(port);
    bad.write(head(JSON_TYPE, "Transfer-Encoding: chunked"));
    bad.write(chunked(body(600)));
    bad.write(chunked(" ".repeat(401))); // And never an end: the answer must not wait for it.
    assert.is(await statusOn(bad), 413);
    bad.socket.destroy();
    assert.is(channel.last, 1);
  }, { maxBodyBytes: 1000 }));

test("a body may come in any pieces: one byte at a time, with a length or in chunks", () =>
  publishing(async ({ channel, port }) => {
    const bytes = new TextEncoder().encode(
      '\ufeff{"type":"note","event":{"text":"é漢😀"}}\r\n\r\n{"type":"tick","event":{"n":-1.5e3}}',
    );
    const whole = await openWire(port);
    whole.write(head(NDJSON, `Content-Length: ${bytes.length}`));
    await trickle(whole, bytes);
    assert.is(await statusOn(whole), 202);
    whole.socket.destroy();

    const chunked = await openWire(port);
    await trickle(chunked, new TextEncoder().encode(head(NDJSON, "Transfer-Encoding: chunked")));
    for (const byte of bytes) {
      await trickle(chunked, Uint8Array.from([...Buffer.from("1\r\n"), byte, ...Buffer.from("\r\n")]));
    }
    await trickle(chunked, new TextEncoder().encode("0\r\n\r\n"));
    assert.is(await statusOn(chunked), 202);
    chunked.socket.destroy();

    assert.is(channel.last, 4);
    assert.equal(published(channel).slice(0, 2), published(channel).slice(2));
    assert.equal(JSON.parse(published(channel)[0]!), { text: "é漢😀" });
    assert.equal(published(channel)[1], '{"n":-1500}');
  }));

test("a client that leaves in the middle of a body has published nothing, and the server lives on", () =>
  publishing(async ({ channel, port, post, requests }) => {
    const lines = '{"type":"tick","event":{"n":1}}\n{"type":"closed"}\n{"type":';
    const cases: [framing: string, body: string, leave: (wire: Wire) => void][] = [
      ["Content-Length: 5000", lines, (wire) => wire.socket.destroy()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.destroy()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.end()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.resetAndDestroy()],
      ["Transfer-Encoding: chunked", `32\r\n${lines.slice(0, 50)}\r\n`, (wire) => wire.socket.destroy()],
      ["Transfer-Encoding: chunked", `32\r\n${lines.slice(0, 50)}\r\n`, (wire) => wire.socket.end()],
      ["Transfer-Encoding: chunked", `ff\r\n${lines.slice(0, 50)}`, (wire) => wire.socket.resetAndDestroy()],
    ];
    assert.is(lines.slice(0, 50).at(-1), "\n");
    for (const [index, [framing, body, leave]] of cases.entries()) {
      const wire = await openWire(port);
      wire.write(head(NDJSON, framing) + body);
      await until(() => requests.begun === index * 2 + 1, "the request has come");
      leave(wire);
      await until(() => requests.done === index * 2 + 1, `the server is done with case ${index}`);
      assert.is(channel.last, index);
      assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
    }
    assert.is(channel.last, cases.length);
  }));

test("a client that leaves in the middle of a body is no error of the application, and nobody is refused", () =>
  publishing(async ({ endpoint, port, requests, problems }) => {
    const refusals = endpoint.stats().refusals;
    const wire = await openWire(port);
    wire.write(head(NDJSON, "Content-Length: 5000") + "{");
    await until(() => requests.begun === 1, "the request has come");
    wire.socket.destroy();
    await until(() => requests.done === 1, "the server is done with it");
    assert.equal(problems, []);
    assert.equal(endpoint.stats().refusals, refusals);
  }));

test("an event larger than the history can hold is refused with its place", () =>
  publishing(async ({ channel, post }) => {
    const body = [{ type: "closed" }, { type: "note", event: { text: "x".repeat(4096) } }];
    const answer = await post(JSON.stringify(body));
    assert.equal(faultsIn(answer), ["1 event"]);
    assert.match(messageOf(answer), /may have at most 4096 here/);
    assert.is(channel.last, 0);
  }, { history: { bytes: 4096 } }));

test("a channel that was closed takes nothing, and says so", () =>
  publishing(async ({ channel, post }) => {
    channel.close();
    const answer = await post('{"type":"closed"}');
    assert.is(answer.status, 503);
    assert.is(codeOf(answer), "ChannelClosed");
  }));

test("a body that is still on its way when the channel is closed is not waited for", () =>
  publishing(async ({ channel, endpoint, port, requests, post }) => {
    const wires = [await openWire(port), await openWire(port)];
    for (const wire of wires) wire.write(head(JSON_TYPE, "Content-Length: 5000") + "{");
    await until(() => requests.begun === wires.length, "the requests have come");
    const publishes = [1, 2, 3].map(() => post('{"type":"closed"}'));
    for (const { status } of await Promise.all(publishes)) assert.is(status, 202);
    channel.close();
    for (const wire of wires) {
      assert.is(await statusOn(wire), 503);
      assert.match(wire.received(), /^retry-after: \d+\r$/im);
      await until(() => wire.received().includes('"code":"ChannelClosed"'), "it says why");
      wire.socket.destroy();
    }
    assert.is(endpoint.stats().refusals.ChannelClosed, wires.length);
    assert.is(channel.stats().readers, 0);
  }));

test("POST is answered with 405 and the methods there are when publishing is off", () =>
  publishing(async ({ channel, post, url }) => {
    for (const [body, type] of [['{"type":"closed"}'], ["x".repeat(1000), "text/plain"]] as const) {
      const refused = await post(body, type);
      assert.equal([refused.status, JSON.parse(refused.text).error.code], [405, "MethodNotAllowed"]);
    }
    const stream = await openLines(`${url}?follow=false`);
    assert.equal((await stream.rest()).map(({ type }) => type), ["events_start"]);
    assert.is(channel.last, 0);
  }, { publish: false }));

test("options that make no sense are refused", () => {
  const channel = createChannel(catalogue);
  for (const maxBodyBytes of [0, -1, NaN]) {
    assert.throws(
      () => eventsEndpoint(channel, { maxBodyBytes }),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

test("a long string is read as fast as it came, whatever it holds", () =>
  publishing(async ({ channel, post }) => {
    for (const text of ["x", "\\", '"', "\n", "9", "{[", "é", "😀", "\u2028"]) {
      const event = `${text.repeat(2 * MIB / text.length)}1234567890123456789`;
      const begin = performance.now();
      const answer = await post(JSON.stringify({ type: "any", event }));
      assert.equal(answer, accepted(channel, 1), JSON.stringify(text));
      assert.ok(
        performance.now() - begin < 10_000,
        `${JSON.stringify(text)} took ${performance.now() - begin} ms`,
      );
      assert.is(JSON.parse(published(channel).at(-1)!), event);
    }
  }, { maxBodyBytes: 64 * MIB }));

test("no body holds the server up", () =>
  publishing(async ({ post }) => {
    for (const piece of ['\\"', '"', '"\\', "1", "-", "[", '{"', "1.", "1e"]) {
      const body = piece.repeat(360_000 / piece.length) + "1234567890123456";
      const begin = performance.now();
      await post(body).then(faultsIn);
      const took = performance.now() - begin;
      assert.ok(took < 10_000, `360 kB of ${piece} took ${Math.round(took)} ms`);
    }
  }));

test("a body of which nothing comes any more is given up; one that comes slowly is not", async () => {
  await publishing(async ({ channel, port }) => {
    const head = `POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${JSON_TYPE}\r\n`;
    const [silent, slow] = [await openWire(port), await openWire(port)];
    silent.write(`${head}Content-Length: 100\r\n\r\n{`);
    const text = JSON.stringify({ type: "note", event: { text: "slow" } });
    slow.write(`${head}Content-Length: ${text.length}\r\n\r\n`);
    const begin = performance.now();
    for (let at = 0; at < text.length; at++) {
      slow.write(text[at]!);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.ok(performance.now() - begin > 1000, "it took longer than a silence may");
    await until(() => slow.received().includes("\r\n\r\n"), "the answer to the slow one");
    assert.match(slow.received(), /^HTTP\/1\.1 202 /);
    await until(() => silent.received().includes("}}"), "the answer to the silent one");
    assert.match(silent.received(), /^HTTP\/1\.1 408 [^]*"code":"RequestTimeout"/);
    assert.is(channel.last, 1);
    for (const { socket } of [silent, slow]) socket.destroy();
  }, { stallTimeout: 1 });
});

// As long as no more than the limit is left of the body; who sends more is cut off.
test("after a refusal in mid-body the connection is good for more, or the answer says that it ends", () =>
  publishing(async ({ port }) => {
    const good = '{"type":"closed"}';
    const goodRequest = head(JSON_TYPE, `Content-Length: ${good.length}`) + good;
    const limit = 1_000_000;
    for (const length of [200_000, 900_000]) {
      const notText = Buffer.concat([Uint8Array.of(0xff), Buffer.alloc(length - 1, " ")]);
      const over = limit + length;
      const requests: [status: number, head: string, body: string | Uint8Array][] = [
        [
          413,
          head(JSON_TYPE, "Transfer-Encoding: chunked"),
          `${over.toString(16)}\r\n${" ".repeat(over)}\r\n0\r\n\r\n`,
        ],
        [413, head(JSON_TYPE, `Content-Length: ${over}`), " ".repeat(over)],
      ];
      if (length < limit) requests.push([400, head(JSON_TYPE, `Content-Length: ${length}`), notText]);
      for (const [status, head, body] of requests) {
        const wire = await openWire(port);
        wire.write(head);
        wire.write(body);
        assert.is(await statusOn(wire), status);
        if (/\nconnection: close/i.test(wire.received())) {
          wire.socket.end();
          await within(wire.closed, "the end of the connection");
          continue;
        }
        let cut = false;
        wire.closed.then(() => cut = true);
        const begin = performance.now();
        for (let sent = 1; performance.now() - begin < 800; sent++) {
          wire.write(goodRequest);
          await until(
            () => cut || wire.received().split("HTTP/1.1 202 ").length > sent,
            "the next answer",
            3000,
          );
          assert.not(cut, `cut after ${sent - 1} more requests`);
        }
        wire.socket.destroy();
      }
    }
  }, { maxBodyBytes: 1_000_000 }));

test("no body fills the memory", () =>
  publishing(async ({ post, problems }) => {
    const integers = "9007199254740993,".repeat(8000) + "1";
    const bodies = [
      `{"type":"any","event":${"[".repeat(8000)}${integers}${"]".repeat(8000)}}`,
      `{"type":"any","event":{"${"k".repeat(150_000)}":[${integers}]}}`,
      `{"type":"any","event":{"${"k".repeat(150_000)}":[${
        integers.replaceAll("9007199254740993", "1e999")
      }]}}`,
    ];
    for (const [index, body] of bodies.entries()) {
      const begin = performance.now();
      await post(body).then(faultsIn);
      const took = performance.now() - begin;
      assert.ok(took < 10_000, `${body.length} bytes (${index}) took ${Math.round(took)} ms`);
    }
    assert.equal(problems, []);
  }));

test("any number of faults is a refusal", () =>
  publishing(async ({ channel, post, problems }) => {
    const many = `{"type":"words","event":[${"1,".repeat(400_000)}1]}`;
    for (const [body, type] of [[many, JSON_TYPE], [`{\n${many}`, NDJSON], [`${many}\n{`, NDJSON]] as const) {
      const faults = faultsIn(await post(body, type));
      assert.ok(faults.includes("0 event.0") || faults.includes("1 event.0"));
    }
    assert.ok(faultsIn(await post("1\n".repeat(400_000), NDJSON)).length > 0);
    assert.ok(faultsIn(await post(`[${"1,".repeat(400_000)}1]`)).length > 0);
    assert.is(channel.last, 0);
    assert.equal(problems, []);
  }, { maxBatch: 1_000_000 }));

test("a refusal is not much longer than what is refused", () =>
  publishing(async ({ post }) => {
    const body = `{"type":"any","event":{"${"k".repeat(20_000)}":[${"1e999,".repeat(999)}1e999]}}`;
    const { status, text } = await post(body);
    assert.is(status, 400);
    assert.ok(text.length < MIB, `${body.length} bytes are answered with ${text.length}`);
  }));

/** Text that is a dictionary, or looks like one, or like nothing. */
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
/** Events that are as they should be; JSON writes large doubles as integers, and those are refused. */
const goodEvent = fc.oneof(
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
const eventText = fc.oneof({ weight: 3, arbitrary: goodEvent }, { weight: 2, arbitrary: oddEvent });
/** A whole body of events, some of them odd. */
const bodyText = fc.oneof(
  eventText,
  fc.array(goodEvent, { minLength: 1, maxLength: 6 }).map((events) => events.join("\n")),
  fc.array(goodEvent, { minLength: 1, maxLength: 6 }).map((events) => `[${events.join()}]`),
  fc.array(eventText, { maxLength: 8 }).map((events) => `[${events.join()}]`),
  fc.array(fc.oneof(eventText, fc.constantFrom("", " ", "\r", "\ufeff", "\0")), { maxLength: 8 })
    .chain((lines) => fc.constantFrom("\n", "\r\n", "\n\n", "\r").map((end) => lines.join(end) + end)),
);
/** A body with something done to it. */
const spoiled = fc.tuple(
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
  { weight: 4, arbitrary: spoiled.map((text) => new TextEncoder().encode(text)) },
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

test("no body, however hostile, is a 5xx or half a batch, and the server takes good ones afterwards", () =>
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
        assert.is(channel.last, before, "a refusal publishes nothing");
        if (answer.status === 400) assert.ok(faultsIn(answer).length > 0);
        else assert.ok(answer.status === 415 || answer.status === 413, answer.text);
      }),
      { numRuns: 1500, includeErrorInReport: true },
    );
    // Most of the generated bodies must come far enough to be worth it.
    for (const [status, least] of [[202, 200], [400, 400], [415, 20]] as const) {
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

test("whatever is as it should be is taken, and told as it was given", () =>
  publishing(async ({ channel, post }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(goodEvent, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (events, lines) => {
          const before = channel.last;
          const answer = await post(
            lines ? events.join("\n") : `[${events.join()}]`,
            lines ? NDJSON : JSON_TYPE,
          );
          assert.equal(answer, accepted(channel, events.length));
          const told = channel.read(before, Infinity).entries.map((entry) => {
            const { type, event } = channel.parse(entry);
            return JSON.stringify({ type, event });
          });
          assert.equal(told, events);
        },
      ),
      { numRuns: 200 },
    );
  }));

test("bodies that come at the same time are published each in one piece", () =>
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
