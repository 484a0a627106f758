import { Hono } from "hono";
import * as assert from "uvu/assert";
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Dictionary,
  type EventsError,
  type Status,
} from "../../src/client/mod.ts";
import { createChannel, eventsEndpoint } from "../../src/mod.ts";
import { serving, until, within } from "../support/harness.ts";
import { answers, cuts, ends, line, NDJSON, scripted, SSE, start, streams } from "../support/scripted.ts";
import { suite } from "../support/suite.ts";
import { errorOf, shop, SOON, take, typesOf } from "./reading.ts";

const test = suite("client: connect");

test("connect() yields the events of the catalogue, and reports its cursor and its status", async () => {
  const channel = createChannel(shop);
  const endpoint = eventsEndpoint(channel);
  await serving(new Hono().route("/events", endpoint), async (url) => {
    channel.publish("placed", { n: 1 });
    channel.publish("closed");
    const statuses: Status[] = [];
    const connection = connect(`${url}/events`, {
      catalogue: shop,
      since: "earliest",
      onStatus: (status) => statuses.push(status),
    });
    assert.equal(connection.status, { type: "connecting", attempt: 1 });
    assert.is(connection.lastId, undefined);
    const seen: unknown[] = [];
    for await (const event of connection) {
      assert.is(connection.lastId, event.id);
      seen.push(event.type === "placed" ? event.event.n : event.type);
      if (event.type === "closed") break;
    }
    assert.equal(seen, [1, "closed"]);
    assert.equal(typesOf(statuses), ["connecting", "open", "closed"]);
    const open = statuses[1]!;
    assert.ok(open.type === "open" && open.start?.id === `${channel.epoch}-0` && !open.resumed);
    assert.is(connection.status, statuses.at(-1));
    await until(() => endpoint.stats().subscribers === 0, "the server has seen the disconnect");
    for await (const _ of connection) assert.unreachable("the connection has ended");
  });
});

test("connect() sends no request before the first next()", async () => {
  await scripted([streams(NDJSON, start("a"), line("x", "b"))], async ({ url, requests }) => {
    const connection = connect(url);
    // If it sent one at once, that would arrive before the one that is sent here.
    await scripted([answers(200)], async (other) => void await (await fetch(other.url)).text());
    assert.is(requests.length, 0);
    await take(connection, 1);
    assert.is(requests.length, 1);
    await connection.return();
  });
});

test("lastId follows the events that next() returned, not those that were received", async () => {
  const text = start("a") + line("x", "b") + line("y", "c") + "\n" + line("z", "d");
  await scripted([streams(NDJSON, text)], async ({ url }) => {
    const connection = connect(url);
    const ids: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      await take(connection, 1);
      ids.push(connection.lastId);
    }
    assert.equal(ids, ["b", "c", "d"]);
    await connection.return();
    assert.is(connection.lastId, "d", "after return()");
  });
});

test("lastId follows events_start, bookmarks, and blocks with nothing but an id, each in its turn", async () => {
  const block = (type: string, id: string) => `id: ${id}\nevent: ${type}\ndata: ${line(type, id)}\n`;
  const replies = [
    ends(NDJSON, start("a")),
    ends(NDJSON, start("a") + line("x", "b") + line("events_bookmark", "c")),
    ends(SSE, `retry: 1\n\n${block("events_start", "c")}:\n\nid: d\n\n${block("y", "e")}id: f\n\n`),
    streams(SSE, `${block("events_start", "f")}${block("z", "g")}`),
  ];
  await scripted(replies, async ({ url, requests }) => {
    const connection = connect(url, { reconnect: SOON });
    const seen: unknown[] = [];
    for await (const { type } of connection) {
      seen.push([type, connection.lastId]);
      if (type === "z") break;
    }
    assert.equal(seen, [["x", "b"], ["y", "e"], ["z", "g"]]);
    assert.equal(requests.map(({ query }) => query.get("since")), [null, "a", "c", "f"]);
  });
});

