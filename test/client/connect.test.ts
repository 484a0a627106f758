import { Hono } from "hono";
import type { Socket } from "node:net";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Dictionary,
  EventsError,
} from "../../src/client/mod.ts";
import type { Status } from "../../src/client/mod.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { serving, timersLeftBy, until, within } from "../support/harness.ts";
import {
  answers,
  chunkOf,
  cuts,
  ends,
  line,
  NDJSON,
  type Reply,
  scripted,
  SSE,
  start,
  streams,
} from "../support/scripted.ts";

const test = suite("client");

const shop = defineEvents({ placed: v.object({ n: v.number() }), closed: null });
/** Comes back at once, for tests that are not about when. */
const SOON = { min: 0.001, max: 0.01 };

/** The next so many events. */
async function take<E>(connection: Connection<E>, count: number): Promise<E[]> {
  const events: E[] = [];
  while (events.length < count) {
    const { done, value } = await within(connection.next(), "an event");
    if (done) throw new Error(`it is over after ${events.length} events`);
    events.push(value);
  }
  return events;
}

/** The error of a promise that is to reject with one of ours. */
async function errorOf(promise: Promise<unknown>): Promise<EventsError> {
  const error = await within(promise, "an error").then(() => undefined, (error: unknown) => error);
  assert.instance(error, EventsError);
  return error as EventsError;
}

function types(events: readonly { readonly type: string }[]): string[] {
  return events.map(({ type }) => type);
}

test("yields what the catalogue has, and knows where it is", async () => {
  const channel = createChannel(shop);
  const endpoint = eventsEndpoint(channel);
  await serving(new Hono().route("/events", endpoint), async (url) => {
    channel.publish("placed", { n: 1 });
    channel.publish("closed");
    const told: Status[] = [];
    const connection = connect(`${url}/events`, {
      catalogue: shop,
      since: "earliest",
      onStatus: (status) => told.push(status),
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
    assert.equal(types(told), ["connecting", "open", "closed"]);
    const open = told[1]!;
    assert.ok(open.type === "open" && open.start?.id === `${channel.epoch}-0` && !open.resumed);
    assert.is(connection.status, told.at(-1));
    await until(() => endpoint.stats().subscribers === 0, "the server sees it leave");
    for await (const _ of connection) assert.unreachable("what was left is over");
  });
});

test("asks for nothing before the first next()", async () => {
  await scripted([streams(NDJSON, start("a"), line("x", "b"))], async ({ url, asked }) => {
    const connection = connect(url);
    // Were it to ask at once, its request would be there before the one that is made now.
    await scripted([answers(200)], async (other) => void await (await fetch(other.url)).text());
    assert.is(asked.length, 0);
    await take(connection, 1);
    assert.is(asked.length, 1);
    await connection.return();
  });
});

test("the cursor is moved by what was handed out, not by what was received", async () => {
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
    assert.is(connection.lastId, "d", "it can still be looked up");
  });
});

test("events_start, bookmarks, and blocks with an id alone move the cursor, each in its turn", async () => {
  const block = (type: string, id: string) => `id: ${id}\nevent: ${type}\ndata: ${line(type, id)}\n`;
  const replies = [
    ends(NDJSON, start("a")),
    ends(NDJSON, start("a") + line("x", "b") + line("events_bookmark", "c")),
    ends(SSE, `retry: 1\n\n${block("events_start", "c")}:\n\nid: d\n\n${block("y", "e")}id: f\n\n`),
    streams(SSE, `${block("events_start", "f")}${block("z", "g")}`),
  ];
  await scripted(replies, async ({ url, asked }) => {
    const connection = connect(url, { reconnect: SOON });
    const seen: unknown[] = [];
    for await (const { type } of connection) {
      seen.push([type, connection.lastId]);
      if (type === "z") break;
    }
    assert.equal(seen, [["x", "b"], ["y", "e"], ["z", "g"]]);
    assert.equal(asked.map(({ query }) => query.get("since")), [null, "a", "c", "f"]);
  });
});

