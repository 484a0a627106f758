/**
 * The bytes on the wire when streams are written directly to their sockets.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { logger } from "hono/logger";
import { secureHeaders } from "hono/secure-headers";
import { timing } from "hono/timing";
import { gunzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents, type MemoryChannel } from "../../src/mod.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { openLines, openWire, serving, until, type Wire } from "../support/harness.ts";
import { type Answer, readAnswers, valuesOf } from "../support/http_wire.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ large: v.object({ text: v.string() }), note: v.object({ n: v.number() }) });

const test = suite("stream: socket sink");

/** The options of the endpoints. */
const OPTIONS = { heartbeat: null, writeToSocket: true };

type TestChannel = MemoryChannel<typeof catalogue.schemas>;

function publish(channel: TestChannel, ...numbers: number[]): void {
  for (const n of numbers) channel.publish("note", { n });
}

/** Publishes an event of this many characters. */
function publishLarge(channel: TestChannel, size: number): void {
  channel.publish("large", { text: "x".repeat(size) });
}

/** Bun loses a pipelined request while the response before it is made step by step. */
const canPipeline = !("Bun" in globalThis);

const HISTORY = "/events?since=earliest&follow=false";
const request = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, "Host: x", ...headers, "", ""].join("\r\n");

/** Returns the content of a body: `events_start`, sizes of the large events, numbers of the others. */
function contentOf(body: Uint8Array): unknown[] {
  const lines = new TextDecoder().decode(body).split("\n");
  assert.is(lines.pop(), "", "the last line has its end");
  return lines.map((line) => {
    const { type, event } = JSON.parse(line);
    return event?.n ?? event?.text?.length ?? type;
  });
}

/** Waits for this many whole answers on a wire, and returns them. */
async function answersOn(wire: Wire, count: number, isHead = false): Promise<Answer[]> {
  let isOver = false;
  wire.closed.then(() => isOver = true);
  let answers: Answer[] = [];
  await until(() => {
    answers = readAnswers(wire.bytes(), isOver, isHead);
    return answers.filter(({ isWhole }) => isWhole).length >= count;
  }, `${count} answers have arrived`);
  return answers;
}

test("writeToSocket sends events after events_start when types hides more history than one turn reads", async () => {
  const { app, channel } = makeEndpoint(catalogue, OPTIONS);
  publishLarge(channel, 700_000);
  publishLarge(channel, 700_000);
  publish(channel, 1, 2);
  await serving(app, async (_, port) => {
    const wire = await openWire(port);
    wire.write(request(`${HISTORY}&types=note`));
    const [answer] = await answersOn(wire, 1);
    assert.equal(contentOf(answer!.body), ["events_start", 1, 2]);
    wire.socket.destroy();
  });
});

test("writeToSocket frames chunks correctly when a large event is the first that types selects", async () => {
  for (const size of [70_000, 600_000, 2_000_000]) {
    const { app, channel } = makeEndpoint(catalogue, OPTIONS);
    publish(channel, ...Array.from({ length: 15_000 }, (_, n) => n));
    publishLarge(channel, size);
    await serving(app, async (_, port) => {
      const wire = await openWire(port);
      wire.write(request(`${HISTORY}&types=large`));
      const [answer] = await answersOn(wire, 1);
      assert.equal(contentOf(answer!.body), ["events_start", size]);
      wire.socket.destroy();
    });
  }
});

test("writeToSocket sends events of any size in whole chunks and in order", async () => {
  for (const size of [10, 15_000, 70_000, 300_000, 600_000, 2_000_000]) {
    const { app, channel } = makeEndpoint(catalogue, OPTIONS);
    publish(channel, 1);
    publishLarge(channel, size);
    publish(channel, 2);
    await serving(app, async (_, port) => {
      const wire = await openWire(port);
      wire.write(request(HISTORY));
      const [answer] = await answersOn(wire, 1);
      assert.equal(contentOf(answer!.body), ["events_start", 1, size, 2]);
      // And an open stream with live events.
      wire.write(request("/events?since=earliest"));
      await until(() => wire.received().split('"n":2').length === 3, "the history has arrived again");
      publish(channel, 3);
      publishLarge(channel, size);
      publish(channel, 4);
      channel.close();
      const [, live] = await answersOn(wire, 2);
      assert.equal(contentOf(live!.body), ["events_start", 1, size, 2, 3, size, 4]);
      wire.socket.destroy();
    });
  }
});