test("onStatus() reports whether a stream resumed after the cursor that was sent", async () => {
  const opened: unknown[] = [];
  const onStatus = (status: Status) => {
    if (status.type === "open") opened.push([status.start?.id, status.resumed]);
  };
  const replies = [
    ends(NDJSON, start("a"), line("x", "b")),
    ends(NDJSON, start("b"), line("x", "c")),
    ends(NDJSON, start("elsewhere"), line("x", "1")), // It ignores the cursor that was sent.
    ends(NDJSON, line("events_start"), line("x")),
    ends(NDJSON, line("x", "2")),
    ends(NDJSON, line("x")),
  ];
  await scripted(replies, async ({ url }) => {
    const connection = connect(url, { reconnect: SOON, onStatus });
    await take(connection, 6);
    await connection.return();
    assert.equal(opened, [
      ["a", false],
      ["b", true],
      ["elsewhere", false],
      [undefined, false],
      [undefined, true], // No events_start, but cursors, as of any SSE server.
      [undefined, false],
    ]);
  });
  for (const [since, resumed] of [["a", true], ["earliest", false], ["latest", false]] as const) {
    opened.length = 0;
    await scripted([streams(NDJSON, start("a"), line("x", "b"))], async ({ url, requests }) => {
      const connection = connect(url, { since, onStatus });
      assert.is(connection.lastId, since === "a" ? "a" : undefined);
      await take(connection, 1);
      await connection.return();
      assert.is(requests[0]?.query.get("since"), since);
      assert.equal(opened, [["a", resumed]]);
    });
  }
});

test("next() settles every call in order when several are pending", async () => {
  await scripted([streams(NDJSON, start("a"), line("x", "b"), line("y", "c"))], async ({ url }) => {
    const connection = connect(url);
    const pending = [connection.next(), connection.next(), connection.next(), connection.next()];
    assert.is((await within(pending[0]!, "the first")).value?.type, "x");
    assert.is((await within(pending[1]!, "the second")).value?.type, "y");
    assert.equal(await within(connection.return(), "its end"), { done: true, value: undefined });
    for (const next of pending.slice(2)) assert.equal(await next, { done: true, value: undefined });
    assert.equal(await connection.next(), { done: true, value: undefined });
  });
});

test("next() rejects once, and is done after that", async () => {
  await scripted(
    [streams(NDJSON, start("a") + line("x", "b") + "{}\n" + line("y", "c"))],
    async ({ url, open }) => {
      const statuses: Status[] = [];
      const connection = connect(url, { onStatus: (status) => statuses.push(status) });
      const pending = [connection.next(), connection.next(), connection.next()];
      assert.is((await within(pending[0]!, "the event")).value?.type, "x");
      assert.is((await errorOf(pending[1]!)).code, "InvalidLine");
      assert.equal(await pending[2], { done: true, value: undefined });
      assert.equal(await connection.next(), { done: true, value: undefined });
      const last = statuses.at(-1)!;
      assert.ok(last.type === "closed" && last.cause?.code === "InvalidLine");
      await until(() => open() === 0, "its socket is closed");
    },
  );
});