test("says whether a stream goes on where the last one stopped", async () => {
  const told: unknown[] = [];
  const onStatus = (status: Status) => {
    if (status.type === "open") told.push([status.start?.id, status.resumed]);
  };
  const replies = [
    ends(NDJSON, start("a"), line("x", "b")),
    ends(NDJSON, start("b"), line("x", "c")),
    ends(NDJSON, start("elsewhere"), line("x", "1")), // It knows nothing of cursors that are handed in.
    ends(NDJSON, line("events_start"), line("x")),
    ends(NDJSON, line("x", "2")),
    ends(NDJSON, line("x")),
  ];
  await scripted(replies, async ({ url }) => {
    const connection = connect(url, { reconnect: SOON, onStatus });
    await take(connection, 6);
    await connection.return();
    assert.equal(told, [
      ["a", false],
      ["b", true],
      ["elsewhere", false],
      [undefined, false],
      [undefined, true], // No word of the start, but cursors: as every server of SSE does it.
      [undefined, false],
    ]);
  });
  for (const [since, resumed] of [["a", true], ["earliest", false], ["latest", false]] as const) {
    told.length = 0;
    await scripted([streams(NDJSON, start("a"), line("x", "b"))], async ({ url, asked }) => {
      const connection = connect(url, { since, onStatus });
      assert.is(connection.lastId, since === "a" ? "a" : undefined);
      await take(connection, 1);
      await connection.return();
      assert.is(asked[0]?.query.get("since"), since);
      assert.equal(told, [["a", resumed]]);
    });
  }
});

