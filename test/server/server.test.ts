import * as assert from "uvu/assert";
import { createApp } from "../../src/server/app.ts";
import { createSession, triblerEvents } from "../../src/tribler/mod.ts";
import { running, startProgram } from "../support/children.ts";
import { type Dictionary, openLines, openWire, until, within } from "../support/harness.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { exceptions, keptSince, nextEvent, post, texts, withServer } from "./server_process.ts";

const test = suite("server");

test("serve prints the addresses of its events and its page, and sends a browser from the one to the other", async () => {
  await withServer([], async ({ url, port, child }) => {
    assert.is(url, `http://127.0.0.1:${port}`);
    const [events, page, ...more] = await child.stdout.take(2);
    assert.match(events!, /^events-endpoint \S+ listens on http:\/\/127\.0\.0\.1:\d+\/events$/);
    assert.equal([page, more], [`Its page is ${url}/`, []]);
    // `fetch` does not let a header say how it navigates.
    const browser = await openWire(port);
    try {
      browser.write("GET /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate\r\n\r\n");
      await until(() => browser.received().includes("\r\n\r\n"), "an answer");
      assert.match(browser.received(), /^HTTP\/1\.1 303 [^]*\r\nlocation: \.\/\r\n/i);
      // The other runtimes do not announce it.
      if (runtimeUnderTest().startsWith("node")) assert.match(browser.received(), /Keep-Alive: timeout=75/);
    } finally {
      browser.socket.destroy();
    }
    const lines = await openLines(`${url}/events`);
    const start = await nextEvent(lines, "events_start");
    assert.equal(start.event, { tribler_started: true, version: start.event.version, heartbeat: 5 });
    assert.match(start.event.version, /^\d+\.\d+\.\d+/);
    await lines.close();
    assert.equal(child.stderr.lines, []);
  });
});

test("serve --history limits what since=earliest replays, and reports the loss to a reader that resumes before it", async () => {
  await withServer(["--history", "3"], async ({ url }) => {
    const [, started] = await keptSince(url, "earliest");
    await post(url, exceptions(6));
    const [, ...kept] = await keptSince(url, "earliest");
    assert.equal(texts(kept), ["3", "4", "5"]);
    assert.is(kept.length, 3);
    const [, lost, ...resumed] = await keptSince(url, started!.id);
    assert.equal(lost?.event, { reason: "history_expired", count: 3 });
    assert.equal(texts(resumed), ["3", "4", "5"]);
  });
});

test("serve --heartbeat sets the time between empty lines", async () => {
  await withServer(["--heartbeat", "0.2"], async ({ url }) => {
    const begin = performance.now();
    const lines = await openLines(`${url}/events`);
    assert.is((await nextEvent(lines, "events_start")).event.heartbeat, 0.2);
    for (let beat = 0; beat < 5; beat++) assert.is(await lines.next(), "");
    const took = performance.now() - begin;
    // A busy machine may be late, never early.
    assert.ok(took > 990 && took < 5000, `5 heartbeats took ${took} ms`);
    await post(url, exceptions(1));
    await nextEvent(lines, "tribler_exception");
    await lines.close();
  });
});

test("GET /healthz answers 200 while the server runs, and 503 once its channel is closed", async () => {
  await withServer([], async ({ url }) => {
    const response = await within(fetch(`${url}/healthz`), "/healthz");
    assert.is(response.status, 200);
    assert.equal(await response.json(), { status: "serving" });
  });
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5 });
  assert.is((await app.request("/healthz")).status, 200);
  session.channel.close();
  const closing = await app.request("/healthz");
  assert.is(closing.status, 503);
  assert.equal(await closing.json(), { status: "shutting down" });
});

test("GET /healthz and GET /metrics report the problem of a channel, with status 200", async () => {
  const session = createSession({ version: "7.1.5" });
  let problem: string | undefined;
  const channel = Object.defineProperty(session.channel, "problem", { get: () => problem });
  const app = createApp({ ...session, channel }, { heartbeat: 5 });
  const gauge = async () =>
    /^events_endpoint_degraded (\d)$/m.exec(await (await app.request("/metrics")).text())?.[1];
  assert.is(await gauge(), "0");
  problem = "the store is away";
  const degraded = await app.request("/healthz");
  assert.is(degraded.status, 200);
  assert.equal(await degraded.json(), { status: "degraded", problem });
  assert.is(await gauge(), "1");
  problem = undefined;
  assert.equal(await (await app.request("/healthz")).json(), { status: "serving" });
  assert.is(await gauge(), "0");
});