test("connect() reads no more than its loop consumes, which slows the server", async () => {
  const chunk = new TextEncoder().encode(line("x", "b", { pad: "x".repeat(1000) }).repeat(60));
  const BOUND = 64 * 1024 * 1024;
  let sent = 0;
  const body = () =>
    new ReadableStream({
      pull: async (controller) => {
        sent += chunk.length;
        controller.enqueue(chunk);
        // Without a pause the server's own turn of the event loop would never end.
        await new Promise((resolve) => setTimeout(resolve, 0));
      },
    });
  const app = { fetch: () => new Response(body(), { headers: { "Content-Type": NDJSON } }) };
  await serving(app, async (url) => {
    const connection = connect(url);
    await take(connection, 10);
    /** Waits until the server has stopped sending, or has sent too much. */
    async function settled(): Promise<number> {
      for (let before = -1; before !== sent && sent < BOUND;) {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      return sent;
    }
    const first = await within(settled(), "a pause of the server", 60_000);
    assert.ok(first < BOUND, `it has sent ${first} bytes for ten events`);
    while (sent === first) await take(connection, 100);
    await connection.return();
  });
});

test("headers and apiKey are sent with every request, and headers() is called for each attempt", async () => {
  const replies = [
    streams(NDJSON, line("x")),
    answers(503),
    ends(NDJSON, line("x", "a")),
    streams(NDJSON, line("x", "b")),
  ];
  await scripted(replies, async ({ url, requests }) => {
    const plain = connect(url, { headers: { "X-Own": "1" }, apiKey: "secret" });
    await take(plain, 1);
    await plain.return();
    assert.is(requests[0]?.headers.get("x-own"), "1");
    assert.is(requests[0]?.headers.get("x-api-key"), "secret");
    assert.match(requests[0]?.headers.get("accept") ?? "", /^application\/x-ndjson, text\/event-stream/);

    const calls: unknown[] = [];
    const headers: ConnectOptions["headers"] = (request) => {
      calls.push(request);
      return Promise.resolve({ "X-Count": `${calls.length}`, Accept: "text/event-stream" });
    };
    const calling = connect(url, { headers, reconnect: SOON });
    await take(calling, 2);
    await calling.return();
    assert.equal(requests.slice(1).map((one) => one.headers.get("x-count")), ["1", "2", "3"]);
    assert.is(requests[1]?.headers.get("accept"), "text/event-stream");
    assert.equal(calls, [1, 2, 3].map((attempt) => ({ attempt, unauthorized: false })));
  });
});

test("lastId is known when onStatus() reports an open stream, and ignores an event that was never returned", async () => {
  for (const [text, lastId] of [[start("a") + line("x", "b"), "a"], [line("x", "b"), undefined]] as const) {
    await scripted([streams(NDJSON, text)], async ({ url }) => {
      let atOpen: unknown = "it never opened";
      const connection: Connection<Dictionary> = connect(url, {
        onStatus: ({ type }) => {
          if (type !== "open") return;
          atOpen = connection.lastId;
          void connection.return();
        },
      });
      assert.equal(await within(connection.next(), "its end"), { done: true, value: undefined });
      assert.equal([atOpen, connection.lastId], [lastId, lastId]);
    });
  }
});

test("reconnect: false ends with the stream, and rejects when the stream is cut off", async () => {
  const replies = [
    ends(NDJSON, start("a") + line("x", "b")),
    ends(NDJSON, start("a") + line("x", "b").slice(0, -1)),
    cuts(NDJSON, start("a")),
    answers(503),
  ];
  await scripted(replies, async ({ url }) => {
    const seen: string[] = [];
    for await (const { type } of connect(url, { reconnect: false })) seen.push(type);
    assert.equal(seen, ["x"]);
    for (const code of ["ConnectionLost", "ConnectionLost", "Unavailable"]) {
      assert.is((await errorOf(connect(url, { reconnect: false }).next())).code, code);
    }
  });
});

test("connect() rejects invalid options at once", () => {
  const url = "http://localhost/";
  for (const idleTimeout of [0, -1, NaN, Infinity, 1e10]) {
    assert.throws(() => connect(url, { idleTimeout }), /idleTimeout must be a number of seconds above 0/);
  }
  assert.throws(() => connect(url, { maxLineBytes: 0 }), /maxLineBytes/);
  assert.throws(() => connect(url, { reconnect: { min: 0 } }), /reconnect\.min/);
  assert.throws(() => connect(url, { reconnect: { max: NaN } }), /reconnect\.max/);
  const message = /reconnect\.min must be at most reconnect\.max, not 60 with its default of 30/;
  assert.throws(() => connect(url, { reconnect: { min: 60 } }), message);
  assert.throws(() => connect(url, { reconnect: { min: 2, max: 1 } }), /not 2 with 1/);
  connect(url, { reconnect: { max: 0.1 } }).return?.();
  assert.throws(() => connect(url, { reconnect: { maxAttempts: 0 } }), /reconnect\.maxAttempts/);
  assert.throws(() => connect(url, { reconnect: { maxRetryAfter: 0 } }), /reconnect\.maxRetryAfter/);
  assert.throws(() => connect("nowhere"), (error: unknown) => error instanceof TypeError);
  for (const bad of ["ftp://localhost/", "http://user:word@localhost/"]) {
    assert.throws(() => connect(bad), (error: EventsError) => error.code === "InvalidParameter");
  }
});

test.run();
