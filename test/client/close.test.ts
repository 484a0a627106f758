/**
 * A connection that is closed leaves nothing open: in whichever phase and way, and with a `fetch` that ignores its signal.
 *
 * @module
 */
import type { Socket } from "node:net";
import process from "node:process";
import * as assert from "uvu/assert";
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Dictionary,
  type Status,
} from "../../src/client/mod.ts";
import { timersLeftBy, until, within } from "../support/harness.ts";
import { answers, ends, line, NDJSON, type Reply, scripted, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { manualFetch, openResponse, turns } from "./manual_fetch.ts";
import { errorOf, shop, take } from "./reading.ts";

const test = suite("client: close");

const URL = "http://127.0.0.1:1/events";

test("return() cancels a stream that opens at the same time, whichever turn it is called in", async () => {
  for (let turn = 0; turn < 15; turn++) {
    const { fetch, answer, urls } = manualFetch();
    const connection = connect(URL, { fetch, reconnect: false });
    const next = connection.next();
    await until(() => urls.length === 1, "the request");
    const { response, isCancelled } = openResponse(200);
    answer(0, response);
    await turns(turn);
    await connection.return();
    assert.equal(await within(next, "the end"), { done: true, value: undefined });
    await until(isCancelled, `the stream is cancelled after ${turn} turns`, 1000);
  }
});

test("return() cancels a stream that opens after it", async () => {
  const { fetch, answer, urls } = manualFetch();
  const connection = connect(URL, { fetch });
  const next = connection.next();
  await until(() => urls.length === 1, "the request");
  await connection.return();
  assert.equal(await within(next, "the end"), { done: true, value: undefined });
  const { response, isCancelled } = openResponse(200);
  answer(0, response);
  await until(isCancelled, "the stream is cancelled", 1000);
});

test("connect() cancels a stream that opens after its response timed out", async () => {
  const { fetch, answer, urls } = manualFetch();
  const connection = connect(URL, { fetch, idleTimeout: 0.02, reconnect: false });
  assert.is((await errorOf(connection.next())).code, "Timeout");
  assert.is(urls.length, 1);
  const { response, isCancelled } = openResponse(200);
  answer(0, response);
  await until(isCancelled, "the stream is cancelled", 1000);
});

test("connect() sends no request when headers() returns after return()", async () => {
  let answer!: (headers: HeadersInit) => void;
  const { fetch, urls } = manualFetch();
  const headers = () => new Promise<HeadersInit>((resolve) => answer = resolve);
  const connection = connect(URL, { fetch, headers });
  const next = connection.next();
  await until(() => answer !== undefined, "headers() is called");
  await connection.return();
  answer({});
  await next;
  await turns(20);
  assert.equal(urls, []);
});

test("return() cancels the body of a rejection at once while it is read, and its timer", async () => {
  const left = await timersLeftBy(async () => {
    const { fetch, answer, urls } = manualFetch();
    const connection = connect(URL, { fetch });
    const next = connection.next();
    await until(() => urls.length === 1, "the request");
    const { response, isCancelled } = openResponse(404);
    answer(0, response);
    await turns(20);
    assert.is(isCancelled(), false, "it is still read");
    await connection.return();
    await next;
    await turns(20);
    assert.is(isCancelled(), true);
  });
  assert.is(left, 0);
});

test("connect() leaves nothing open when its loop throws or it is disposed", async () => {
  await scripted(
    [streams(NDJSON, start("a"), line("x", "b")), streams(NDJSON, start("a"), line("x", "b"))],
    async ({ url, open }) => {
      const left = await timersLeftBy(async () => {
        try {
          for await (const _ of connect(url, { idleTimeout: 60 })) throw new Error("mine");
        } catch (error) {
          assert.is((error as Error).message, "mine");
        }
        await until(() => open() === 0, "its socket is closed");
        const connection = connect(url, { idleTimeout: 60 });
        await take(connection, 1);
        await connection[Symbol.asyncDispose]();
        await until(() => open() === 0, "its socket is closed");
        assert.is(connection.status.type, "closed");
      }, 60_000);
      assert.is(left, 0);
    },
  );
});

/** A signal that counts its listeners. */
function countedSignal(): { abort(): void; readonly signal: AbortSignal; listeners(): number } {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    },
    removeEventListener: (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    },
  });
  return {
    abort: () => controller.abort(new Error("no longer needed")),
    signal,
    listeners: () => listeners.size,
  };
}

const nothing: Reply = () => {};
const flood: Reply = (socket: Socket, request) => {
  streams(NDJSON, start("a"), line("x", "b").repeat(20_000))(socket, request);
};

/** When the connection is closed: what the server does, and the moment. */
const PHASES: Readonly<Record<string, { reply: Reply; until: (status: Status) => boolean; taken?: number }>> =
  {
    "while it connects": { reply: nothing, until: ({ type }) => type === "connecting" },
    "while it waits": {
      reply: answers(503, { "Retry-After": "60" }),
      until: ({ type }) => type === "waiting",
    },
    "before the first event": { reply: streams(NDJSON, start("a")), until: ({ type }) => type === "open" },
    "while a line is under way": {
      reply: streams(NDJSON, start("a") + line("x", "b") + '{"type":'),
      until: ({ type }) => type === "open",
      taken: 1,
    },
    "while no next() waits": { reply: flood, until: ({ type }) => type === "open", taken: 10 },
  };
