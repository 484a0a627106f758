/**
 * A connection that is closed leaves nothing open, in whichever phase of an attempt, and with a `fetch` that ignores its signal.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { connect, type ConnectOptions } from "../../src/client/mod.ts";
import { until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("client close");

const URL = "http://127.0.0.1:1/events";
const NDJSON = { "Content-Type": "application/x-ndjson" };

/** A stream that stays open, and whether it was cancelled. */
function openStream() {
  const state = { cancelled: false };
  const body = new ReadableStream<Uint8Array>({ cancel: () => void (state.cancelled = true) });
  return { state, response: new Response(body, { headers: NDJSON }) };
}

/** Lets everything happen that waits for nothing but its turn. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null;
}

/** A `fetch` that ignores its signal, answered when the test says so. */
function manualFetch() {
  let answer!: (response: Response) => void;
  const calls: string[] = [];
  const fetch: ConnectOptions["fetch"] = (url) => {
    calls.push(url);
    return new Promise((resolve) => answer = resolve);
  };
  return { calls, fetch, answer: (response: Response) => answer(response) };
}

test("a stream that opens around close() is cancelled, whichever turn close() comes in", async () => {
  for (let turn = 0; turn < 12; turn++) {
    const { fetch, answer, calls } = manualFetch();
    const connection = connect(URL, { fetch, reconnect: false });
    const next = connection.next();
    await until(() => calls.length === 1, "the request");
    const { state, response } = openStream();
    answer(response);
    await turns(turn);
    await connection.return();
    assert.equal(await within(next, "the end"), { done: true, value: undefined });
    await until(() => state.cancelled, `the stream is cancelled after ${turn} turns`, 1000);
  }
});

test("a stream that opens after close() is cancelled", async () => {
  const { fetch, answer, calls } = manualFetch();
  const connection = connect(URL, { fetch });
  const next = connection.next();
  await until(() => calls.length === 1, "the request");
  await connection.return();
  await next;
  const { state, response } = openStream();
  answer(response);
  await until(() => state.cancelled, "the stream is cancelled", 1000);
});

test("a stream that opens after its response timed out is cancelled", async () => {
  const { fetch, answer, calls } = manualFetch();
  const connection = connect(URL, { fetch, idleTimeout: 0.02, reconnect: false });
  await within(
    connection.next().then(() => assert.unreachable(), (error) => assert.is(error.code, "Timeout")),
    "the time-out",
  );
  assert.is(calls.length, 1);
  const { state, response } = openStream();
  answer(response);
  await until(() => state.cancelled, "the stream is cancelled", 1000);
});

test("no request is sent when headers() returns after close()", async () => {
  let answer!: (headers: HeadersInit) => void;
  const { fetch, calls } = manualFetch();
  const headers = () => new Promise<HeadersInit>((resolve) => answer = resolve);
  const connection = connect(URL, { fetch, headers });
  const next = connection.next();
  await until(() => answer !== undefined, "headers() is called");
  await connection.return();
  answer({});
  await next;
  await turns(20);
  assert.equal(calls, []);
});

test("connect() tries again when the page is hidden while headers() is awaited", async () => {
  const answers: ((headers: HeadersInit) => void)[] = [];
  const { fetch, calls } = manualFetch();
  const headers = () => new Promise<HeadersInit>((resolve) => answers.push(resolve));
  const page = globalThis as unknown as Record<string, unknown>;
  const { addEventListener, removeEventListener } = page;
  const hide = new Set<() => void>();
  Object.assign(page, {
    addEventListener: (type: string, listener: () => void) =>
      void (type === "pagehide" && hide.add(listener)),
    removeEventListener: (_: string, listener: () => void) => void hide.delete(listener),
  });
  try {
    const connection = connect(URL, { fetch, headers, reconnect: { min: 0.001, max: 0.001 } });
    const next = connection.next();
    await until(() => answers.length === 1, "headers() is called");
    for (const listener of hide) listener();
    answers[0]!({});
    await until(() => answers.length === 2, "it tries again");
    answers[1]!({});
    await until(() => calls.length === 1, "the request of the second attempt");
    await connection.return();
    await next;
    assert.is(hide.size, 0);
  } finally {
    Object.assign(page, { addEventListener, removeEventListener });
  }
});

test("the body of a rejection is cancelled when close() comes while it is read", async () => {
  const { fetch, answer, calls } = manualFetch();
  const connection = connect(URL, { fetch });
  const next = connection.next();
  await until(() => calls.length === 1, "the request");
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
  answer(new Response(body, { status: 404 }));
  await turns(5);
  await connection.return();
  await next;
  await until(() => cancelled, "the body is cancelled", 2000);
});

test.run();
