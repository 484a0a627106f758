import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Lines, openLines, openWire, until, type Wire, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  exceptions,
  exitsCleanly,
  FIXTURES,
  GET,
  nextEvent,
  permissionsFor,
  post,
  texts,
  withFolder,
  withServer,
} from "./server_process.ts";

const test = suite("server shutdown");

test("serve delivers what is queued and ends streams on a whole line at SIGINT and SIGTERM, beside a stalled reader", async () => {
  // Side by side: with a stalled reader, each takes the whole grace of 3 s.
  await Promise.all([stopsCleanly("SIGINT"), stopsCleanly("SIGTERM")]);
});

async function stopsCleanly(signal: "SIGINT" | "SIGTERM"): Promise<void> {
  await withFolder((folder) =>
    withServer(["--watch-folder", folder], async ({ url, port, child }) => {
      const stalled = await openWire(port);
      stalled.socket.pause();
      stalled.write(GET);
      const wires = [await openWire(port), await openWire(port)];
      for (const wire of wires) wire.write(GET);
      // These read nothing before the signal: their events are queued by then.
      const late: Lines[] = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
      const slow = await openWire(port);
      slow.write("GET /ev"); // The end of its request never comes.
      await until(
        () => wires.every((wire) => wire.received().includes("events_start")),
        "the streams are open",
      );

      for (let n = 0; n < 12; n++) await post(url, exceptions(1, 800_000)); // More than sockets buffer.
      await post(url, exceptions(10));
      const begin = performance.now();
      child.signal(signal);
      // It is not reported any more, and nothing is logged about it.
      await copyFile(`${FIXTURES}leaves.torrent`, join(folder, "leaves.torrent"));
      child.signal(signal); // npm passes on what a terminal has sent to the whole group.
      // Fails where a stream ends in the middle of a line.
      const endings = Promise.all(late.map((lines) => within(lines.rest(), "the end of a stream")));
      endings.catch(() => {}); // Awaited below, after what may fail before.
      await exitsCleanly(child);
      const took = performance.now() - begin;
      assert.ok(took < 5000, `it took ${took} ms to end`);

      for (const events of await endings) assert.equal(texts(events).slice(12), texts(exceptions(10)));
      for (const wire of wires) {
        await within(wire.closed, "the end of a connection");
        assertWholeLines(wire);
      }
      await within(slow.closed, "the end of the connection without a request");
      stalled.socket.destroy();
    }, permissionsFor(folder))
  );
}

/** Checks that all events came, and that the response ended (RFC 9112 7.1) after a whole line. */
function assertWholeLines(wire: Wire): void {
  const tail = wire.received().slice(-4000);
  for (let n = 0; n < 10; n++) assert.ok(tail.includes(`"event":{"text":"${n}"}`), tail);
  assert.match(tail, /"time":"[^"]+"\}\n\r\n0\r\n\r\n$/);
}

test("serve stops before the grace is over and accepts no connection when no reader is stalled", async () => {
  await withServer([], async ({ url, child }) => {
    const streams = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
    for (const lines of streams) await nextEvent(lines, "events_start");
    const begin = performance.now();
    child.signal("SIGTERM");
    for (const lines of streams) assert.equal(await within(lines.rest(), "the end of a stream"), []);
    await exitsCleanly(child);
    assert.ok(performance.now() - begin < 2900, `it took ${performance.now() - begin} ms to end`);
    const refused = await fetch(`${url}/healthz`).then(() => false, () => true);
    assert.ok(refused, "the port is closed");
  });
});

test("serve ends SSE with a retry time and answers a POST whose body is incomplete with 503 when it stops", async () => {
  await withServer([], async ({ url, port, child }) => {
    const body = JSON.stringify(exceptions(1));
    const slow = await openWire(port);
    slow.write("POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n");
    slow.write(`Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    const streams = await Promise.all(
      [1, 2, 3].map(() => within(fetch(`${url}/events?format=sse`), "the stream")),
    );
    const texts = Promise.all(streams.map((response) => within(response.text(), "the end of a stream")));
    texts.catch(() => {}); // Awaited below, after what may fail before.
    child.signal("SIGTERM");
    const retries = (await texts).map((text) => /\n\nretry: ([2-4]\d{3})\n$/.exec(text)?.[1]);
    assert.equal((await texts).map((text) => text.match(/^retry: /gm)!.length), [2, 2, 2], "at both ends");
    assert.ok(retries.every((retry) => retry !== undefined), `${retries}`);
    // The server does not wait for the rest of the body, which may never come.
    await until(() => slow.received().includes("\r\n\r\n"), "the answer to the POST");
    assert.match(slow.received(), /^HTTP\/1\.1 503 [^]*"code":"ChannelClosed"/);
    assert.match(slow.received(), /^retry-after: \d+\r$/im);
    await exitsCleanly(child);
  });
});

test("serve --drain fails /healthz and serves on for that time before it stops", async () => {
  await withServer(["--drain", "3"], async ({ url, child }) => {
    const health = () => fetch(`${url}/healthz`).then(({ status }) => status);
    const lines = await openLines(`${url}/events`);
    await nextEvent(lines, "events_start");
    assert.is(await health(), 200);
    child.signal("SIGTERM");
    await until(async () => await health() === 503, "/healthz fails");
    await post(url, exceptions(1));
    await nextEvent(lines, "tribler_exception");
    const another = await openLines(`${url}/events`);
    await nextEvent(another, "events_start");
    for (const stream of [lines, another]) {
      assert.equal(await within(stream.rest(), "the end of a stream"), []);
    }
    await exitsCleanly(child);
  });
});

test.run();