const WAYS = ["abort()", "return()"] as const;

for (const [phase, { reply, until: moment, taken = 0 }] of Object.entries(PHASES)) {
  for (const way of WAYS) {
    test(`${way} ends the connection at once ${phase}, and leaves no timer, listener or socket`, async () => {
      await scripted([reply], async ({ url, open, requests }) => {
        const counted = countedSignal();
        const left = await timersLeftBy(async () => {
          const connection = connect(url, { signal: counted.signal, idleTimeout: 60 });
          await take(connection, taken);
          const pending = taken === 10 ? undefined : connection.next();
          await until(() => requests.length === 1 && moment(connection.status), phase);
          assert.is(counted.listeners(), 1);
          if (way === "abort()") counted.abort();
          else assert.equal(await within(connection.return(), "its end"), { done: true, value: undefined });
          const done = { done: true, value: undefined };
          if (pending !== undefined) assert.equal(await within(pending, "next()"), done);
          assert.equal(await within(connection.next(), "next()"), done);
          assert.equal(connection.status, { type: "closed" });
          await until(() => open() === 0, "its socket is closed");
        }, 60_000);
        assert.is(left, 0);
        assert.is(counted.listeners(), 0);
      });
    });
  }
}

test("abort() ends all connections of a signal, which has one listener for them, removed with the last", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  const replies = Array.from({ length: 40 }, () => streams(NDJSON, start("a") + line("x", "b")));
  await scripted(replies, async ({ url, open }) => {
    const counted = countedSignal();
    const connections = Array.from({ length: 20 }, () => connect(url, { signal: counted.signal }));
    for (const connection of connections) await take(connection, 1);
    assert.is(counted.listeners(), 1);
    for (const [index, connection] of connections.entries()) {
      assert.is(counted.listeners(), 1, `${index} were closed`);
      await connection.return();
    }
    assert.is(counted.listeners(), 0, "the last was closed");

    const others = Array.from({ length: 20 }, () => connect(url, { signal: counted.signal }));
    for (const connection of others) await take(connection, 1);
    assert.is(counted.listeners(), 1);
    counted.abort();
    assert.equal(others.map(({ status }) => status.type), others.map(() => "closed"));
    assert.is(counted.listeners(), 0);
    await until(() => open() === 0, "no socket is open");
  });
  await new Promise((resolve) => setTimeout(resolve)); // A warning is emitted in the next tick.
  process.off("warning", onWarning);
  assert.equal(warnings.filter(({ name }) => name === "MaxListenersExceededWarning"), []);
});

test("abort() before the first next() ends the connection without a request", async () => {
  await scripted([], async ({ url, requests }) => {
    for (const isEarly of [true, false]) {
      const counted = countedSignal();
      if (isEarly) counted.abort();
      const connection = connect(url, { signal: counted.signal });
      if (!isEarly) counted.abort();
      assert.is(counted.listeners(), 0);
      for await (const _ of connection) assert.unreachable();
      assert.is(counted.listeners(), 0);
    }
    assert.is(requests.length, 0);
  });
});

test("next() rejects with what a callback throws, and nothing is left open", async () => {
  const failing = () => {
    throw new Error("mine");
  };
  const text = start("a") + line("new", "b");
  const all: ConnectOptions<typeof shop.schemas>[] = [
    { onUnknown: failing },
    { headers: failing },
    { onStatus: failing },
  ];
  await scripted(all.map(() => streams(NDJSON, text)), async ({ url, open }) => {
    for (const options of all) {
      const connection = connect(url, { ...options, catalogue: shop });
      const error = await within(connection.next(), "the error").then(
        () => undefined,
        (error: Error) => error,
      );
      assert.is(error?.message, "mine");
      assert.equal(await connection.next(), { done: true, value: undefined });
      await until(() => open() === 0, "no socket is open");
    }
  });
});

test("onStatus() may call return() at every status", async () => {
  for (const moment of ["connecting", "open", "lost", "waiting"] as const) {
    await scripted([ends(NDJSON, start("a"))], async ({ url, open }) => {
      const connection: Connection<Dictionary> = connect(url, {
        onStatus: ({ type }) => type === moment && void connection.return(),
      });
      assert.equal(await within(connection.next(), moment), { done: true, value: undefined });
      await until(() => open() === 0, "no socket is open");
    });
  }
});

test("connect() cancels a body that it does not read to its end when fetch ignores its signal", async () => {
  for (const status of [200, 404, 503]) {
    let isCancelled = false;
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(10_000)),
      cancel: () => void (isCancelled = true),
    });
    const fetch = () => new Response(body, { status, headers: { "Content-Type": "text/html" } });
    await errorOf(connect("http://localhost/", { fetch, reconnect: false }).next());
    await until(() => isCancelled, `the body of a ${status} is cancelled`);
  }
});

test.run();
