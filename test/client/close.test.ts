/**
 * A connection that is closed leaves nothing open, in whichever phase of an attempt, and with a `fetch` that ignores its signal.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { connect, type ConnectOptions } from "../../src/client/mod.ts";
import { timersLeftBy, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("client close");

const URL = "http://127.0.0.1:1/events";
const NDJSON = { "Content-Type": "application/x-ndjson" };

/** A stream that stays open, and whether it was cancelled. */
function openStream(status = 200) {
  const state = { cancelled: false };
  const body = new ReadableStream<Uint8Array>({ cancel: () => void (state.cancelled = true) });
  return { state, response: new Response(body, { status, headers: NDJSON }) };
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

test("return() cancels the body of a rejection at once while it is read, and its timer", async () => {
  const left = await timersLeftBy(async () => {
    const { fetch, answer, calls } = manualFetch();
    const connection = connect(URL, { fetch });
    const next = connection.next();
    await until(() => calls.length === 1, "the request");
    const { state, response } = openStream(404);
    answer(response);
    await turns(20);
    assert.is(state.cancelled, false, "it is still read");
    await connection.return();
    await next;
    await turns(20);
    assert.is(state.cancelled, true);
  });
  assert.is(left, 0);
});

test.run();
