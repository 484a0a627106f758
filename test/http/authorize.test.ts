/**
 * `authorize` for requests, and again for open streams.
 *
 * @module
 */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Authorize,
  defineEvents,
  eventsEndpoint,
  EventsError,
  type MemoryChannel,
  type Permission,
} from "../../src/mod.ts";
import { elsewhere } from "../support/elsewhere.ts";
import { makeEndpoint } from "../support/endpoint.ts";
import { linesOf, openLines, openWire, serving, timersLeftBy, until, within } from "../support/harness.ts";
import { rejectionsDuring } from "../support/rejections.ts";
import { suite } from "../support/suite.ts";

const test = suite("http: authorize");

const catalogue = defineEvents({ tick: v.object({ n: v.number(), owner: v.string() }) });
type Schemas = typeof catalogue.schemas;

/** The default options of the endpoints. */
const OPTIONS = { heartbeat: 0.2, writeToSocket: true };

function publish(channel: MemoryChannel<Schemas>, owners: readonly string[]): void {
  for (const owner of owners) channel.publish("tick", { n: channel.last + 1, owner });
}

function userOf(c: Context): string | undefined {
  return c.req.header("X-User") ?? c.req.query("user");
}

const POST = {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: '{"type":"tick","event":{"n":1,"owner":"a"}}',
};

test("authorize() rejects GET, HEAD and POST when it returns neither true nor a permission", async () => {
  const nothing = [false, undefined, null, 0, 1, "yes", { expiresAt: Date.now() - 1 }, { expiresAt: NaN }];
  const something = [true, {}, { expiresAt: new Date(Date.now() + 60_000) }, { filter: () => true }];
  for (const wrap of [(answer: unknown) => answer, (answer: unknown) => Promise.resolve(answer)]) {
    for (const [answers, isGood] of [[nothing, false], [something, true]] as const) {
      for (const answer of answers) {
        const { endpoint, channel } = makeEndpoint(catalogue, {
          ...OPTIONS,
          authorize: () => wrap(answer) as Permission<Schemas>,
        });
        for (const init of [{}, { method: "HEAD" }, POST]) {
          const response = await endpoint.request("/?since=earliest&follow=false", init);
          const what = `${JSON.stringify(answer)} ${response.status}`;
          if (isGood) {
            assert.ok(response.ok, what);
            await response.text();
            continue;
          }
          assert.is(response.status, 401, what);
          assert.is(response.headers.get("www-authenticate"), "Bearer");
          const text = await response.text();
          if (init !== undefined && "method" in init && init.method === "HEAD") continue;
          assert.is(JSON.parse(text).error.code, "Unauthorized");
        }
        assert.is(channel.last, isGood ? 1 : 0);
        assert.is(endpoint.stats().subscribers, 0);
      }
    }
  }
});

test("authorize() rejects every request and reports it when it returns something that is no permission", async () => {
  const filter = () => true;
  const mistakes = [
    { filters: filter, expiresAt: Date.now() + 60_000 },
    { filter: true },
    { filter: null },
    { filter, expiresAt: "2999-01-01" },
    { expires: 0 },
    { valid: false },
    [],
    new Response(null, { status: 401 }),
    new Error("no"),
    new Set(),
    new Boolean(false),
    new (class Permission {
      filter = filter;
    })(),
    1,
    "yes",
  ];
  for (const mistake of mistakes) {
    const problems: unknown[] = [];
    const { endpoint, channel } = makeEndpoint(catalogue, {
      ...OPTIONS,
      authorize: () => mistake as Permission<Schemas>,
      onError: (error) => void problems.push(error),
    });
    publish(channel, ["a"]);
    for (const init of [{}, POST]) {
      const response = await endpoint.request("/?since=earliest&follow=false", init);
      assert.is(response.status, 401, String(mistake));
    }
    assert.is(channel.last, 1);
    assert.match(
      String(problems[0]),
      /^TypeError: authorize: the answer must be true, false, or \{ filter, subjects, types, expiresAt, name, isFinal \}/,
    );
  }
});

