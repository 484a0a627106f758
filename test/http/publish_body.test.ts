/**
 * How a body arrives: its media type, its size and its pieces; clients that disconnect; and the end of the channel.
 *
 * @module
 */
import { Hono } from "hono";
import * as assert from "uvu/assert";
import { createChannel, eventsEndpoint } from "../../src/mod.ts";
import { openLines, openWire, serving, timersLeftBy, until, type Wire, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  catalogue,
  codeOf,
  head,
  issuesIn,
  JSON_TYPE,
  messageOf,
  MIB,
  NDJSON,
  published,
  publishing,
  statusOn,
  trickle,
} from "./publisher.ts";

const test = suite("http: publish body");

test("POST /events answers 415 to a media type or a charset that it cannot read", () =>
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

test("maxBodyBytes is the size of the largest body that is accepted", () =>
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

test("maxBodyBytes is 1 MiB by default", () =>
  publishing(async ({ channel, post }) => {
    const body = (bytes: number) => `{"type":"any","event":"${"x".repeat(bytes - 25)}"}`;
    assert.is(body(MIB).length, MIB);
    assert.equal(await post(body(MIB)), accepted(channel, 1));
    assert.is((await post(body(MIB + 1))).status, 413);
    assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
  }));

test("maxBodyBytes rejects a larger Content-Length before the body arrives", () =>
  publishing(async ({ channel, port }) => {
    const wire = await openWire(port);
    wire.write(head(JSON_TYPE, "Content-Length: 1001"));
    assert.is(await statusOn(wire), 413);
    wire.socket.destroy();
    assert.is(channel.last, 0);
  }, { maxBodyBytes: 1000 }));

test("maxBodyBytes limits a body without a length while it arrives", () =>
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
    bad.write(chunked(" ".repeat(401))); // There is no end: the response must not wait for it.
    assert.is(await statusOn(bad), 413);
    bad.socket.destroy();
    assert.is(channel.last, 1);
  }, { maxBodyBytes: 1000 }));

