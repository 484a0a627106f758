import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Authorize,
  createChannel,
  defineEvents,
  type EndpointOptions,
  eventsEndpoint,
  EventsError,
  type MemoryChannel,
  type Permission,
} from "../../src/mod.ts";
import { isLoopback } from "../../src/server/access.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { createLog } from "../../src/server/log.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { linesOf, openLines, openWire, serving, timersLeftBy, until, within } from "../support/harness.ts";
import { rejectionsDuring } from "../support/rejections.ts";

const KEY = "open-sesame+/=~";
const TICK = JSON.stringify({ type: "upgrader_tick", event: { text: "x" } });

const test = suite("access");

/** The server's application, and what it answers. */
function setUpServer(options: Partial<AppOptions> = {}) {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5, ...options });
  /** The status of an answer, and the code in it where there is one. */
  async function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<string> {
    const isPost = method === "POST";
    const response = await app.request(path, {
      method,
      headers: { ...(isPost && { "Content-Type": "application/json" }), ...headers },
      ...(isPost && { body: TICK }),
    });
    if (response.ok || method === "HEAD") {
      await response.body?.cancel();
      return `${response.status}`;
    }
    const { error } = await response.json();
    assert.equal(Object.keys(error), ["handled", "code", "message"]);
    assert.is(error.handled, true);
    return `${response.status} ${error.code}`;
  }
  return { session, app, ask };
}

test("without a key only the names of this machine and the address bound to are answered, with any port", async () => {
  const good = [
    "localhost",
    "LocalHost:8085",
    "localhost.",
    "a.b.localhost:1",
    "127.0.0.1",
    "127.0.0.1:65535",
    "127.255.255.254:80",
    "[::1]",
    "[::1]:8085",
    "[0:0:0:0:0:0:0:1]:8085",
    "192.0.2.5:8085",
    "192.0.2.5",
  ];
  const bad = [
    "",
    "evil.example",
    "evil.example:8085",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "evil-localhost:8085",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost/evil",
    "localhost#evil",
    "localhost\\evil",
    "localhost:evil",
    "%6cocalhost",
    "128.0.0.1",
    "192.0.2.6:8085",
    "10.0.0.1",
    "0.0.0.0",
    "[::2]",
    "[::ffff:1.2.3.4]",
    "[::1",
    "::1",
    "local host",
  ];
  const { ask } = setUpServer({ host: "192.0.2.5" });
  for (const [hosts, expected] of [[good, "200"], [bad, "403 ForbiddenHost"]] as const) {
    for (const Host of hosts) {
      assert.is(await ask("/events", { Host }), expected, Host);
      assert.is(await ask("/healthz", { Host }), "200", Host);
      const posted = await ask("/events", { Host }, "POST");
      assert.is(posted, expected === "200" ? "202" : expected, Host);
      assert.is(await ask("/events", { Host }, "HEAD"), expected.slice(0, 3), Host);
      assert.is(await ask("/nothing", { Host }), expected === "200" ? "404 NotFound" : expected, Host);
    }
  }
});

test("bound to a name, to IPv6 or to every address", async () => {
  const cases: [host: string, Host: string, isOurs: boolean][] = [
    ["media.lan", "MEDIA.lan:8085", true],
    ["media.lan", "other.lan", false],
    ["2001:db8::5", "[2001:db8:0::5]:8085", true],
    ["2001:db8::5", "[2001:db8::6]", false],
    // A page that came by a name has that name as its Host, whatever address it stands for today.
    ["0.0.0.0", "192.0.2.77:8085", true],
    ["0.0.0.0", "[2001:db8::1]", true],
    ["0.0.0.0", "evil.example", false],
    ["::", "192.0.2.77", true],
    ["::", "[2001:db8::1]:1", true],
    ["::", "evil.example:8085", false],
    ["localhost", "127.0.0.1", true],
    ["127.0.0.1", "192.0.2.77", false],
  ];
  for (const [host, Host, isOurs] of cases) {
    const answer = await setUpServer({ host }).ask("/events", { Host });
    assert.is(answer, isOurs ? "200" : "403 ForbiddenHost", `${host}: ${Host}`);
  }
  for (const host of ["127.0.0.1", "::1", "localhost", "127.9.9.9"]) assert.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "media.lan"]) assert.not(isLoopback(host), host);
});

