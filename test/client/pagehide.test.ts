/**
 * A page that is hidden disconnects, and reconnects when its timers run again, with a `fetch` that ignores its signal too.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { connect, type Status } from "../../src/client/mod.ts";
import { timersLeftBy, until, within } from "../support/harness.ts";
import { line, NDJSON, scripted, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { manualFetch, openResponse, turns } from "./manual_fetch.ts";
import { errorOf, SOON } from "./reading.ts";

const test = suite("client: pagehide");

const URL = "http://127.0.0.1:1/events";

/** Runs `use` in what looks like a browser's page. Its listeners must be gone at the end. */
async function inPage(use: (hide: () => void) => Promise<void>): Promise<void> {
  const page = globalThis as unknown as Record<string, unknown>;
  const { addEventListener, removeEventListener } = page;
  const listeners = new Set<() => void>();
  Object.assign(page, {
    addEventListener: (type: string, listener: () => void) =>
      void (type === "pagehide" && listeners.add(listener)),
    removeEventListener: (_: string, listener: () => void) => void listeners.delete(listener),
  });
  try {
    await use(() => listeners.forEach((listener) => listener()));
    assert.is(listeners.size, 0);
  } finally {
    Object.assign(page, { addEventListener, removeEventListener });
  }
}

test("connect() tries again when the page is hidden while headers() is awaited", () =>
  inPage(async (hide) => {
    const answers: ((headers: HeadersInit) => void)[] = [];
    const { fetch, urls } = manualFetch();
    const headers = () => new Promise<HeadersInit>((resolve) => answers.push(resolve));
    const connection = connect(URL, { fetch, headers, reconnect: SOON });
    const next = connection.next();
    await until(() => answers.length === 1, "headers() is called");
    hide();
    answers[0]!({});
    await until(() => answers.length === 2, "it tries again");
    answers[1]!({});
    await until(() => urls.length === 1, "the request of the second attempt");
    await connection.return();
    await next;
  }));

for (const isWaiting of [true, false]) {
  test(`connect() cancels its stream when the page is hidden while ${isWaiting ? "a" : "no"} next() waits`, () =>
    inPage(async (hide) => {
      const received: Status[] = [];
      const onStatus = (status: Status) => received.push(status);
      const { urls, answer, fetch } = manualFetch();
      const connection = connect(URL, { fetch, reconnect: SOON, onStatus });
      const first = connection.next();
      await until(() => urls.length === 1, "the request");
      const { isCancelled, response } = openResponse(200, start("a"), line("x", "b"), '{"type":');
      answer(0, response);
      assert.is((await within(first, "the event")).value?.id, "b");
      const waiting = isWaiting ? connection.next() : undefined;
      hide();
      await turns(5);
      assert.is(isCancelled(), true);
      const next = waiting ?? connection.next();
      await until(() => urls.length === 2, "the next request");
      assert.is(new globalThis.URL(urls[1]!).searchParams.get("since"), "b");
      answer(1, openResponse(200, start("b"), line("y", "c")).response);
      assert.is((await within(next, "the next event")).value?.id, "c");
      const types = received.map(({ type }) => type);
      assert.equal(types, ["connecting", "open", "lost", "waiting", "connecting", "open"]);
      const lost = received[2]!;
      assert.ok(lost.type === "lost" && lost.cause.code === "ConnectionLost");
      assert.match(lost.cause.message, /was cut off: the page was hidden$/);
      await connection.return();
    }));
}

test("connect() requests again at once when the page is hidden, and cancels the response that arrives later", () =>
  inPage(async (hide) => {
    for (const status of [200, 404]) {
      const { urls, answer, fetch } = manualFetch();
      const connection = connect(URL, { fetch, reconnect: SOON });
      const next = connection.next();
      await until(() => urls.length === 1, "the request");
      hide();
      await until(() => urls.length === 2, "the next request");
      const late = openResponse(status);
      answer(0, late.response);
      await turns(5);
      assert.is(late.isCancelled(), true, `the body of ${status}`);
      answer(1, openResponse(200, start("a"), line("x", "b")).response);
      assert.is((await within(next, "the event")).value?.id, "b");
      await connection.return();
    }
  }));

test("connect() reconnects whichever turn the page is hidden in while a stream opens", () =>
  inPage(async (hide) => {
    for (let turn = 0; turn < 15; turn++) {
      const { urls, answer, fetch } = manualFetch();
      const left = await timersLeftBy(async () => {
        const connection = connect(URL, { fetch, reconnect: SOON });
        const next = connection.next();
        await until(() => urls.length === 1, "the request");
        const { isCancelled, response } = openResponse(200);
        answer(0, response);
        await turns(turn);
        hide();
        await until(() => urls.length === 2, `the next request when hidden after ${turn} turns`);
        assert.is(isCancelled(), true, `after ${turn} turns`);
        answer(1, openResponse(200, line("x", "b")).response);
        assert.is((await within(next, "the event")).value?.id, "b");
        await connection.return();
      });
      assert.is(left, 0);
    }
  }));

test("connect() rejects with ConnectionLost when the page is hidden and reconnect is false", () =>
  inPage(async (hide) => {
    const { urls, answer, fetch } = manualFetch();
    const connection = connect(URL, { fetch, reconnect: false });
    const first = connection.next();
    await until(() => urls.length === 1, "the request");
    answer(0, openResponse(200, line("x", "a")).response);
    await within(first, "the event");
    const error = errorOf(connection.next());
    hide();
    assert.is((await error).code, "ConnectionLost");
  }));

test("connect() closes the socket of its stream when the page is hidden, and resumes", () =>
  inPage(async (hide) => {
    const replies = [
      streams(NDJSON, start("a"), line("x", "b")),
      streams(NDJSON, start("b"), line("y", "c")),
    ];
    await scripted(replies, async ({ url, requests, open }) => {
      const connection = connect(url, { reconnect: SOON });
      assert.is((await within(connection.next(), "the event")).value?.id, "b");
      hide();
      await until(() => open() === 0, "the socket is closed");
      assert.is((await within(connection.next(), "the next event")).value?.id, "c");
      assert.equal(requests.map(({ query }) => query.get("since")), [null, "b"]);
      await connection.return();
      await until(() => open() === 0, "the next socket is closed");
    });
  }));

test.run();
