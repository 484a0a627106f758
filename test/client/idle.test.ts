/**
 * How long a connection waits for a response, and for what follows it.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { connect, type EventsError, type Status } from "../../src/client/mod.ts";
import { timersLeftBy, until, within } from "../support/harness.ts";
import { chunkOf, line, NDJSON, type Reply, scripted, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { SOON, take, typesOf } from "./reading.ts";

const test = suite("client: idle");

test("connect() reconnects when a stream is silent for longer than its heartbeat allows", async () => {
  const replies = [
    streams(NDJSON, start("a", 0.1) + line("x", "b")),
    streams(NDJSON, start("b", 0.1) + line("y", "c")),
  ];
  await scripted(replies, async ({ url, requests, open }) => {
    const lost: EventsError[] = [];
    const connection = connect(url, {
      reconnect: SOON,
      onStatus: (status) => status.type === "lost" && lost.push(status.cause),
    });
    assert.equal(typesOf(await take(connection, 2)), ["x", "y"]);
    assert.equal(lost.map(({ code }) => code), ["Timeout"]);
    assert.match(lost[0]!.message, /nothing arrived from http:\/\/\S+\/events for 0\.25 s/);
    assert.is(requests[1]?.query.get("since"), "b");
    await until(() => open() === 1, "the dead connection is closed");
    await connection.return();
  });
});

test("connect() keeps a stream that sends heartbeats, also while the loop is slow", async () => {
  const beats: Reply = (socket, request) => {
    streams(NDJSON, start("a", 0.1) + line("x", "b"))(socket, request);
    let count = 0;
    const timer = setInterval(() => {
      socket.write(chunkOf(++count === 10 ? line("y", "c") : "\n"));
      if (count === 10) clearInterval(timer);
    }, 50);
  };
  await scripted([beats], async ({ url, requests }) => {
    const connection = connect(url);
    await take(connection, 1);
    await new Promise((resolve) => setTimeout(resolve, 300)); // Longer than the limit, and no next() waits.
    assert.equal(typesOf(await take(connection, 1)), ["y"]);
    assert.is(requests.length, 1);
    await connection.return();
  });
});

test("idleTimeout limits the wait for a response, and for its first event", async () => {
  const replies = [() => {}, streams(NDJSON, start("a", 0.01)), streams(NDJSON, start("a") + line("x", "b"))];
  await scripted(replies, async ({ url, requests }) => {
    const causes: string[] = [];
    const onStatus = (status: Status) => status.type === "waiting" && causes.push(status.cause.message);
    const connection = connect(url, { reconnect: SOON, idleTimeout: 0.2, onStatus });
    await take(connection, 1);
    await connection.return();
    assert.is(requests.length, 3);
    assert.match(causes[0]!, /^no response from \S+ for 0\.2 s$/);
    assert.match(causes[1]!, /^nothing arrived from \S+ for 0\.2 s$/);
  });
});

test("connect() reports a time-out also if the runtime rejects with an error of its own after the abort", async () => {
  const fetch = (_: unknown, { signal }: RequestInit) =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(start("a") + line("x", "b")));
          signal!.addEventListener(
            "abort",
            () => controller.error(new DOMException("aborted", "AbortError")),
          );
        },
      }),
      { headers: { "Content-Type": NDJSON } },
    );
  const connection = connect("http://localhost/", { fetch, reconnect: false, idleTimeout: 0.1 });
  await take(connection, 1);
  const error = await within(connection.next().catch((error) => error), "the time-out");
  assert.is((error as EventsError).code, "Timeout");
  assert.match((error as EventsError).message, /nothing arrived from \S+ for 0\.1 s/);
});

test("connect() sets few timers for many chunks, and leaves none", async () => {
  const { setTimeout } = globalThis;
  let timers = 0;
  const patched = (callback: () => void, ms?: number) => {
    if (ms !== 30_000) timers++;
    return setTimeout(callback, ms);
  };
  const chunks = [start("a", 0.5), ...Array.from({ length: 1000 }, (_, n) => line("x", `b${n}`))];
  const fetch = () => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
    });
    return new Response(body, { headers: { "Content-Type": NDJSON } });
  };
  Object.assign(globalThis, { setTimeout: patched });
  try {
    const left = await timersLeftBy(async () => {
      let count = 0;
      for await (const _ of connect("http://localhost/", { fetch, reconnect: false })) count++;
      assert.is(count, 1000);
    });
    assert.is(left, 0);
    assert.ok(timers < 200, `${timers} timers`);
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
});

test.run();