test("writeToSocket answers successive and pipelined requests in order", async () => {
  const { app, channel } = makeEndpoint(catalogue, OPTIONS);
  publishLarge(channel, 600_000);
  publish(channel, 1, 2);
  await serving(app, async (_, port) => {
    const wire = await openWire(port);
    for (let count = 1; count <= 3; count++) {
      wire.write(request(HISTORY));
      await answersOn(wire, count);
    }
    const requests = [request(HISTORY), request(`${HISTORY}&types=note`), request(HISTORY)];
    if (canPipeline) wire.write(requests.join(""));
    else {
      for (const [i, text] of requests.entries()) {
        wire.write(text);
        await answersOn(wire, 4 + i);
      }
    }
    const answers = await answersOn(wire, 6);
    assert.equal(answers.map(({ body }) => contentOf(body)), [
      ["events_start", 600_000, 1, 2],
      ["events_start", 600_000, 1, 2],
      ["events_start", 600_000, 1, 2],
      ["events_start", 600_000, 1, 2],
      ["events_start", 1, 2],
      ["events_start", 600_000, 1, 2],
    ]);
    wire.socket.destroy();
  });
});

test("writeToSocket sends HTTP/1.0 no chunks, and HEAD no body", async () => {
  const { app, channel } = makeEndpoint(catalogue, OPTIONS);
  publishLarge(channel, 600_000);
  publish(channel, 1);
  await serving(app, async (_, port) => {
    const old = await openWire(port);
    old.write(`GET ${HISTORY} HTTP/1.0\r\nHost: x\r\n\r\n`);
    const [answer] = await answersOn(old, 1);
    assert.equal(contentOf(answer!.body), ["events_start", 600_000, 1]);
    old.socket.destroy();
    const head = await openWire(port);
    head.write(request(HISTORY).replace("GET", "HEAD"));
    const [empty] = await answersOn(head, 1, true);
    assert.is(empty!.status, 200);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(head.received().endsWith("\r\n\r\n"), "nothing follows the head");
    head.socket.destroy();
  });
});

const quiet = logger(() => {});
const MIDDLEWARE: [name: string, middleware: MiddlewareHandler[]][] = [
  ["compress", [compress()]],
  ["timing", [timing()]],
  ["logger", [quiet]],
  ["cors", [cors()]],
  ["secure-headers", [secureHeaders()]],
  ["etag", [etag()]],
  ["all of them", [quiet, timing(), cors(), secureHeaders(), etag(), compress()]],
];

for (const [name, middleware] of MIDDLEWARE) {
  test(`writeToSocket sends the whole history in order behind hono's ${name}, with and without gzip`, async () => {
    for (const encoding of ["identity", "gzip"]) {
      const { app, channel } = makeEndpoint(catalogue, { ...OPTIONS, middleware });
      publish(channel, 1);
      publishLarge(channel, 600_000);
      publishLarge(channel, 700_000);
      publish(channel, 2);
      await serving(app, async (_, port) => {
        const wire = await openWire(port);
        wire.write(request(HISTORY, `Accept-Encoding: ${encoding}`));
        if (!canPipeline) await answersOn(wire, 1);
        wire.write(request(`${HISTORY}&types=note`, `Accept-Encoding: ${encoding}`));
        const answers = await answersOn(wire, 2);
        const contents = answers.map(({ body, headers }) => {
          return contentOf(valuesOf(headers, "content-encoding")[0] === "gzip" ? gunzipSync(body) : body);
        });
        assert.equal(contents, [["events_start", 1, 600_000, 700_000, 2], ["events_start", 1, 2]]);
        wire.socket.destroy();
      });
    }
  });
}

test("writeToSocket sends events after events_start when they are published before it was sent", async () => {
  const { app, endpoint, channel } = makeEndpoint(catalogue, OPTIONS);
  await serving(app, async (url) => {
    for (let round = 0; round < 50; round++) {
      const opening = openLines(`${url}/events`);
      await until(() => endpoint.stats().subscribers === 1, "it has subscribed");
      for (let n = 0; n < 5; n++) {
        publish(channel, n);
        for (let i = 0; i < round % 10; i++) await undefined;
      }
      const lines = await opening;
      assert.is((await lines.event()).type, "events_start");
      assert.equal((await lines.events(5)).map(({ event }) => event.n), [0, 1, 2, 3, 4]);
      await lines.close();
      await until(() => endpoint.stats().subscribers === 0, "it has disconnected");
    }
  });
});

test.run();