test("serve answers 404 in the shape of Tribler's errors for a path that does not exist", async () => {
  await withServer([], async ({ url }) => {
    const cases = [["GET", "/nothing"], ["POST", "/nothing"], ["GET", "/events/more"]];
    for (const [method = "", path] of cases) {
      const response = await within(fetch(`${url}${path}`, { method }), `${method} ${path}`);
      assert.is(response.status, 404, `${method} ${path}`);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json\b/);
      const { error } = await response.json();
      assert.equal(Object.keys(error), ["handled", "code", "message"]);
      assert.equal([error.handled, error.code], [true, "NotFound"]);
      assert.match(error.message, new RegExp(`${method} ${path}`));
    }
  });
});

test("serve answers 400 on every route when Host and path make no URL", async () => {
  await withServer([], async ({ port }) => {
    for (const path of ["/healthz", "/events", "/metrics"]) {
      const wire = await openWire(port);
      wire.write(`GET ${path} HTTP/1.1\r\nHost: 999.999.999.999\r\nConnection: close\r\n\r\n`);
      await within(wire.closed, "the answer");
      assert.match(wire.received(), /^HTTP\/1\.1 400 [^]*"code":"InvalidParameter"/, path);
    }
  });
});

test("HEAD answers as GET does on every route, without a body", async () => {
  await withServer([], async ({ url, port }) => {
    for (
      const path of ["/events", "/events?since=earliest", "/events?since=nonsense", "/healthz", "/nothing"]
    ) {
      const leave = new AbortController();
      const get = await within(fetch(url + path, { signal: leave.signal }), `GET ${path}`);
      const wire = await openWire(port);
      wire.write(`HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
      await within(wire.closed, `the end of HEAD ${path}`);
      const [status, ...headers] = wire.received().split("\r\n");
      assert.match(status!, new RegExp(`^HTTP/1\\.1 ${get.status} `), path);
      assert.ok(wire.received().endsWith("\r\n\r\n"), `${path}: ${wire.received()}`);
      assert.is(wire.received().split("\r\n\r\n").length, 2, `${path}: ${wire.received()}`);
      const type = headers.find((header) => /^content-type:/i.test(header));
      assert.is(type?.slice(type.indexOf(":") + 1).trim(), get.headers.get("content-type"), path);
      leave.abort();
      await get.body?.cancel().catch(() => {});
    }
  });
});

/** Every event of Tribler but `events_start`, which the stream sends by itself. */
const drafts = triblerEvents.types.map((type) => {
  const event = triblerPayloads[type as keyof typeof triblerPayloads];
  return event === undefined ? { type } : { type, event };
});

test("GET /events delivers every event of Tribler to curl and jq, in order and unchanged, one a line", async () => {
  assert.is(drafts.length, 25);
  await withServer([], async ({ url }) => {
    await running(startProgram("curl", ["-sN", `${url}/events`]), async (curl) => {
      await curl.stdout.take(1);
      const refused = await fetch(`${url}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ type: "events_start", event: triblerPayloads.events_start }),
      });
      assert.is(refused.status, 400);
      assert.is((await refused.json()).error.code, "InvalidEvent");

      // One by one, as an array, and as lines.
      for (const draft of drafts.slice(0, 12)) await post(url, draft);
      await post(url, drafts.slice(12, 18));
      const lines = drafts.slice(18).map((draft) => `${JSON.stringify(draft)}\n`).join("");
      await post(url, lines, { "Content-Type": "application/x-ndjson" });

      const received = (await curl.stdout.take(26)).map((line) => JSON.parse(line) as Dictionary);
      const [start, ...events] = received;
      assert.equal(Object.keys(start!), ["type", "event", "id", "time"]);
      assert.is(start?.type, "events_start");
      assert.type(start?.event.tribler_started, "boolean");
      assert.type(start?.event.version, "string");
      assert.equal(events.map(({ id: _, time: __, subject: ___, ...sent }) => sent), drafts);
      const positions = events.map(({ id }) => Number(id.split("-")[1]));
      assert.equal(positions, events.map((_, n) => positions[0]! + n), "ids without gaps");
      for (const { time } of received) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

      await jqReads(`${url}/events?follow=false&since=${start!.id}`, drafts);
      assert.is(curl.stdout.lines.length, 26, "nothing else came");
    });
  });
});

/** Pipes the stream through jq, if this machine has it. */
async function jqReads(url: string, expected: readonly unknown[]): Promise<void> {
  const filter = 'select(.type != "events_start") | del(.id, .time, .subject)';
  const jq = startProgram("sh", ["-c", `command -v jq >&2 && curl -sN '${url}' | jq -c '${filter}'`]);
  await running(jq, async ({ stdout, stderr, exit }) => {
    const { code } = await exit();
    if (stderr.lines.length === 0) return;
    assert.is(code, 0, stderr.lines.join("\n"));
    assert.equal(stdout.lines.map((line) => JSON.parse(line)), expected);
  });
}

test.run();
