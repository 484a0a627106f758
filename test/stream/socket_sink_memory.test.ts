/**
 * Nothing keeps bytes that were sent: no socket sink, whatever middleware is before the socket, and no pipeline.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "hono";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { linesOf, serving, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const catalogue = defineEvents({ note: v.object({ n: v.number(), text: v.string() }) });

const test = suite("stream: socket sink memory");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Gives each response its own `write`, as middleware for `node:http` does. */
const ownWrite: MiddlewareHandler = async (c, next) => {
  const { outgoing } = c.env as { outgoing: { write(...args: unknown[]): boolean } };
  const { write } = outgoing;
  outgoing.write = function (...args) {
    return write.apply(this, args);
  };
  await next();
};

/** The bodies of the responses that {@linkcode withheld} has kept back. */
const bodies: ReadableStream<Uint8Array>[] = [];
/** Sends nothing of the stream: the middleware reads it all. */
const withheld: MiddlewareHandler = async (c, next) => {
  await next();
  bodies.push(c.res.body!);
  c.res = undefined;
  c.res = new Response(new ReadableStream());
};

async function bytesKept(middleware: MiddlewareHandler): Promise<number> {
  const used = () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const channel = createChannel(catalogue, { history: { bytes: 300_000 } });
  const endpoint = eventsEndpoint(channel, { heartbeat: null, writeToSocket: true });
  const app = new Hono().use(middleware).route("/events", endpoint);
  let kept = 0;
  await serving(app, async (url) => {
    const disconnect = new AbortController();
    const response = fetch(`${url}/events`, { signal: disconnect.signal });
    const lines = middleware === withheld ? await linesWithheld() : linesOf((await response).body!);
    await lines.event();
    let before = 0;
    for (let n = 1; n <= 400; n++) {
      channel.publish("note", { n, text: "x".repeat(200_000) });
      assert.is((await lines.event()).event.n, n);
      if (n === 100) before = used(); // More than the cache of chunks holds.
    }
    kept = used() - before;
    await lines.close();
    disconnect.abort();
    await response.catch(() => {}); // It may have no head yet.
    await until(() => endpoint.stats().subscribers === 0, "it has disconnected");
  });
  return kept;
}

async function linesWithheld() {
  await until(() => bodies.length > 0, "the middleware has the body");
  return linesOf(bodies.pop()!);
}

test("writeToSocket keeps no bytes when the response has a write() of its own", async () => {
  const kept = await bytesKept(ownWrite);
  assert.ok(kept < 20_000_000, `${kept} of 60 million bytes are kept`);
});

test("writeToSocket keeps no bytes when middleware reads the stream and sends nothing", async () => {
  const kept = await bytesKept(withheld);
  assert.ok(kept < 20_000_000, `${kept} of 60 million bytes are kept`);
});

test("writeToSocket shares the bytes of an event among readers, and keeps none of them afterwards", async () => {
  const written: WeakRef<object>[] = [];
  const watched: MiddlewareHandler = (c, next) => {
    const { socket } = (c.env as { outgoing: { socket: { write(...args: unknown[]): boolean } } }).outgoing;
    const { write } = socket;
    socket.write = function (...args) {
      if (args[0] instanceof Uint8Array) written.push(new WeakRef(args[0]));
      return write.apply(this, args);
    };
    return next();
  };
  const channel = createChannel(catalogue);
  const app = new Hono().use(watched)
    .route("/events", eventsEndpoint(channel, { heartbeat: null, writeToSocket: true }));
  await serving(app, async (url) => {
    const readers = await Promise.all([1, 2].map(async () => linesOf((await fetch(`${url}/events`)).body!)));
    for (const lines of readers) await lines.event();
    written.length = 0;
    channel.publish("note", { n: 1, text: "secret" });
    await until(() => written.length > 0, "the event is delivered");
    assert.is(written.length, 2);
    assert.is(written[0]!.deref(), written[1]!.deref());
    for (const lines of readers) assert.is((await lines.event()).event.n, 1);
    await until(() => (collect(), written.every((ref) => ref.deref() === undefined)), "the bytes are gone");
    for (const lines of readers) await lines.close();
  });
});

test("GET /events keeps no bytes of the newest event after it was erased", async () => {
  const channel = createChannel(catalogue);
  const endpoint = eventsEndpoint(channel, { heartbeat: null });
  const reader = (await endpoint.request("/")).body!.getReader();
  await reader.read();
  const next = async () => new WeakRef((await reader.read()).value!); // The chunk itself, as all readers share it.
  channel.publish("note", { n: 1, text: "secret" }, { subject: "user/jane" });
  const chunk = await next();
  assert.is(channel.erase({ subject: "user/jane" }), 1);
  await until(() => (collect(), chunk.deref() === undefined), "the bytes are gone");
  await reader.cancel();
});

test.run();
