/**
 * Middleware that reads, replaces or writes a response, and a server that stops.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents, type MemoryChannel } from "../../src/mod.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { openLines, openWire, serving, until, within } from "../support/harness.ts";

const catalogue = defineEvents({ note: v.object({ n: v.number(), pad: v.string() }) });

const test = suite("http: middleware");

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: 0.2, writeToSocket: true };

/** Publishes the next note. */
function publish(channel: MemoryChannel<typeof catalogue.schemas>, pad: string = ""): void {
  channel.publish("note", { n: channel.last + 1, pad });
}

const REQUEST = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";

test("GET /events ends its subscriber after a disconnect while middleware reads a copy of the stream", async () => {
  const copies: Promise<unknown>[] = [];
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    stallTimeout: null,
    middleware: [async (c, next) => {
      await next();
      copies.push(c.res.clone().text().catch(() => {}));
    }],
  });
  await serving(set.app, async (_, port) => {
    for (let i = 0; i < 5; i++) {
      const wire = await openWire(port);
      wire.write(REQUEST);
      await until(() => wire.received().includes("events_start"), "the stream has begun");
      wire.socket.destroy();
    }
    await until(() => set.endpoint.stats().subscribers === 0, "no subscriber is left");
  });
  await within(Promise.all(copies), "the copies to end");
});

test("stallTimeout does not cut off a response that replaced the stream", async () => {
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    stallTimeout: 0.3,
    middleware: [async (c, next) => {
      await next();
      let n = 0;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (n === 0) await until(() => set.endpoint.stats().subscribers === 0, "the stream has ended");
          if (++n > 5) controller.close();
          else controller.enqueue(new TextEncoder().encode(`line ${n}\n`));
        },
      });
      c.res = new Response(body);
    }],
  });
  await serving(set.app, async (url) => {
    const response = await fetch(`${url}/events`);
    publish(set.channel, "x".repeat(100));
    assert.is(await within(response.text(), "the response"), "line 1\nline 2\nline 3\nline 4\nline 5\n");
  });
});

test("writeToSocket leaves a replaced write() of the response in use", async () => {
  const seen: string[] = [];
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    middleware: [async (c, next) => {
      const { outgoing } = (c.env ?? {}) as { outgoing?: { write(chunk: Uint8Array): boolean } };
      if (outgoing !== undefined) {
        const { write } = outgoing;
        outgoing.write = function (chunk, ...rest: []) {
          seen.push(new TextDecoder().decode(chunk));
          return write.call(this, chunk, ...rest);
        };
      } else {
        // Not a server of node:http: there is no write() to replace.
        seen.push("…");
      }
      await next();
    }],
  });
  await serving(set.app, async (url) => {
    const lines = await openLines(`${url}/events`);
    await lines.event();
    publish(set.channel);
    await lines.event();
    publish(set.channel);
    assert.is((await lines.event()).event.n, 2);
    await lines.close();
  });
  assert.ok(seen[0] === "…" || seen.join("").includes(`"n":2`), seen.join(""));
});

test("stop() delivers all published events to a slow reader", async () => {
  for (const writeToSocket of [true, false]) {
    let socket: { readonly writableLength: number } | undefined;
    const set = makeEndpoint(catalogue, {
      ...OPTIONS,
      writeToSocket,
      heartbeat: null,
      middleware: [(c, next) => {
        socket = ((c.env ?? {}) as { outgoing?: { socket: typeof socket } }).outgoing?.socket;
        return next();
      }],
    });
    const server = await listen(set.app.fetch as Fetch, { host: "127.0.0.1", port: 0 });
    const wire = await openWire(server.port);
    wire.write(REQUEST);
    await until(() => wire.received().includes("events_start"), "the stream has begun");
    wire.socket.pause();
    // Publishes until the buffers of the kernel are full. Node shows that as bytes that wait in the socket; elsewhere the
    // deliveries stop.
    const isFull = (handedOut: number) =>
      socket === undefined ? handedOut < set.channel.last - 100 : socket.writableLength > 1000;
    for (let handedOut = 0; !isFull(handedOut);) {
      publish(set.channel, "x".repeat(1000));
      await new Promise((resolve) => setTimeout(resolve, 1));
      handedOut = set.endpoint.stats().formats["ndjson"]!.deliveries;
    }
    set.channel.close();
    const stopped = server.stop(25_000);
    setTimeout(() => wire.socket.resume(), 100);
    await within(stopped, "the server to stop");
    await within(wire.closed, "the connection to be closed");
    assert.ok(wire.received().includes(`"n":${set.channel.last},`), "the last event has arrived");
    assert.ok(wire.received().endsWith("0\r\n\r\n"), "the response has ended");
  }
});

test.run();