test("authorize() answers 403 when it throws Forbidden, and leaves other errors to the application", async () => {
  const errors: [error: Error, status: number, body: RegExp][] = [
    [new EventsError("Forbidden", "not yours"), 403, /"code":"Forbidden","message":"not yours"/],
    [new EventsError("Unauthorized", "who?"), 401, /"message":"who\?"/],
    [new HTTPException(402, { message: "pay" }), 402, /^pay$/],
    [new Error("database"), 500, /^the response of the app$/],
  ];
  for (const [error, status, body] of errors) {
    const { app } = makeEndpoint(catalogue, { ...OPTIONS, authorize: () => Promise.reject(error) });
    for (const init of [{}, POST]) {
      const response = await app.request("/events?since=nonsense", init);
      assert.is(response.status, status);
      assert.match(await response.text(), body);
    }
  }
});

test("authorize() limits each reader to its own events, replayed ones too, within the types requested", async () => {
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    filter: ({ event }) => event.n !== 3,
    authorize: (c) => {
      const user = userOf(c);
      return user === "root" || { filter: ({ event }) => event.owner === user };
    },
  });
  publish(set.channel, ["a", "b", "a", "b"]);
  await serving(set.app, async (url) => {
    for (
      const [user, expected] of [["a", [1, 5, 7]], ["b", [2, 4, 6]], ["root", [1, 2, 4, 5, 6, 7]]] as const
    ) {
      const lines = await openLines(`${url}/events?since=earliest`, { headers: { "X-User": user } });
      await lines.event();
      if (set.channel.last === 4) publish(set.channel, ["a", "b", "a"]);
      const events = await lines.events(expected.length);
      assert.equal(events.map(({ event }) => event.n), expected, user);
      await lines.close();
    }
    await until(() => set.endpoint.stats().subscribers === 0, "all have disconnected");
  });
});

test("authorize() that rejects with the HTTPException of another copy of hono ends the stream without onError", async () => {
  const foreign = Object.assign(new Error("pay"), { status: 402, getResponse: () => new Response("pay") });
  let isRevoked = false;
  const errors: unknown[] = [];
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    authorize: () => isRevoked ? Promise.reject(foreign) : true,
    onError: (error) => errors.push(error),
  });
  await serving(set.app, async (url) => {
    const lines = await openLines(`${url}/events`);
    await lines.event();
    isRevoked = true;
    await lines.rest();
    assert.equal(errors, []);
  });
});

