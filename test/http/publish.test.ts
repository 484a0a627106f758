/**
 * What a body may contain, and the issues that are reported for one.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { openLines, openWire, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  head,
  issuesIn,
  JSON_TYPE,
  messageOf,
  NDJSON,
  published,
  publishing,
  statusOn,
} from "./publisher.ts";

const test = suite("http: publish");

test("POST /events answers 202 with the number of events and the id of the last", () =>
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

test("POST /events publishes an array as one batch, in its order", () =>
  publishing(async ({ channel, post }) => {
    const body = [{ type: "tick", event: { n: 1 } }, { type: "closed" }, { type: "any", event: [null] }];
    assert.equal(await post(JSON.stringify(body)), accepted(channel, 3));
    assert.is(channel.last, 3);
    assert.equal(published(channel), ['{"n":1}', "", "[null]"]);
    assert.equal(await post('[{"type":"closed"}]'), accepted(channel, 1));
  }));

test('POST /events accepts "event": null for a type without a payload, as Tribler 7.3 to 7.11 writes it', () =>
  publishing(async ({ channel, post }) => {
    const body = '[{"type":"closed","event":null},{"event":null,"type":"closed"}]';
    assert.equal(await post(body), accepted(channel, 2));
    assert.equal(published(channel), ["", ""]);
  }));

test('POST /events accepts "event": null beside such a type in a single event, and on a line', () =>
  publishing(async ({ channel, post }) => {
    for (const type of [JSON_TYPE, NDJSON]) {
      assert.equal(await post('{"type":"closed","event":null}', type), accepted(channel, 1), type);
      assert.equal(await post('{"type":"any","event":null}', type), accepted(channel, 1), type);
    }
    assert.equal(published(channel), ["", "null", "", "null"]);
  }));

test("POST /events publishes the JSON that is written for a payload, however it came", () =>
  publishing(async ({ channel, post }) => {
    const cases: [sent: string, written: string][] = [
      ['{"n":1,"list":[1000,0.001],"é":"漢"}', '{"n":1,"list":[1000,0.001],"é":"漢"}'],
      ['{ "n" : 1 }', '{"n":1}'],
      ['{"n":1,"n":2}', '{"n":2}'],
      ['{"n":1e5 }', '{"n":100000}'],
      ["[1.0,-0,1e3,10000000000000000e-1]", "[1,0,1000,1000000000000000]"],
      ['"\\u0041\\/\\n\\ud800"', '"A/\\n\ufffd"'],
      ['"\u2028\u0085"', '"\\u2028\\u0085"'],
      ["{}", "{}"],
    ];
    for (const [sent, written] of cases) {
      const before = channel.last;
      const event = `{"type":"any","event":${sent}}`;
      const bodies = [[event, JSON_TYPE], [event, NDJSON], [`[${event}]`, JSON_TYPE]] as const;
      for (const [body, type] of bodies) assert.equal(await post(body, type), accepted(channel, 1), body);
      const found = channel.read(before, Infinity).entries.map(({ json }) =>
        /^\{"type":"any","event":(.*),"id":"[^"]*","time":"[^"]*"\}$/.exec(json)?.[1]
      );
      assert.equal(found, bodies.map(() => written), sent);
    }
  }));

test("POST /events answers with the id that the stream delivers", () =>
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
    await until(() => endpoint.stats().subscribers === 0, "the stream has ended");
  }));

test("POST /events accepts NDJSON under each of its media types", () =>
  publishing(async ({ channel, post }) => {
    const body = '{"type":"tick","event":{"n":1}}\n{"type":"closed"}\n';
    for (
      const type of [NDJSON, "application/jsonl", "application/ndjson", "Application/X-NDJSON; charset=utf-8"]
    ) {
      assert.equal(await post(body, type), accepted(channel, 2), type);
    }
    assert.is(channel.last, 8);
  }));

test("POST /events accepts NDJSON with blank lines, CRLF, a byte order mark and no last line end", () =>
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
    assert.equal(await post(`${a}\r${b}`, NDJSON).then(issuesIn), ["0 "], "a CR alone does not end a line");
    assert.equal(await post(`${a}${b}`, NDJSON).then(issuesIn), ["0 "]);
    assert.equal(
      await post(`${a}\n\ufeff${b}\n`, NDJSON).then(issuesIn),
      ["1 "],
      "a BOM only at the very start",
    );
    assert.is(channel.last, bodies.length * 2);
  }));

test("POST /events ends lines of NDJSON at LF alone", () =>
  publishing(async ({ channel, post }) => {
    const texts = ["a\u2028b", "a\u2029b", "a\u0085b"];
    const body = texts.map((text) => `{"type":"note","event":{"text":"${text}"}}`).join("\n");
    assert.equal(await post(body, NDJSON), accepted(channel, 3));
    assert.equal(published(channel).map((json) => JSON.parse(json).text), texts);
  }));

test("POST /events rejects lines of NDJSON with white space that is not JSON's", () =>
  publishing(async ({ channel, post }) => {
    for (const line of ["\u00a0", "\u2003", "\f", "\v", "\u2028", "\ufeff"]) {
      const answer = await post(`{"type":"closed"}\n${line}\n`, NDJSON);
      assert.equal(issuesIn(answer), ["1 "], JSON.stringify(line));
    }
    assert.is(channel.last, 0);
  }));

test("POST /events ignores a byte order mark at the start, and rejects one elsewhere", () =>
  publishing(async ({ channel, post }) => {
    assert.equal(await post('\ufeff{"type":"closed"}'), accepted(channel, 1));
    assert.equal(await post('\ufeff\ufeff{"type":"closed"}').then(issuesIn), ["0 "]);
    assert.equal(await post('{"type":"closed"}\ufeff').then(issuesIn), ["0 "]);
    assert.equal(await post('{"type":"note","event":{"text":"\ufeff"}}'), accepted(channel, 1));
    assert.equal(JSON.parse(published(channel)[1]!), { text: "\ufeff" });
  }));

test("POST /events reports every issue of a batch with its place, and publishes nothing", () =>
  publishing(async ({ channel, post }) => {
    const good = '{"type":"tick","event":{"n":1}}';
    await post(good);
    const lines: [line: string, paths: string[]][] = [
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
    assert.equal(issuesIn(answer), expected);
    assert.match(JSON.parse(answer.text).error.message, new RegExp(`the first of ${expected.length} issues`));
    const readable = lines.filter(([line]) => line !== '{"type":');
    assert.equal(
      issuesIn(await post(`[${readable.map(([line]) => line).join(",")}]`)),
      readable.flatMap(([, paths], index) => paths.map((path) => `${index} ${path}`)),
    );
    assert.is(channel.last, 1);
  }));

test("POST /events reports indices that count dictionaries, not lines", () =>
  publishing(async ({ post }) => {
    assert.equal(issuesIn(await post('\n\n{"type":"closed"}\n\n{"type":"nope"}\n', NDJSON)), ["1 type"]);
    assert.equal(issuesIn(await post('{"type":"nope"}')), ["0 type"]);
  }));

test("POST /events reports every issue of a dictionary", () =>
  publishing(async ({ post }) => {
    const cases: [body: string, issues: string[]][] = [
      ['{"type":"tick","event":{"n":"x"},"id":"1"}', ["0 event.n", "0 id"]],
      ['{"type":"nope","time":"1"}', ["0 time", "0 type"]],
      ['{"type":"words","event":[9007199254740993,"a",null]}', ["0 event.0", "0 event.2"]],
    ];
    for (const [body, expected] of cases) {
      assert.equal([...new Set(issuesIn(await post(body)))].sort(), expected, body);
    }
  }));

test("POST /events rejects JSON that is not a dictionary", () =>
  publishing(async ({ channel, post }) => {
    for (const body of ["null", "true", "7", '"closed"', "[[]]", "[null]", '[[{"type":"closed"}]]']) {
      const answer = await post(body);
      assert.equal(issuesIn(answer), ["0 "], body);
      assert.match(messageOf(answer), /must be a dictionary/);
    }
    assert.equal(issuesIn(await post('[{"type":"closed"},null]')), ["1 "]);
    assert.equal(issuesIn(await post('[{"type":"closed"}]', NDJSON)), ["0 "], "a line is one dictionary");
    assert.equal(issuesIn(await post("{}")), ["0 type"]);
    assert.is(channel.last, 0);
  }));

test("POST /events rejects bodies that are not JSON", () =>
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
      assert.equal(issuesIn(answer), ["0 "], body);
      assert.match(messageOf(answer), /not JSON/);
    }
    assert.is(channel.last, 0);
  }));

test("POST /events rejects an empty batch and an empty body", () =>
  publishing(async ({ channel, post, port }) => {
    for (
      const [body, type] of [["[]", JSON_TYPE], ["", NDJSON], ["\n \r\n\n", NDJSON], [
        "\ufeff",
        NDJSON,
      ]] as const
    ) {
      const answer = await post(body, type);
      assert.equal(issuesIn(answer), ["0 "]);
      assert.match(messageOf(answer), /holds no event/);
    }
    for (const body of ["", " ", "\n"]) assert.equal(issuesIn(await post(body)), ["0 "]);
    const wire = await openWire(port);
    wire.write(head(JSON_TYPE)); // Neither a length nor chunks: for HTTP a request without a body.
    assert.is(await statusOn(wire), 400);
    wire.socket.destroy();
    assert.is(channel.last, 0);
  }));

test("POST /events rejects every key but type, subject and event", () =>
  publishing(async ({ channel, post }) => {
    for (const key of ["id", "time", "Type", "", "__proto__", "constructor", "0", "a.b"]) {
      const answer = await post(`{"type":"closed",${JSON.stringify(key)}:"x"}`);
      assert.equal(issuesIn(answer), [`0 ${key}`]);
      assert.match(messageOf(answer), /no key but/);
    }
    assert.is(channel.last, 0);
  }));

test("POST /events rejects control events, unknown types, and payloads of the wrong kind", () =>
  publishing(async ({ channel, post }) => {
    for (const type of ["events_start", "events_lost", "events_bookmark"]) {
      for (const event of ["", ',"event":{}']) {
        const answer = await post(`{"type":"${type}"${event}}`);
        assert.equal(issuesIn(answer), ["0 type"]);
        assert.match(messageOf(answer), /control event/);
      }
    }
    for (
      const type of ["nope", "", "TICK", "tick ", "__proto__", "constructor", "toString", "t".repeat(10_000)]
    ) {
      const answer = await post(JSON.stringify({ type, event: {} }));
      assert.equal(issuesIn(answer), ["0 type"]);
      assert.match(messageOf(answer), /is not a type of this catalogue/);
      assert.ok(answer.text.length < 1000, "a long name is shortened");
    }
    for (const type of [null, 7, true, {}, ["closed"]]) {
      assert.equal(issuesIn(await post(JSON.stringify({ type }))), ["0 type"]);
    }
    for (const event of [{}, [], "", 0, false]) {
      const answer = await post(JSON.stringify({ type: "closed", event }));
      assert.equal(issuesIn(answer), ["0 event"]);
      assert.match(messageOf(answer), /has no payload/);
    }
    assert.match(messageOf(await post('{"type":"tick"}')), /needs a payload/);
    assert.equal(issuesIn(await post('{"type":"tick","event":null}')), ["0 event"]);
    assert.is(channel.last, 0);
  }));

test("POST /events treats __proto__ as data", () =>
  publishing(async ({ channel, post }) => {
    const event = '{"__proto__":{"polluted":true,"n":1},"constructor":{"prototype":{"polluted":true}},' +
      '"a":{"__proto__":null}}';
    assert.equal(await post(`{"type":"any","event":${event}}`), accepted(channel, 1));
    assert.equal(
      await post(`{"type":"note","event":{"text":"x","__proto__":{"a":1}}}`),
      accepted(channel, 1),
    );
    assert.equal(published(channel), [event, '{"text":"x","__proto__":{"a":1}}']);
    assert.equal(issuesIn(await post('{"type":"tick","event":{"__proto__":{"n":1}}}')), ["0 event.n"]);
    assert.equal(issuesIn(await post('{"__proto__":{"type":"closed"}}')), ["0 __proto__", "0 type"]);
    assert.is(({} as { polluted?: boolean }).polluted, undefined);
    assert.is(channel.last, 2);
  }));

test("POST /events accepts 64 levels and rejects 65", () =>
  publishing(async ({ channel, post }) => {
    for (const [open, close, step] of [["[", "]", ".0"], ['{"a":', "}", ".a"]] as const) {
      const body = (levels: number, inner: string) =>
        `{"type":"any","event":${open.repeat(levels - 1)}${inner}${close.repeat(levels - 1)}}`;
      assert.equal(await post(body(64, "1")), accepted(channel, 1));
      assert.equal(await post(`[${body(64, "1")}]`), accepted(channel, 1));
      for (const tooDeep of [body(65, "1"), body(64, "[]"), body(64, "{}")]) {
        const answer = await post(tooDeep);
        assert.equal(issuesIn(answer), [`0 event${step.repeat(63)}`]);
        assert.match(messageOf(answer), /nested more than 64 levels/);
      }
      assert.equal(issuesIn(await post(`{"type":"closed"}\n${body(65, "1")}`, NDJSON)), [
        `1 event${step.repeat(63)}`,
      ]);
    }
    assert.is(channel.last, 4);
  }));

test("POST /events rejects any depth that fits in a body", () =>
  publishing(async ({ channel, post, problems }) => {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
      for (const levels of [1000, 20_000, 150_000]) {
        const body = `{"type":"any","event":${open.repeat(levels)}1${close.repeat(levels)}}`;
        assert.is(issuesIn(await post(body)).length, 1);
        assert.is(issuesIn(await post(body.slice(0, body.length / 2))).length, 1);
      }
    }
    assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
    assert.equal(problems, []);
  }));

test("POST /events rejects an integer that a double cannot hold, with its path", () =>
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
      assert.equal(issuesIn(answer), ["0 event.a.1.b"], number);
      assert.match(messageOf(answer), /integer that a double cannot hold/);
    }
    assert.equal(issuesIn(await post("[9007199254740993]")), ["0 "]);
    assert.equal([...new Set(issuesIn(await post('{"type":9007199254740993}')))], ["0 type"]);
    assert.equal(
      issuesIn(await post(`{"type":"any","event":"\\"}"}\n{"type":"any","event":${bad[0]}}`, NDJSON)),
      ["1 event"],
    );
    assert.equal(
      issuesIn(
        await post(
          JSON.stringify({ type: "any", event: ['\\"\n'.repeat(150_000), 7] }).replace("7", bad[0]!),
        ),
      ),
      ["0 event.1"],
    );
    assert.is(channel.last, good.length);
  }));

test("POST /events accepts a number whose value is an integer elsewhere in the body", () =>
  publishing(async ({ post }) => {
    const body = '{"type":"any","event":1e20}\n{"type":"any","event":100000000000000000000}\n';
    assert.equal(issuesIn(await post(body, NDJSON)), ["1 event"]);
  }));

test("POST /events reports the path of an integer however the body is laid out", () =>
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
      assert.equal(issuesIn(await post(`{"type":"any","event":${event}}`)), [`0 event.${path}`], event);
      assert.equal(issuesIn(await post(`[{"type":"closed"},{"event":${event},"type":"any"}]`)), [
        `1 event.${path}`,
      ]);
    }
    assert.equal(issuesIn(await post(`[[${bad}],{"type":"any","event":${bad}}]`)), ["0 ", "1 event"]);
  }));

test("POST /events reports paths without the white space before a colon", () =>
  publishing(async ({ post }) => {
    const event = `{"a":1,"b"${" ".repeat(100)}:9007199254740993}`;
    assert.equal(issuesIn(await post(`{"type":"any","event":${event}}`)), ["0 event.b"]);
  }));

test("POST /events reports an integer that a double cannot hold beside a line that is not JSON", () =>
  publishing(async ({ post }) => {
    const body = '{"type":"x\n{"type":"any","event":9007199254740993}\n{"type":"closed"}\n';
    assert.equal(issuesIn(await post(body, NDJSON)), ["0 ", "1 event"]);
  }));

test("POST /events rejects a number beyond the range of a double, with its path", () =>
  publishing(async ({ channel, post }) => {
    for (const number of ["1e999", "-1e999", "1E400", "1" + "0".repeat(400)]) {
      assert.equal(issuesIn(await post(`{"type":"tick","event":{"n":${number}}}`)), ["0 event.n"], number);
    }
    assert.equal(issuesIn(await post('{"type":"any","event":[1e999,[1e999]]}')), [
      "0 event.0",
      "0 event.1.0",
    ]);
    assert.is(channel.last, 0);
  }));

test("POST /events rejects bytes that are not UTF-8, wherever they are", () =>
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
          assert.equal(issuesIn(answer), ["0 "]);
          assert.match(messageOf(answer), /not UTF-8/);
        }
      }
    }
    assert.equal(issuesIn(await post(Uint8Array.from(Buffer.from('\ufeff{"type":"closed"}', "utf16le")))), [
      "0 ",
    ]);
    assert.equal(
      issuesIn(await post(Uint8Array.from([...Buffer.from('{"type":"closed"}\n'), 0xff]), NDJSON)),
      ["0 "],
    );
    assert.is(channel.last, 0);
  }));

test("POST /events keeps any text, and half a surrogate pair as U+FFFD", () =>
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

test("POST /events rejects two keys that become one when half surrogate pairs are replaced", () =>
  publishing(async ({ channel, post }) => {
    const cases: [event: string, path: string][] = [
      ['{"\\ud800":1,"\\udbff":2}', "event.\ufffd"],
      ['{"\ufffd":1,"\\ude00":2}', "event.\ufffd"],
      ['[{"a":{"x\\ud800":1,"x\\ud801y":2,"x\\udc00":3}}]', "event.0.a.x\ufffd"],
      ['{"\\ud800":{"\\ud800":1,"\\ud802":2}}', "event.\ufffd.\ufffd"],
    ];
    for (const [event, path] of cases) {
      for (const [body, place] of [["X", "0"], ['[{"type":"closed"},X]', "1"]] as const) {
        const answer = await post(body.replace("X", `{"type":"any","event":${event}}`));
        assert.equal(issuesIn(answer), [`${place} ${path}`]);
      }
    }
    assert.is(channel.last, 0);
    const fine =
      '{"\\ud800":1,"\\ud83d\\ude00":2,"\\ud83d\\ude01":{"\\ud800":3},"\\\\ud800":4,"\\\\udbff":5}';
    assert.equal(await post(`{"type":"any","event":${fine}}`), accepted(channel, 1));
    assert.equal(published(channel), [
      '{"\ufffd":1,"\u{1f600}":2,"\u{1f601}":{"\ufffd":3},"\\\\ud800":4,"\\\\udbff":5}',
    ]);
  }));

test("POST /events takes the last value of a key that occurs twice", () =>
  publishing(async ({ channel, post }) => {
    assert.equal(
      await post('{"type":"nope","type":"tick","event":"x","event":{"n":"x","n":1}}'),
      accepted(channel, 1),
    );
    assert.equal(published(channel), ['{"n":1}']);
  }));

test.run();