test("each next() is answered, in order, also where many wait at once", async () => {
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

test("an error comes out once, and then it is done", async () => {
  await scripted(
    [streams(NDJSON, start("a") + line("x", "b") + "{}\n" + line("y", "c"))],
    async ({ url, open }) => {
      const told: Status[] = [];
      const connection = connect(url, { onStatus: (status) => told.push(status) });
      const pending = [connection.next(), connection.next(), connection.next()];
      assert.is((await within(pending[0]!, "the event")).value?.type, "x");
      assert.is((await errorOf(pending[1]!)).code, "InvalidLine");
      assert.equal(await pending[2], { done: true, value: undefined });
      assert.equal(await connection.next(), { done: true, value: undefined });
      const last = told.at(-1)!;
      assert.ok(last.type === "closed" && last.cause?.code === "InvalidLine");
      await until(() => open() === 0, "its socket is closed");
    },
  );
});

test("an error in the body of a loop leaves nothing open, nor does leaving by hand", async () => {
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

/** A signal that knows who listens to it. */
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
    abort: () => controller.abort(new Error("a reason of one's own")),
    signal,
    listeners: () => listeners.size,
  };
}

const nothing: Reply = () => {};
const flood: Reply = (socket: Socket, asked) => {
  streams(NDJSON, start("a"), line("x", "b").repeat(20_000))(socket, asked);
};

/** When the signal may come: what the server does, and the moment. */
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
    "with a body that nobody reads": { reply: flood, until: ({ type }) => type === "open", taken: 10 },
  };
const WAYS = ["abort", "return"] as const;

for (const [phase, { reply, until: moment, taken = 0 }] of Object.entries(PHASES)) {
  for (const way of WAYS) {
    test(`${way} ${phase} ends it at once, and leaves no timer, listener or socket`, async () => {
      await scripted([reply], async ({ url, open, asked }) => {
        const counted = countedSignal();
        const left = await timersLeftBy(async () => {
          const connection = connect(url, { signal: counted.signal, idleTimeout: 60 });
          await take(connection, taken);
          const pending = taken === 10 ? undefined : connection.next();
          await until(() => asked.length === 1 && moment(connection.status), phase);
          assert.is(counted.listeners(), 1);
          if (way === "abort") counted.abort();
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

test("abort before the first next() is the end, and nothing is asked", async () => {
  await scripted([], async ({ url, asked }) => {
    for (const isEarly of [true, false]) {
      const counted = countedSignal();
      if (isEarly) counted.abort();
      const connection = connect(url, { signal: counted.signal });
      if (!isEarly) counted.abort();
      assert.is(counted.listeners(), 0);
      for await (const _ of connection) assert.unreachable();
      assert.is(counted.listeners(), 0);
    }
    assert.is(asked.length, 0);
  });
});

test("a fetch that takes no notice of its signal delays nothing, and its late body is cancelled", async () => {
  let answer = (_: Response): void => {};
  const late = new Promise<Response>((resolve) => answer = resolve);
  const connection = connect("http://localhost/", { fetch: () => late });
  const pending = connection.next();
  await connection.return();
  assert.equal(await within(pending, "next()"), { done: true, value: undefined });
  let isCancelled = false;
  const body = new ReadableStream({ cancel: () => void (isCancelled = true) });
  answer(new Response(body, { headers: { "Content-Type": NDJSON } }));
  await until(() => isCancelled, "the body is cancelled");
});

test("a slow loop slows the server", async () => {
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
    /** Waits until the server has stopped sending, or has sent what nobody should have taken. */
    async function settled(): Promise<number> {
      for (let before = -1; before !== sent && sent < BOUND;) {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      return sent;
    }
    const first = await within(settled(), "the server to stop", 60_000);
    assert.ok(first < BOUND, `it has sent ${first} bytes to who took ten events`);
    while (sent === first) await take(connection, 100);
    await connection.return();
  });
});

test("silence that is longer than the heartbeat allows is a lost connection", async () => {
  const replies = [
    streams(NDJSON, start("a", 0.1) + line("x", "b")),
    streams(NDJSON, start("b", 0.1) + line("y", "c")),
  ];
  await scripted(replies, async ({ url, asked, open }) => {
    const lost: EventsError[] = [];
    const connection = connect(url, {
      reconnect: SOON,
      onStatus: (status) => status.type === "lost" && lost.push(status.cause),
    });
    assert.equal(types(await take(connection, 2)), ["x", "y"]);
    assert.equal(lost.map(({ code }) => code), ["Timeout"]);
    assert.match(lost[0]!.message, /nothing arrived from http:\/\/\S+\/events for 0\.25 s/);
    assert.is(asked[1]?.query.get("since"), "b");
    await until(() => open() === 1, "the dead connection is closed");
    await connection.return();
  });
});

test("a heartbeat is no silence, and neither is a loop that takes its time", async () => {
  const beats: Reply = (socket, asked) => {
    streams(NDJSON, start("a", 0.1) + line("x", "b"))(socket, asked);
    let count = 0;
    const timer = setInterval(() => {
      socket.write(chunkOf(++count === 10 ? line("y", "c") : "\n"));
      if (count === 10) clearInterval(timer);
    }, 50);
  };
  await scripted([beats], async ({ url, asked }) => {
    const connection = connect(url);
    await take(connection, 1);
    await new Promise((resolve) => setTimeout(resolve, 300)); // Longer than the limit, and nobody asks.
    assert.equal(types(await take(connection, 1)), ["y"]);
    assert.is(asked.length, 1);
    await connection.return();
  });
});

test("inactivity of one's own counts for an answer too", async () => {
  const replies = [nothing, streams(NDJSON, start("a", 0.01)), streams(NDJSON, start("a") + line("x", "b"))];
  await scripted(replies, async ({ url, asked }) => {
    const causes: string[] = [];
    const onStatus = (status: Status) => status.type === "waiting" && causes.push(status.cause.message);
    const connection = connect(url, { reconnect: SOON, idleTimeout: 0.2, onStatus });
    await take(connection, 1);
    await connection.return();
    assert.is(asked.length, 3);
    assert.match(causes[0]!, /^no response from \S+ for 0\.2 s$/);
    assert.match(causes[1]!, /^nothing arrived from \S+ for 0\.2 s$/);
  });
});

test("asks for types, and keeps to them where the server does not", async () => {
  const all = start("a") + line("torrent_error", "b") + line("market_ask", "c") + line("tick", "d") +
    line("events_lost", "e", { reason: "slow_consumer", count: 1 }) + line("market_bid", "f");
  await scripted([streams(NDJSON, all)], async ({ url, asked }) => {
    const connection = connect(`${url}?key=k`, { types: ["torrent_*", "market_bid"] });
    assert.equal(types(await take(connection, 3)), ["torrent_error", "events_lost", "market_bid"]);
    await connection.return();
    assert.equal(Object.fromEntries(asked[0]!.query), {
      key: "k",
      types: "torrent_*,market_bid",
      bookmarks: "true",
    });
  });
});

test("what the catalogue does not have is told, and goes by", async () => {
  const text = start("a") + line("new", "b") + line("new", "c") + line("toString", "d") + line("closed", "e");
  await scripted([streams(NDJSON, text), streams(NDJSON, text)], async ({ url }) => {
    const unknown: Dictionary[] = [];
    const connection = connect(url, { catalogue: shop, onUnknown: (event) => unknown.push(event) });
    assert.equal(types(await take(connection, 1)), ["closed"]);
    assert.equal(types(unknown), ["new", "new", "toString"]);
    await connection.return();

    const { warn } = console;
    const warnings: string[] = [];
    console.warn = (text: string) => warnings.push(text);
    try {
      const quiet = connect(url, { catalogue: shop });
      await take(quiet, 1);
      await quiet.return();
    } finally {
      console.warn = warn;
    }
    assert.is(warnings.length, 2, "once for each type");
    assert.match(warnings[0]!, /"new".*not in the catalogue/);
  });
});

test("where there are too many unknown types to warn of, the last warning says so", async () => {
  const text = start("a") + Array.from({ length: 150 }, (_, i) => line(`new_${i}`)).join("") + line("closed");
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (text: string) => warnings.push(text);
  try {
    await scripted([streams(NDJSON, text)], async ({ url }) => {
      const connection = connect(url, { catalogue: shop });
      assert.equal(types(await take(connection, 1)), ["closed"]);
      await connection.return();
    });
  } finally {
    console.warn = warn;
  }
  assert.is(warnings.length, 100);
  assert.equal(warnings.filter((text) => text.includes("without a warning")), warnings.slice(-1));
});

test("an event that does not fit is an error with its faults, or handed over", async () => {
  const text = start("a") + line("closed", "b") + line("placed", "c", { n: "?" }) +
    line("placed", "d", { n: 2 });
  const replies = [streams(NDJSON, text), streams(NDJSON, text)];
  await scripted(replies, async ({ url, open }) => {
    const strict = connect(url, { catalogue: shop });
    await take(strict, 1);
    const error = await errorOf(strict.next());
    assert.is(error.code, "InvalidEvent");
    assert.is(error.issues[0]?.path, "event.n");
    assert.equal(error.event, { type: "placed", event: { n: "?" }, id: "c" });
    assert.match(error.message, /"placed": event\.n: /);
    assert.is(strict.lastId, "b");
    await until(() => open() === 0, "its socket is closed");

    const invalid: unknown[] = [];
    const lenient = connect(url, {
      catalogue: shop,
      onInvalid: (event, faults) => invalid.push([event.id, faults.length]),
    });
    assert.equal((await take(lenient, 2)).map(({ id }) => id), ["b", "d"]);
    assert.equal(invalid, [["c", 1]]);
    await lenient.return();
  });
});

test("headers, a key, and headers that are asked for at every attempt", async () => {
  const replies = [
    streams(NDJSON, line("x")),
    answers(503),
    ends(NDJSON, line("x", "a")),
    streams(NDJSON, line("x", "b")),
  ];
  await scripted(replies, async ({ url, asked }) => {
    const plain = connect(url, { headers: { "X-Own": "1" }, apiKey: "secret" });
    await take(plain, 1);
    await plain.return();
    assert.is(asked[0]?.headers.get("x-own"), "1");
    assert.is(asked[0]?.headers.get("x-api-key"), "secret");
    assert.match(asked[0]?.headers.get("accept") ?? "", /^application\/x-ndjson, text\/event-stream/);

    const requests: unknown[] = [];
    const headers: ConnectOptions["headers"] = (request) => {
      requests.push(request);
      return Promise.resolve({ "X-Count": `${requests.length}`, Accept: "text/event-stream" });
    };
    const asking = connect(url, { headers, reconnect: SOON });
    await take(asking, 2);
    await asking.return();
    assert.equal(asked.slice(1).map((one) => one.headers.get("x-count")), ["1", "2", "3"]);
    assert.is(asked[1]?.headers.get("accept"), "text/event-stream");
    assert.equal(requests, [1, 2, 3].map((attempt) => ({ attempt, unauthorized: false })));
  });
});

test("what a callback throws comes out of next(), and nothing is left open", async () => {
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

test("a status callback may leave", async () => {
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

test("the cursor is there when the stream opens, and an event that was never handed out does not move it", async () => {
  for (const [text, lastId] of [[start("a") + line("x", "b"), "a"], [line("x", "b"), undefined]] as const) {
    await scripted([streams(NDJSON, text)], async ({ url }) => {
      let then: unknown = "it never opened";
      const connection: Connection<Dictionary> = connect(url, {
        onStatus: ({ type }) => {
          if (type !== "open") return;
          then = connection.lastId;
          void connection.return();
        },
      });
      assert.equal(await within(connection.next(), "its end"), { done: true, value: undefined });
      assert.equal([then, connection.lastId], [lastId, lastId]);
    });
  }
});

test("a body that is read no further is cancelled, whatever fetch does about its signal", async () => {
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

test("without reconnecting, a stream that ends is done, and one that is cut is an error", async () => {
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

test("refuses options that mean nothing, at once", () => {
  const url = "http://localhost/";
  for (const idleTimeout of [0, -1, NaN, Infinity, 1e10]) {
    assert.throws(() => connect(url, { idleTimeout }), /idleTimeout must be a number of seconds above 0/);
  }
  assert.throws(() => connect(url, { maxLineBytes: 0 }), /maxLineBytes/);
  assert.throws(() => connect(url, { reconnect: { min: 0 } }), /reconnect\.min/);
  assert.throws(() => connect(url, { reconnect: { max: NaN } }), /reconnect\.max/);
  assert.throws(() => connect(url, { reconnect: { maxAttempts: 0 } }), /reconnect\.maxAttempts/);
  assert.throws(() => connect("nowhere"), (error: unknown) => error instanceof TypeError);
  for (const bad of ["ftp://localhost/", "http://user:word@localhost/"]) {
    assert.throws(() => connect(bad), (error: EventsError) => error.code === "InvalidParameter");
  }
});

test.run();
