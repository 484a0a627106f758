/**
 * Which requests the server accepts: names, pages of other sites, keys.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { isLoopback } from "../../src/server/access.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { createLog } from "../../src/server/log.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { linesOf, openLines, openWire, serving, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const KEY = "open-sesame+/=~";
const TICK = JSON.stringify({ type: "upgrader_tick", event: { text: "x" } });

const test = suite("access");

/** The server's application, and what it answers. */
function openServer(options: Partial<AppOptions> = {}) {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5, ...options });
  /** The status of an answer, and the code in it where there is one. */
  async function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<string> {
    const isPost = method === "POST";
    // A server makes the URL of the Host.
    const own = `http://${(headers["Host"] ?? "localhost").replace(/^.*[@ ]/, "")}`;
    const response = await app.request(new URL(path, URL.canParse(own) ? own : "http://localhost"), {
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

test("serve answers only to names of this machine and of its address, with any port, when it has no key", async () => {
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
  const { ask } = openServer({ host: "192.0.2.5" });
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

test("serve answers to the names it may have when bound to a name, to IPv6 or to every address", async () => {
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
    const answer = await openServer({ host }).ask("/events", { Host });
    assert.is(answer, isOurs ? "200" : "403 ForbiddenHost", `${host}: ${Host}`);
  }
  for (const host of ["127.0.0.1", "::1", "localhost", "127.9.9.9"]) assert.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "media.lan"]) assert.not(isLoopback(host), host);
});

test("serve checks the Host of what comes over a socket", async () => {
  await serving(openServer().app, async (url, port) => {
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

/** Bun makes the URL of `Host`, and hands on nothing of a target that names another server. */
const KEEPS_TARGETS = !("Bun" in globalThis);

test("serve takes a target that names a server for the name that it was reached by, also beside a Host of its own", async () => {
  const { app, session } = openServer();
  await serving(app, async (_, port) => {
    const answerTo = async (method: string, target: string, ...headers: string[]) => {
      const wire = await openWire(port);
      const fields = ["Connection: close", "Content-Type: application/json", "Content-Length: 0", ...headers];
      wire.write(`${method} ${target}/events?follow=false HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`);
      await within(wire.closed, target);
      const [, status] = wire.received().split(" ");
      return `${status} ${/"code":"(\w+)"/.exec(wire.received())?.[1] ?? ""}`.trim();
    };
    const own = `localhost:${port}`;
    for (const scheme of ["http", "https"]) {
      assert.is(await answerTo("GET", `${scheme}://${own}`, `Host: ${own}`), "200");
      if (!KEEPS_TARGETS) continue;
      for (const name of ["evil.example", "localhost.evil.example", "x@evil.example", "128.0.0.1"]) {
        const foreign = `${scheme}://${name}`;
        assert.is(await answerTo("GET", foreign, `Host: ${own}`), "403 ForbiddenHost", foreign);
        assert.is(await answerTo("POST", foreign, `Host: ${own}`), "403 ForbiddenHost", foreign);
      }
    }
    // Of two names that contradict each other neither is believed.
    assert.is(await answerTo("GET", `http://${own}`, "Host: evil.example"), "403 ForbiddenHost");
    const origin = `Origin: http://${own}`;
    assert.is(await answerTo("POST", "", `Host: ${own}`, origin), "400 InvalidEvent");
    if (KEEPS_TARGETS) {
      const other = await answerTo("POST", "http://127.0.0.1", `Host: ${own}`, origin);
      assert.is(other, "403 CrossSiteRequest");
    }
  });
  assert.is(session.channel.last, 0);
});

test("serve accepts no event from a page of another site, with a key or without", async () => {
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
    const { ask, session } = openServer({ apiKey, corsOrigins: ["https://shop.example"] });
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
  assert.is(await openServer().ask("/events", bad.at(-1), "POST"), "403 ForbiddenHost");
});

test("serve sends CORS headers to pages of the allowed origins alone", async () => {
  const corsHeaders = (response: Response) =>
    [...response.headers.keys()].filter((name) => name.startsWith("access-control-"));
  for (const apiKey of [undefined, KEY]) {
    const { app } = openServer({ apiKey, corsOrigins: ["https://shop.example", "http://localhost:3000"] });
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
  const { app } = openServer();
  for (const method of ["GET", "OPTIONS"]) {
    const response = await app.request("/events", { method, headers: { Origin: "https://shop.example" } });
    assert.equal(corsHeaders(response), []);
    await response.body?.cancel();
  }
});

test("serve streams to a page of an allowed origin", async () => {
  const { app, session } = openServer({ corsOrigins: ["https://shop.example"] });
  await serving(app, async (url) => {
    const lines = await openLines(`${url}/events`, { headers: { Origin: "https://shop.example" } });
    await lines.event();
    for (let n = 0; n < 50; n++) session.emit("upgrader_tick", { text: `${n}` });
    const events = await lines.events(50);
    assert.equal(events.map(({ event }) => event.text), Array.from({ length: 50 }, (_, n) => `${n}`));
    await lines.close();
  });
});

test("serve requires its key on every route but /healthz, in one of three places, under any name", async () => {
  const { ask, app } = openServer({ apiKey: KEY });
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

test("serve rejects requests with ShuttingDown once its channel is closed, and fails /healthz", async () => {
  const logged: string[] = [];
  const log = createLog("text", (line) => void logged.push(line));
  const { app, session, ask } = openServer({ log });
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
  assert.match(await sse.text(), /^retry: [2-4]\d{3}\n$/);
  assert.match(logged.at(-1)!, / info stream refused reason=rejected code=ShuttingDown status=200$/);
  assert.equal((await open.rest()).map(({ type }) => type), ["events_start"]);
});

test.run();