test("POST /events accepts a body in any pieces, with a length or in chunks", () =>
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

test("POST /events publishes nothing when the client disconnects in the middle of its body", () =>
  publishing(async ({ channel, port, post, requests }) => {
    const lines = '{"type":"tick","event":{"n":1}}\n{"type":"closed"}\n{"type":';
    const cases: [framing: string, body: string, disconnect: (wire: Wire) => void][] = [
      ["Content-Length: 5000", lines, (wire) => wire.socket.destroy()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.destroy()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.end()],
      ["Content-Length: 5000", lines.slice(0, -8), (wire) => wire.socket.resetAndDestroy()],
      ["Transfer-Encoding: chunked", `32\r\n${lines.slice(0, 50)}\r\n`, (wire) => wire.socket.destroy()],
      ["Transfer-Encoding: chunked", `32\r\n${lines.slice(0, 50)}\r\n`, (wire) => wire.socket.end()],
      ["Transfer-Encoding: chunked", `ff\r\n${lines.slice(0, 50)}`, (wire) => wire.socket.resetAndDestroy()],
    ];
    assert.is(lines.slice(0, 50).at(-1), "\n");
    for (const [index, [framing, body, disconnect]] of cases.entries()) {
      const wire = await openWire(port);
      wire.write(head(NDJSON, framing) + body);
      await until(() => requests.begun === index * 2 + 1, "the request has arrived");
      disconnect(wire);
      await until(() => requests.done === index * 2 + 1, `the request of case ${index} has ended`);
      assert.is(channel.last, index);
      assert.equal(await post('{"type":"closed"}'), accepted(channel, 1));
    }
    assert.is(channel.last, cases.length);
  }));

test("POST /events reports no error and no refusal when the client disconnects in the middle of its body", () =>
  publishing(async ({ endpoint, port, requests, problems }) => {
    const refusals = endpoint.stats().refusals;
    const wire = await openWire(port);
    wire.write(head(NDJSON, "Content-Length: 5000") + "{");
    await until(() => requests.begun === 1, "the request has arrived");
    wire.socket.destroy();
    await until(() => requests.done === 1, "the request has ended");
    assert.equal(problems, []);
    assert.equal(endpoint.stats().refusals, refusals);
  }));

test("POST /events rejects an event that is larger than the history, with its place", () =>
  publishing(async ({ channel, post }) => {
    const body = [{ type: "closed" }, { type: "note", event: { text: "x".repeat(4096) } }];
    const answer = await post(JSON.stringify(body));
    assert.equal(issuesIn(answer), ["1 event"]);
    assert.match(messageOf(answer), /may have at most 4096 here/);
    assert.is(channel.last, 0);
  }, { history: { bytes: 4096 } }));

test("POST /events answers ChannelClosed when the channel is closed", () =>
  publishing(async ({ channel, post }) => {
    channel.close();
    const answer = await post('{"type":"closed"}');
    assert.is(answer.status, 503);
    assert.is(codeOf(answer), "ChannelClosed");
  }));

test("POST /events answers ChannelClosed at once to slow bodies when the channel closes", () =>
  publishing(async ({ channel, endpoint, port, requests, post }) => {
    const wires = [await openWire(port), await openWire(port)];
    for (const wire of wires) wire.write(head(JSON_TYPE, "Content-Length: 5000") + "{");
    await until(() => requests.begun === wires.length, "the requests have arrived");
    const publishes = [1, 2, 3].map(() => post('{"type":"closed"}'));
    for (const { status } of await Promise.all(publishes)) assert.is(status, 202);
    channel.close();
    for (const wire of wires) {
      assert.is(await statusOn(wire), 503);
      assert.match(wire.received(), /^retry-after: \d+\r$/im);
      await until(() => wire.received().includes('"code":"ChannelClosed"'), "the code of the error");
      wire.socket.destroy();
    }
    assert.is(endpoint.stats().refusals.ChannelClosed, wires.length);
    assert.is(channel.stats().readers, 0);
  }));

test("POST /events answers ChannelClosed to slow bodies when the channel closes while its log cannot be read", async () => {
  const memory = createChannel(catalogue);
  const failing = { next: () => Promise.reject(new Error("no connection to the log")) };
  const channel: typeof memory = Object.create(memory, { batches: { value: () => failing } });
  let begun = 0;
  const app = new Hono().use((_, next) => {
    begun++;
    return next();
  }).route("/events", eventsEndpoint(channel, { stallTimeout: 60 }));
  await serving(app, async (_, port) => {
    const wires: Wire[] = [];
    /** Begins a body that never ends. */
    async function beginBody(): Promise<void> {
      const wire = await openWire(port);
      wires.push(wire);
      wire.write(head(JSON_TYPE, "Content-Length: 5000") + "{");
      await until(() => begun === wires.length, "the request has arrived");
    }
    const left = await timersLeftBy(async () => {
      await beginBody();
      await beginBody();
      memory.close();
      await beginBody();
      for (const wire of wires) {
        assert.is(await statusOn(wire), 503);
        await until(() => wire.received().includes('"code":"ChannelClosed"'), "the code of the error");
        wire.socket.destroy();
      }
    }, 900);
    assert.is(left, 0);
  });
});

test("POST /events answers 405 with the allowed methods when publish is false", () =>
  publishing(async ({ channel, post, url }) => {
    for (const [body, type] of [['{"type":"closed"}'], ["x".repeat(1000), "text/plain"]] as const) {
      const refused = await post(body, type);
      assert.equal([refused.status, JSON.parse(refused.text).error.code], [405, "MethodNotAllowed"]);
    }
    const stream = await openLines(`${url}?follow=false`);
    assert.equal((await stream.rest()).map(({ type }) => type), ["events_start"]);
    assert.is(channel.last, 0);
  }, { publish: false }));

test("eventsEndpoint() rejects a maxBodyBytes that is not above 0", () => {
  const channel = createChannel(catalogue);
  for (const maxBodyBytes of [0, -1, NaN]) {
    assert.throws(
      () => eventsEndpoint(channel, { maxBodyBytes }),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

test("POST /events reads a long string in time linear in its length", () =>
  publishing(async ({ channel, post }) => {
    for (const text of ["x", "\\", '"', "\n", "9", "{[", "é", "😀", "\u2028"]) {
      const event = `${text.repeat(MIB / text.length)}1234567890123456789`;
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

test("POST /events reads malformed bodies in time linear in their length", () =>
  publishing(async ({ post }) => {
    for (const piece of ['\\"', '"', '"\\', "1", "-", "[", '{"', "1.", "1e"]) {
      const body = piece.repeat(360_000 / piece.length) + "1234567890123456";
      const begin = performance.now();
      await post(body).then(issuesIn);
      const took = performance.now() - begin;
      assert.ok(took < 10_000, `360 kB of ${piece} took ${Math.round(took)} ms`);
    }
  }));

test("POST /events answers 408 to a body that stops arriving, and 202 to one that arrives slowly", async () => {
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
    assert.ok(performance.now() - begin > 1000, "it took longer than stallTimeout");
    await until(() => slow.received().includes("\r\n\r\n"), "the response to the slow body");
    assert.match(slow.received(), /^HTTP\/1\.1 202 /);
    await until(() => silent.received().includes("}}"), "the response to the body that stopped");
    assert.match(silent.received(), /^HTTP\/1\.1 408 [^]*"code":"RequestTimeout"/);
    assert.is(channel.last, 1);
    for (const { socket } of [silent, slow]) socket.destroy();
  }, { stallTimeout: 1 });
});

test("POST /events with Connection: close ends the connection after a body of any size", async () => {
  await publishing(async ({ port }) => {
    for (const size of [10, 20_000, 200_000]) {
      const text = JSON.stringify({ type: "note", event: { text: "x".repeat(size) } });
      const wire = await openWire(port);
      wire.write(head(JSON_TYPE, `Content-Length: ${text.length}`, "Connection: close"));
      wire.write(text);
      await within(wire.closed, `the end of the connection after ${size} characters`, 5000);
      assert.match(wire.received(), /^HTTP\/1\.1 202 /);
    }
  });
});

test("POST /events answers 408 to a large body that stops arriving, and 202 to one that arrives slowly", async () => {
  await publishing(async ({ channel, port }) => {
    const text = JSON.stringify({ type: "note", event: { text: "slow".repeat(10_000) } });
    const chunked = (part: string) => `${part.length.toString(16)}\r\n${part}\r\n`;
    const framings = [
      { framing: `Content-Length: ${text.length}`, frame: (part: string) => part, end: "" },
      { framing: "Transfer-Encoding: chunked", frame: chunked, end: "0\r\n\r\n" },
    ];
    await Promise.all(framings.map(async ({ framing, frame, end }) => {
      const [silent, slow] = [await openWire(port), await openWire(port)];
      silent.write(head(JSON_TYPE, framing) + frame(text.slice(0, 20_000)));
      slow.write(head(JSON_TYPE, framing));
      for (let at = 0; at < text.length; at += 1000) {
        slow.write(frame(text.slice(at, at + 1000)));
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
      slow.write(end);
      assert.is(await statusOn(slow), 202, framing);
      await until(() => silent.received().includes("}}"), "the response to the body that stopped");
      assert.match(silent.received(), /^HTTP\/1\.1 408 [^]*"code":"RequestTimeout"/, framing);
      for (const { socket } of [silent, slow]) socket.destroy();
    }));
    assert.is(channel.last, 2);
  }, { stallTimeout: 1 });
});

// As long as no more than the limit is left of the body; otherwise the connection is closed.
test("POST /events keeps the connection after it rejects a body, or announces that it closes", () =>
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

test("POST /events answers bodies of many issues in bounded time and memory", () =>
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
      await post(body).then(issuesIn);
      const took = performance.now() - begin;
      assert.ok(took < 10_000, `${body.length} bytes (${index}) took ${Math.round(took)} ms`);
    }
    assert.equal(problems, []);
  }));

test("POST /events rejects a body with any number of issues", () =>
  publishing(async ({ channel, post, problems }) => {
    const many = `{"type":"words","event":[${"1,".repeat(200_000)}1]}`;
    for (const [body, type] of [[many, JSON_TYPE], [`{\n${many}`, NDJSON], [`${many}\n{`, NDJSON]] as const) {
      const issues = issuesIn(await post(body, type));
      assert.ok(issues.includes("0 event.0") || issues.includes("1 event.0"));
    }
    assert.ok(issuesIn(await post("1\n".repeat(200_000), NDJSON)).length > 0);
    assert.ok(issuesIn(await post(`[${"1,".repeat(200_000)}1]`)).length > 0);
    assert.is(channel.last, 0);
    assert.equal(problems, []);
  }, { maxBatch: 1_000_000 }));

test("POST /events answers a long body with a short error", () =>
  publishing(async ({ post }) => {
    const body = `{"type":"any","event":{"${"k".repeat(20_000)}":[${"1e999,".repeat(999)}1e999]}}`;
    const { status, text } = await post(body);
    assert.is(status, 400);
    assert.ok(text.length < MIB, `${body.length} bytes are answered with ${text.length}`);
  }));

test.run();