test("authorize() ends a stream on a whole line, in each format, once it no longer permits it", async () => {
  for (const way of ["false", "throws", "rejects", "expires", "never answers"]) {
    let revoked = false;
    const set = makeEndpoint(catalogue, {
      ...OPTIONS,
      authorize: (): ReturnType<Authorize<Schemas>> => {
        if (!revoked) return way === "expires" ? { expiresAt: Date.now() + 150 } : true;
        if (way === "throws") throw new EventsError("Forbidden", "no longer");
        if (way === "rejects") return Promise.reject(new HTTPException(401));
        return way === "never answers" ? new Promise(() => {}) : false;
      },
    });
    let left = 0;
    const rejections = await rejectionsDuring(async () => {
      left = await timersLeftBy(() =>
        serving(set.app, async (_, port) => {
          const wires = await Promise.all([openWire(port), openWire(port)]);
          const [lines, sse] = [wires[0]!, wires[1]!];
          lines.write("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
          sse.write("GET /events?format=sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
          await until(() => wires.every((wire) => wire.received().includes("events_start")), "both are open");
          publish(set.channel, ["a"]);
          await until(() => wires.every((wire) => wire.received().includes('"owner":"a"')), "both have it");
          revoked = true;
          await until(() => lines.received().endsWith("\r\n0\r\n\r\n"), `the end: ${way}`);
          assert.match(lines.received(), /"time":"[^"]+"\}\n(?:\r\n1\r\n\n)*\r\n0\r\n\r\n$/);
          // An EventSource reconnects after this, and is then rejected.
          await until(() => sse.received().endsWith("\r\n0\r\n\r\n"), `the end of SSE: ${way}`);
          assert.match(sse.received(), /\nretry: [2-4]\d{3}\n\r\n0\r\n\r\n$/);
          assert.is(set.endpoint.stats().subscribers, 0);
          for (const { socket } of wires) socket.destroy();
        })
      );
    });
    assert.equal(rejections, [], way);
    assert.is(left, 0, `timers left: ${way}`);
    assert.is(set.channel.stats().readers, 0);
    assert.equal(set.problems, []);
  }
});

test("authorize() is called again for each open stream with its own request while it permits it", async () => {
  const asked = new Map<string, number>();
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    authorize: async (c) => {
      const user = userOf(c)!;
      asked.set(user, (asked.get(user) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      return c.req.method === "GET" && { expiresAt: Date.now() + 60_000 };
    },
  });
  await serving(set.app, async (url) => {
    const streams = [];
    for (const user of ["a", "b"]) {
      streams.push(await openLines(`${url}/events`, { headers: { "X-User": user } }));
    }
    for (const lines of streams) await lines.event();
    await until(() => asked.get("a")! >= 5 && asked.get("b")! >= 5, "each was authorized five times");
    publish(set.channel, ["x"]);
    for (const lines of streams) {
      assert.is((await lines.event()).type, "tick");
      await lines.close();
    }
    await until(() => set.endpoint.stats().subscribers === 0, "all have disconnected");
    const count = asked.get("a");
    await new Promise((resolve) => setTimeout(resolve, 250));
    assert.is(asked.get("a"), count, "no question for closed streams");
  });
});

test("authorize() ends a stream before its first heartbeat when it no longer answers", async () => {
  for (const answers of [1, 2]) {
    let asked = 0;
    const set = makeEndpoint(catalogue, {
      ...OPTIONS,
      heartbeat: 1,
      authorize: () => asked++ < answers || new Promise(() => {}),
    });
    const lines = linesOf((await set.endpoint.request("/")).body!);
    await lines.event();
    await until(() => asked === answers, "it is authorized for the last time");
    publish(set.channel, ["a"]); // The stream would send a heartbeat some time after this.
    assert.is((await lines.event()).type, "tick");
    assert.is(await lines.next(), undefined, "the end");
    assert.is(asked, answers + 1);
  }
});

test("authorize() ends a stream at expiresAt without a second call", async () => {
  let asked = 0;
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    heartbeat: 2,
    authorize: () => {
      asked++;
      return { expiresAt: new Date(Date.now() + 100) };
    },
  });
  const lines = linesOf((await set.endpoint.request("/")).body!);
  assert.equal((await lines.rest()).map(({ type }) => type), ["events_start"]);
  assert.is(asked, 1);
});

test("authorize() is called again when heartbeats are off", async () => {
  let asked = 0;
  const set = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: null, authorize: () => ++asked < 2 });
  const { body } = await set.endpoint.request("/");
  const lines = linesOf(body!);
  assert.is((await lines.event()).event.heartbeat, null);
  assert.equal(await lines.rest(), []);
  assert.is(asked, 2);
});

test("authorize() replaces the filter of an open stream with that of its newest permission", async () => {
  let sees: string | true = "a";
  let asked = 0;
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    authorize: () => {
      asked++;
      const owner = sees;
      return owner === true || { filter: ({ event }) => event.owner === owner };
    },
  });
  const renewed = async () => {
    const before = asked;
    await until(() => asked > before, "it is authorized again");
    await new Promise((resolve) => setTimeout(resolve));
  };
  const { body } = await set.endpoint.request("/");
  const lines = linesOf(body!);
  await lines.event();
  for (const [next, expected] of [["a", ["a"]], ["b", ["b"]], [true, ["a", "b"]], ["b", ["b"]]] as const) {
    sees = next;
    await renewed();
    publish(set.channel, ["a", "b"]);
    assert.equal((await lines.events(expected.length)).map(({ event }) => event.owner), expected);
  }
  await lines.close();
});

