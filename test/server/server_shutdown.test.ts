import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Lines, openLines, openWire, until, type Wire, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  endsWell,
  exceptions,
  FIXTURES,
  GET,
  permissionsFor,
  post,
  texts,
  told,
  withFolder,
  withServer,
} from "./server_process.ts";

const test = suite("server shutdown");

test("SIGINT, SIGTERM: what is queued goes out, streams end on a whole line, a stalled reader holds up nothing", async () => {
  // At the same time, because a stalled reader costs each of them its whole grace.
  await Promise.all([stopsWell("SIGINT"), stopsWell("SIGTERM")]);
});

async function stopsWell(signal: "SIGINT" | "SIGTERM"): Promise<void> {
  await withFolder((folder) =>
    withServer(["--watch-folder", folder], async ({ url, port, child }) => {
      const stalled = await openWire(port);
      stalled.socket.pause();
      stalled.write(GET);
      const wires = [await openWire(port), await openWire(port)];
      for (const wire of wires) wire.write(GET);
      // These read nothing before the signal: what they miss is queued by then.
      const late: Lines[] = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
      const slow = await openWire(port);
      slow.write("GET /ev"); // It never gets to the end of its request.
      await until(
        () => wires.every((wire) => wire.received().includes("events_start")),
        "the streams are open",
      );

      for (let n = 0; n < 12; n++) await post(url, exceptions(1, 800_000)); // More than sockets buffer.
      await post(url, exceptions(10));
      const begin = performance.now();
      child.signal(signal);
      // Nobody is told of it any more, and that is no problem to speak of.
      await copyFile(`${FIXTURES}leaves.torrent`, join(folder, "leaves.torrent"));
      child.signal(signal); // A terminal tells the whole group, and so npm tells it once more.
      // Fails where a stream ends in the middle of a line.
      const endings = Promise.all(late.map((lines) => within(lines.rest(), "the end of a stream")));
      endings.catch(() => {}); // Awaited below, after what may fail before.
      await endsWell(child);
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

/** All of the events came, and the server ended the response (RFC 9112 7.1) after a whole line. */
function assertWholeLines(wire: Wire): void {
  const tail = wire.received().slice(-4000);
  for (let n = 0; n < 10; n++) assert.ok(tail.includes(`"event":{"text":"${n}"}`), tail);
  assert.match(tail, /"time":"[^"]+"\}\n\r\n0\r\n\r\n$/);
}

test("ends soon where nobody is stalled, and takes no new connection meanwhile", async () => {
  await withServer([], async ({ url, child }) => {
    const streams = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
    for (const lines of streams) await told(lines, "events_start");
    const begin = performance.now();
    child.signal("SIGTERM");
    for (const lines of streams) assert.equal(await within(lines.rest(), "the end of a stream"), []);
    await endsWell(child);
    assert.ok(performance.now() - begin < 2900, `it took ${performance.now() - begin} ms to end`);
    const refused = await fetch(`${url}/healthz`).then(() => false, () => true);
    assert.ok(refused, "nobody listens any more");
  });
});

test("who is in the middle of something when the server stops is told: SSE when to come back, a POST that it failed", async () => {
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
    // Nobody waits for the rest of the body, which may never come.
    await until(() => slow.received().includes("\r\n\r\n"), "the answer to the POST");
    assert.match(slow.received(), /^HTTP\/1\.1 503 [^]*"code":"ChannelClosed"/);
    assert.match(slow.received(), /^retry-after: \d+\r$/im);
    await endsWell(child);
  });
});

test("--drain: /healthz says that it is about to stop while everything else is as before; then it stops", async () => {
  await withServer(["--drain", "3"], async ({ url, child }) => {
    const health = () => fetch(`${url}/healthz`).then(({ status }) => status);
    const lines = await openLines(`${url}/events`);
    await told(lines, "events_start");
    assert.is(await health(), 200);
    child.signal("SIGTERM");
    await until(async () => await health() === 503, "it says so");
    await post(url, exceptions(1));
    await told(lines, "tribler_exception");
    const another = await openLines(`${url}/events`);
    await told(another, "events_start");
    for (const stream of [lines, another]) {
      assert.equal(await within(stream.rest(), "the end of a stream"), []);
    }
    await endsWell(child);
  });
});

test.run();