test("what comes over a socket is judged by its Host", async () => {
  await serving(setUpServer().app, async (url, port) => {
    const statusOf = async (request: string) => {
      const wire = await openWire(port);
      wire.write(request);
      await until(() => wire.received().includes("\r\n\r\n"), request);
      wire.socket.destroy();
      return Number(wire.received().split(" ")[1]);
    };
    for (const method of ["GET", "HEAD"]) {
      assert.is(await statusOf(`${method} /events HTTP/1.1\r\nHost: evil.example:${port}\r\n\r\n`), 403);
      assert.is(await statusOf(`${method} /events HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`), 200);
      assert.is(await statusOf(`${method} /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n`), 200);
    }
    assert.is((await fetch(`${url}/nothing`)).status, 404);
  });
});

test("a page of another site cannot publish, with a key or without; whoever is no page can", async () => {
  const own = { Host: "localhost:8085" };
  const good: Record<string, string>[] = [
    {},
    { "Sec-Fetch-Site": "same-origin" },
    { "Sec-Fetch-Site": "none" },
    { Origin: "http://localhost:8085" },
    { Origin: "http://localhost:8085", "Sec-Fetch-Site": "same-origin" },
    { Origin: "https://shop.example" },
    { Origin: "https://shop.example", "Sec-Fetch-Site": "cross-site" },
  ];
  const bad: Record<string, string>[] = [
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { "Sec-Fetch-Site": "whatever" },
    { Origin: "https://evil.example" },
    { Origin: "null" },
    { Origin: "" },
    { Origin: "http://localhost:3000" },
    { Origin: "http://localhost" },
    { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" },
    { Origin: "https://shop.example.evil.example" },
    { Origin: "http://shop.example" },
    { Origin: "https://shop.example:444" },
    { Origin: "https://shop.example", Host: "evil.example" },
  ];
  for (const apiKey of [undefined, KEY]) {
    const { ask, session } = setUpServer({ apiKey, corsOrigins: ["https://shop.example"] });
    const withKey: Record<string, string> = apiKey === undefined ? {} : { "X-Api-Key": apiKey };
    for (const headers of good) {
      assert.is(
        await ask("/events", { ...own, ...withKey, ...headers }, "POST"),
        "202",
        JSON.stringify(headers),
      );
    }
    const before = session.channel.last;
    for (const headers of bad.slice(0, -1)) {
      const answer = await ask("/events", { ...own, ...withKey, ...headers }, "POST");
      assert.is(answer, "403 CrossSiteRequest", JSON.stringify(headers));
    }
    assert.is(session.channel.last, before);
    assert.is(
      await ask("/events", { ...own, ...withKey, "Sec-Fetch-Site": "cross-site" }),
      "200",
      "it may read",
    );
  }
  assert.is(await setUpServer().ask("/events", bad.at(-1), "POST"), "403 ForbiddenHost");
});

test("CORS headers are for pages of the origins allowed, and for no others", async () => {
  const corsHeaders = (response: Response) =>
    [...response.headers.keys()].filter((name) => name.startsWith("access-control-"));
  for (const apiKey of [undefined, KEY]) {
    const { app } = setUpServer({ apiKey, corsOrigins: ["https://shop.example", "http://localhost:3000"] });
    const headers = { "X-Api-Key": KEY };
    for (const origin of ["https://shop.example", "http://localhost:3000"]) {
      const stream = await app.request("/events", { headers: { ...headers, Origin: origin } });
      assert.is(stream.status, 200);
      assert.is(stream.headers.get("access-control-allow-origin"), origin);
      assert.is(stream.headers.get("access-control-expose-headers"), "Retry-After");
      assert.is(stream.headers.get("access-control-allow-credentials"), null);
      assert.equal(stream.headers.get("vary")?.split(", ").sort(), ["Accept", "Origin"]);
      const lines = linesOf(stream.body!);
      assert.is((await lines.event()).type, "events_start");
      await lines.close();
      // A page may know why it was refused.
      const refused = await app.request("/events?since=x", { headers: { ...headers, Origin: origin } });
      assert.is(refused.status, 400);
      assert.is(refused.headers.get("access-control-allow-origin"), origin);

      const preflight = await app.request("/events", {
        method: "OPTIONS",
        headers: {
          "Origin": origin,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "content-type,idempotency-key,last-event-id,x-api-key",
        },
      });
      assert.is(preflight.status, 204);
      assert.is(preflight.headers.get("access-control-allow-origin"), origin);
      assert.match(preflight.headers.get("access-control-allow-methods")!, /\bPOST\b/);
      const allowed = preflight.headers.get("access-control-allow-headers")!.toLowerCase().split(",");
      for (const name of ["content-type", "idempotency-key", "last-event-id", "x-api-key", "authorization"]) {
        assert.ok(allowed.includes(name), `${name} in ${allowed}`);
      }
      assert.match(preflight.headers.get("vary")!, /\bOrigin\b/);
    }
    for (const origin of ["https://evil.example", "null", "https://shop.example:443", ""]) {
      for (const method of ["GET", "OPTIONS", "POST"]) {
        const response = await app.request("/events", { method, headers: { ...headers, Origin: origin } });
        assert.equal(corsHeaders(response), [], `${method} ${origin}`);
        assert.match(response.headers.get("vary") ?? "", /\bOrigin\b/);
        await response.body?.cancel();
      }
    }
  }
  const { app } = setUpServer();
  for (const method of ["GET", "OPTIONS"]) {
    const response = await app.request("/events", { method, headers: { Origin: "https://shop.example" } });
    assert.equal(corsHeaders(response), []);
    await response.body?.cancel();
  }
});

test("a page of an allowed origin gets the stream as everybody does", async () => {
  const { app, session } = setUpServer({ corsOrigins: ["https://shop.example"] });
  await serving(app, async (url) => {
    const lines = await openLines(`${url}/events`, { headers: { Origin: "https://shop.example" } });
    await lines.event();
    for (let n = 0; n < 50; n++) session.emit("upgrader_tick", { text: `${n}` });
    const events = await lines.events(50);
    assert.equal(events.map(({ event }) => event.text), Array.from({ length: 50 }, (_, n) => `${n}`));
    await lines.close();
  });
});

test("with a key every route but /healthz wants it, in one of three places, under whatever name", async () => {
  const { ask, app } = setUpServer({ apiKey: KEY });
  const query = `key=${encodeURIComponent(KEY)}`;
  for (const Host of ["evil.example", "localhost"]) {
    assert.is(await ask("/healthz", { Host }), "200");
    for (const method of ["GET", "POST", "HEAD"]) {
      const done = method === "POST" ? "202" : "200";
      const good: [path: string, headers: Record<string, string>][] = [
        ["/events", { "X-Api-Key": KEY }],
        ["/events", { Authorization: `Bearer ${KEY}` }],
        ["/events", { Authorization: `bearer  ${KEY}` }],
        [`/events?${query}`, {}],
        [`/events?follow=false&${query}`, {}],
        [`/events?${query}`, { "X-Api-Key": "wrong" }],
      ];
      for (const [path, headers] of good) {
        assert.is(
          await ask(path, { Host, ...headers }, method),
          done,
          JSON.stringify([method, path, headers]),
        );
      }
      const bad: [path: string, headers: Record<string, string>][] = [
        ["/events", {}],
        ["/events?key=", {}],
        ["/events?key", {}],
        [`/events?Key=${encodeURIComponent(KEY)}`, {}],
        ["/events", { "X-Api-Key": "" }],
        ["/events", { "X-Api-Key": KEY.slice(0, -1) }],
        ["/events", { "X-Api-Key": `${KEY}x` }],
        ["/events", { "X-Api-Key": KEY.toUpperCase() }],
        ["/events", { "X-Api-Key": "x".repeat(4000) }],
        ["/events", { Authorization: KEY }],
        ["/events", { Authorization: `Basic ${btoa(`user:${KEY}`)}` }],
        ["/events", { Authorization: "Bearer" }],
        ["/events", { Authorization: `Bearer ${KEY} ${KEY}` }],
        ["/events", { Cookie: `key=${KEY}` }],
        ["/nothing", {}],
        ["/openapi.json", {}],
        ["/page", {}],
        ["/healthz/", {}],
        ["/events?since=nonsense", {}],
      ];
      for (const [path, headers] of bad) {
        const response = await app.request(path, { method, headers: { Host, ...headers } });
        const what = JSON.stringify([method, path, headers]);
        assert.is(response.status, 401, what);
        assert.is(response.headers.get("www-authenticate"), "Bearer", what);
        const text = await response.text();
        if (method !== "HEAD") assert.is(JSON.parse(text).error.code, "Unauthorized", what);
        assert.not(text.includes(KEY), what);
      }
    }
  }
});

// What an application says of a request.

const catalogue = defineEvents({ tick: v.object({ n: v.number(), owner: v.string() }) });
type Schemas = typeof catalogue.schemas;

function setUp(authorize: Authorize<Schemas>, options: EndpointOptions<Schemas> = {}) {
  const channel = createChannel(catalogue);
  const endpoint = eventsEndpoint(channel, { heartbeat: 0.2, writeToSocket: true, authorize, ...options });
  const problems: Error[] = [];
  const app = new Hono();
  app.route("/events", endpoint);
  app.onError((error, c) => {
    problems.push(error);
    return error instanceof HTTPException ? error.getResponse() : c.text("mine", 500);
  });
  return { channel, endpoint, app, problems };
}

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

test("authorize: what is neither true nor a permission refuses, for GET, HEAD and POST", async () => {
  const nothing = [false, undefined, null, 0, 1, "yes", { expiresAt: Date.now() - 1 }, { expiresAt: NaN }];
  const something = [true, {}, { expiresAt: new Date(Date.now() + 60_000) }, { select: () => true }];
  for (const wrap of [(answer: unknown) => answer, (answer: unknown) => Promise.resolve(answer)]) {
    for (const [answers, isGood] of [[nothing, false], [something, true]] as const) {
      for (const answer of answers) {
        const { endpoint, channel } = setUp(() => wrap(answer) as Permission<Schemas>);
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

test("authorize: Forbidden is 403, and other errors are the application's", async () => {
  const errors: [error: Error, status: number, body: RegExp][] = [
    [new EventsError("Forbidden", "not yours"), 403, /"code":"Forbidden","message":"not yours"/],
    [new EventsError("Unauthorized", "who?"), 401, /"message":"who\?"/],
    [new HTTPException(402, { message: "pay" }), 402, /^pay$/],
    [new Error("database"), 500, /^mine$/],
  ];
  for (const [error, status, body] of errors) {
    const { app } = setUp(() => Promise.reject(error));
    for (const init of [{}, POST]) {
      const response = await app.request("/events?since=nonsense", init);
      assert.is(response.status, status);
      assert.match(await response.text(), body);
    }
  }
});

test("authorize: each sees their own events, the replayed ones too, and no types but those asked for", async () => {
  const set = setUp((c) => {
    const user = userOf(c);
    return user === "root" || { filter: ({ event }) => event.owner === user };
  }, { filter: ({ event }) => event.n !== 3 });
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
    await until(() => set.endpoint.stats().subscribers === 0, "all have left");
  });
});

test("a stream whose permission is gone ends on a whole line, in each format, and no timer is left", async () => {
  for (const way of ["false", "throws", "rejects", "expires", "never answers"]) {
    let revoked = false;
    const set = setUp((): ReturnType<Authorize<Schemas>> => {
      if (!revoked) return way === "expires" ? { expiresAt: Date.now() + 150 } : true;
      if (way === "throws") throw new EventsError("Forbidden", "no longer");
      if (way === "rejects") return Promise.reject(new HTTPException(401));
      return way === "never answers" ? new Promise(() => {}) : false;
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
          // Something an EventSource comes back after, to meet the refusal.
          await until(() => sse.received().endsWith("\r\n0\r\n\r\n"), `the end of SSE: ${way}`);
          assert.match(sse.received(), /\nretry: [2-4]\d{3}\n\n\r\n0\r\n\r\n$/);
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

test("a permission that holds is asked for again and again, of the request as it came, and nobody notices", async () => {
  const asked = new Map<string, number>();
  const set = setUp(async (c) => {
    const user = userOf(c)!;
    asked.set(user, (asked.get(user) ?? 0) + 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return c.req.method === "GET" && { expiresAt: Date.now() + 60_000 };
  });
  await serving(set.app, async (url) => {
    const streams = [];
    for (const user of ["a", "b"]) {
      streams.push(await openLines(`${url}/events`, { headers: { "X-User": user } }));
    }
    for (const lines of streams) await lines.event();
    await until(() => asked.get("a")! >= 5 && asked.get("b")! >= 5, "each was asked for five times");
    publish(set.channel, ["x"]);
    for (const lines of streams) {
      assert.is((await lines.event()).type, "tick");
      await lines.close();
    }
    await until(() => set.endpoint.stats().subscribers === 0, "all have left");
    const count = asked.get("a");
    await new Promise((resolve) => setTimeout(resolve, 250));
    assert.is(asked.get("a"), count, "nobody asks for those who have left");
  });
});

test("a stream whose permission nobody confirms any more is over before its first heartbeat", async () => {
  for (const answers of [1, 2]) {
    let asked = 0;
    const set = setUp(() => asked++ < answers || new Promise(() => {}), { heartbeat: 1 });
    const lines = linesOf((await set.endpoint.request("/")).body!);
    await lines.event();
    await until(() => asked === answers, "it is confirmed for the last time");
    publish(set.channel, ["a"]); // A heartbeat after this the stream would carry one.
    assert.is((await lines.event()).type, "tick");
    assert.is(await lines.next(), undefined, "the end");
    assert.is(asked, answers + 1);
  }
});

test("a permission that ends at a time is over then, and nobody asks for it again", async () => {
  let asked = 0;
  const set = setUp(() => {
    asked++;
    return { expiresAt: new Date(Date.now() + 100) };
  }, { heartbeat: 2 });
  const lines = linesOf((await set.endpoint.request("/")).body!);
  assert.equal((await lines.rest()).map(({ type }) => type), ["events_start"]);
  assert.is(asked, 1);
});

test("without a heartbeat the permission is asked for all the same", async () => {
  let asked = 0;
  const set = setUp(() => ++asked < 2, { heartbeat: null });
  const { body } = await set.endpoint.request("/");
  const lines = linesOf(body!);
  assert.is((await lines.event()).event.heartbeat, null);
  assert.equal(await lines.rest(), []);
  assert.is(asked, 2);
});

test("an open stream sees what its newest permission lets it see", async () => {
  let sees: string | true = "a";
  let asked = 0;
  const set = setUp(() => {
    asked++;
    const owner = sees;
    return owner === true || { filter: ({ event }) => event.owner === owner };
  });
  const renewed = async () => {
    const before = asked;
    await until(() => asked > before, "it is asked for again");
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

test("a reader that takes nothing is given nothing more once its permission is gone", async () => {
  let revoked = false;
  const set = setUp(() => !revoked, { stallTimeout: 60 });
  const { body } = await set.endpoint.request("/");
  const lines = linesOf(body!); // Nothing is read yet: its stream is full.
  publish(set.channel, ["a"]);
  revoked = true;
  await new Promise((resolve) => setTimeout(resolve, 300));
  publish(set.channel, ["a", "a"]);
  const events = await within(lines.rest(), "the end");
  assert.ok(events.length <= 2, `${events.length} events, of which the first is events_start`);
  assert.is(events[0]?.type, "events_start");
  await until(() => set.endpoint.stats().subscribers === 0, "it has left");
});

test("who leaves before the answer of authorize is there leaves nothing behind", async () => {
  let answer = () => {};
  let waiting = 0;
  const set = setUp(() => {
    waiting++;
    return new Promise((resolve) => {
      const before = answer;
      answer = () => (before(), resolve(true));
    });
  });
  const rejections = await rejectionsDuring(() =>
    serving(set.app, async (_, port) => {
      const wires = await Promise.all(Array.from({ length: 5 }, () => openWire(port)));
      for (const wire of wires) wire.write("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
      await until(() => waiting === 5, "all are asked for");
      for (const { socket } of wires) socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer();
      await until(() => set.endpoint.stats().subscribers === 0, "all have left");
      await until(() => set.channel.stats().readers === 0, "nobody reads");
    })
  );
  assert.equal(rejections, []);
});

test("when the server shuts down, whoever still comes is told so; /healthz first of all", async () => {
  const logged: string[] = [];
  const log = createLog("text", (line) => void logged.push(line));
  const { app, session, ask } = setUpServer({ log });
  const open = linesOf((await app.request("/events")).body!);
  session.channel.close();
  assert.is(await ask("/healthz").catch(() => ""), "", "not the shape of an error");
  assert.is((await app.request("/healthz")).status, 503);
  assert.is(await ask("/events"), "503 ShuttingDown");
  assert.is(await ask("/events", {}, "POST"), "503 ShuttingDown");
  assert.is(await ask("/events", {}, "HEAD"), "503");
  assert.is(await ask("/events", { Accept: "image/png" }), "503 ShuttingDown");
  assert.is(await ask("/events", { Host: "evil.example" }), "403 ForbiddenHost");
  assert.match((await app.request("/events")).headers.get("retry-after")!, /^\d+$/);
  const sse = await app.request("/events", { headers: { Accept: "text/event-stream" } });
  assert.equal([sse.status, sse.headers.get("content-type")], [200, "text/event-stream"]);
  assert.equal([sse.headers.get("vary"), sse.headers.get("x-accel-buffering")], ["Accept", "no"]);
  assert.match(await sse.text(), /^retry: [2-4]\d{3}\n\n$/);
  assert.match(logged.at(-1)!, / info stream refused reason=rejected code=ShuttingDown status=200$/);
  assert.equal((await open.rest()).map(({ type }) => type), ["events_start"]);
});

test.run();