test("authorize() stops delivery to a stalled reader once it no longer permits it", async () => {
  let revoked = false;
  const set = makeEndpoint(catalogue, { ...OPTIONS, stallTimeout: 60, authorize: () => !revoked });
  const { body } = await set.endpoint.request("/");
  const lines = linesOf(body!); // Nothing is read yet: its stream is full.
  publish(set.channel, ["a"]);
  revoked = true;
  await new Promise((resolve) => setTimeout(resolve, 300));
  publish(set.channel, ["a", "a"]);
  const events = await within(lines.rest(), "the end");
  assert.ok(events.length <= 2, `${events.length} events, of which the first is events_start`);
  assert.is(events[0]?.type, "events_start");
  await until(() => set.endpoint.stats().subscribers === 0, "it has disconnected");
});

test("authorize() leaves nothing behind when the client disconnects before it answers", async () => {
  let answer = () => {};
  let waiting = 0;
  const set = makeEndpoint(catalogue, {
    ...OPTIONS,
    authorize: () => {
      waiting++;
      return new Promise((resolve) => {
        const before = answer;
        answer = () => (before(), resolve(true));
      });
    },
  });
  const rejections = await rejectionsDuring(() =>
    serving(set.app, async (_, port) => {
      const wires = await Promise.all(Array.from({ length: 5 }, () => openWire(port)));
      for (const wire of wires) wire.write("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
      await until(() => waiting === 5, "all wait for authorize()");
      for (const { socket } of wires) socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer();
      await until(() => set.endpoint.stats().subscribers === 0, "all have disconnected");
      await until(() => set.channel.stats().readers === 0, "no reader is left");
    })
  );
  assert.equal(rejections, []);
});

test("authorize() may throw the EventsError of another copy of the package", async () => {
  /** The class as another copy has it. */
  class Other extends Error {
    override readonly name = "EventsError";
    readonly code = "Forbidden";
    readonly issues = [];
  }
  const authorize = () => {
    throw new Other("not here");
  };
  const { endpoint } = makeEndpoint(catalogue, { ...OPTIONS, authorize });
  const response = await endpoint.request("/");
  assert.is(response.status, 403);
  assert.is((await response.json()).error.code, "Forbidden");
  assert.not(new Error("other") instanceof EventsError);
});

/** The options of an endpoint that asks. */
interface Asking {
  readonly heartbeat: number;
  authorize(): boolean | { readonly expiresAt: number };
}

/** Opens a stream whose start is found only when `isFound` holds, and returns its status. */
async function openWhen(isFound: () => boolean, options: Asking): Promise<number> {
  const there = elsewhere();
  there.locate = async (since) => {
    await until(isFound, "the start is found");
    return there.store.locate(since);
  };
  const response = await eventsEndpoint(there.channel, options).request("/?since=earliest");
  await response.body?.cancel();
  return response.status;
}

test("authorize() is called again when its permission ends before the start of the stream is found", async () => {
  let [asked, endsAt] = [0, Infinity];
  const authorize = () => ++asked === 1 && { expiresAt: endsAt = Date.now() + 20 };
  assert.is(await openWhen(() => Date.now() > endsAt, { heartbeat: 60, authorize }), 401);
  assert.is(asked, 2);
});

test("authorize() is called again when it takes as long to find the start as an open stream may go unasked", async () => {
  const begunAt = performance.now();
  let asked = 0;
  const options: Asking = { heartbeat: 1, authorize: () => ++asked > 0 };
  assert.is(await openWhen(() => performance.now() > begunAt + 500, options), 200);
  assert.is(asked, 2);
});

test("authorize() is called again in time for a stream when the first answer took long", async () => {
  /** Opens a stream whose permission is asked for twice, and returns the milliseconds between the questions. */
  async function pause(answerMs: number): Promise<number> {
    const askedAt: number[] = [];
    const authorize = async () => {
      askedAt.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, answerMs));
      return askedAt.length < 2;
    };
    const { endpoint } = makeEndpoint(catalogue, { ...OPTIONS, heartbeat: 2, authorize });
    await linesOf((await endpoint.request("/")).body!).rest();
    return askedAt[1]! - askedAt[0]!;
  }
  const [slow, quick] = await Promise.all([pause(600), pause(0)]);
  assert.ok(Math.abs(slow - quick) < 400, `${slow} and ${quick} ms`); // A tick is 200 ms.
});

test.run();
