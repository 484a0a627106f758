/**
 * The parts of a server in an application of its own, with a catalogue of its own.
 *
 * @module
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import { type } from "arktype";
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { z } from "zod";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import {
  eventsPage,
  healthHandler,
  jsonSchemas,
  metricsHandler,
  openApiHandler,
} from "../../src/server/mod.ts";
import { suite } from "../support/suite.ts";

const test = suite("server: parts");

const catalogue = defineEvents({
  order_placed: v.object({ id: v.string(), lines: v.tuple([v.string(), v.number()]) }),
  shop_closed: null,
});

/** Returns the addresses that a page names, as a browser resolves them. */
async function addressesOf(app: Hono, path: string): Promise<Record<string, string>> {
  const html = await (await app.request(path)).text();
  const found = html.matchAll(
    /<meta name="(events|openapi)" content="([^"]*)"|(?:src|href)="(page\.\w+|[^"#]*\/page\.\w+)"/g,
  );
  return Object.fromEntries([...found].map(([, meta, content, file]) => {
    const address = (content ?? file!).replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll(
      "&amp;",
      "&",
    );
    return [meta ?? file!.split("/").at(-1)!, new URL(address, `http://here${path}`).href];
  }));
}

test("eventsPage() finds its files and the events from every path that it is mounted at", async () => {
  const page = eventsPage({ endpoint: "/api/events", openApi: "/openapi.json" });
  const app = new Hono().route("/", page).route("/shop/live", page).route("/:tenant/a b", page);
  for (const path of ["/", "/shop/live", "/acme/a%20b"]) {
    const { events, openapi, ...files } = await addressesOf(app, path);
    assert.equal([events, openapi], ["http://here/api/events", "http://here/openapi.json"], path);
    assert.equal(Object.keys(files).sort(), ["page.css", "page.js", "page.svg"], path);
    for (const address of Object.values(files)) {
      assert.is((await app.request(address)).status, 200, `${path}: ${address}`);
    }
  }
  for (const [path, target] of [["/shop/live/", "/shop/live"], ["/acme/a%20b/", "/acme/a%20b"]] as const) {
    const { status, headers } = await app.request(path);
    assert.is(status, 302);
    assert.is(new URL(headers.get("Location")!, `http://here${path}`).pathname, target);
  }
  assert.is((await app.request("/shop/live/other/")).status, 404);
});

test("eventsPage() writes its addresses as text, and another tag for each", async () => {
  const endpoint = '/events?a=1&b="><script>$&';
  const app = new Hono().route("/", eventsPage({ endpoint })).route("/plain", eventsPage());
  const first = await app.request("/");
  assert.not.match(await first.text(), "<script>");
  const { events } = await addressesOf(app, "/");
  assert.is(new URL(events!).search, new URL(endpoint, "http://here").search);
  const tags = [first, await app.request("/plain")].map(({ headers }) => headers.get("ETag"));
  assert.is(new Set(tags).size, 2);
  const again = await app.request("/", { headers: { "If-None-Match": tags[0]! } });
  assert.is(again.status, 304);
});

test("eventsPage() allows the origin of its events, and no other", async () => {
  const app = new Hono().route("/", eventsPage({ endpoint: "https://events.example/feed" }));
  const policy = (await app.request("/")).headers.get("Content-Security-Policy")!.split("; ");
  assert.ok(policy.includes("connect-src 'self' https://events.example"), policy.join());
});

test("metricsHandler() counts the events of any catalogue, and adds endpoints", async () => {
  const channel = createChannel(catalogue);
  const endpoints = [eventsEndpoint(channel), eventsEndpoint(channel, { dialect: "8" })];
  const app = new Hono().get("/metrics", metricsHandler(endpoints, { version: "1.2.3" }));
  channel.publish("shop_closed");
  await endpoints[0]!.request("/?types=nothing");
  await endpoints[1]!.request("/?types=nothing");
  const response = await app.request("/metrics");
  assert.match(response.headers.get("Content-Type")!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (
    const line of [
      'events_endpoint_published_events_total{type="shop_closed"} 1',
      'events_endpoint_refusals_total{code="UnknownEventType"} 2',
      'events_endpoint_subscribers{format="tribler-8"} 0',
      `events_endpoint_info{version="1.2.3",epoch="${channel.epoch}"} 1`,
    ]
  ) assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
});

test("healthHandler() answers 503 while isDraining() is true, and when the channel is closed", async () => {
  const channel = createChannel(catalogue);
  const state: { problem?: string; isDraining: boolean } = { isDraining: false };
  const endpoint = eventsEndpoint({
    ...channel,
    get closed() {
      return channel.closed;
    },
    get problem() {
      return state.problem;
    },
  });
  const app = new Hono().get("/healthz", healthHandler(endpoint, { isDraining: () => state.isDraining }));
  const health = async () => {
    const response = await app.request("/healthz");
    return [response.status, await response.json()];
  };
  assert.equal(await health(), [200, { status: "serving" }]);
  state.problem = "the disk is full";
  assert.equal(await health(), [200, { status: "degraded", problem: state.problem }]);
  state.isDraining = true;
  assert.equal(await health(), [503, { status: "shutting down" }]);
  state.isDraining = false;
  channel.close();
  assert.equal(await health(), [503, { status: "shutting down" }]);
});

test("openApiHandler() describes the endpoint of any catalogue at its path", async () => {
  const endpoint = eventsEndpoint(createChannel(catalogue));
  const app = new Hono().route("/api/events", endpoint)
    .get("/openapi.json", openApiHandler(endpoint, { path: "/api/events", title: "A shop", version: "2.0" }));
  // deno-lint-ignore no-explicit-any
  const api: any = await (await app.request("/openapi.json")).json();
  assert.equal([api.info, api.servers], [{ title: "A shop", version: "2.0" }, [{ url: "/" }]]);
  assert.equal(Object.keys(api.paths), ["/api/events"]);
  const { content } = api.paths["/api/events"].get.responses[200];
  const [first] = Object.keys(content);
  assert.equal([first, content[first!].schema], ["text/event-stream", {
    $ref: "#/components/schemas/StreamEvent",
  }]);
  assert.not.match(JSON.stringify(api), /tribler|torrent/i);
});

test("jsonSchemas() describes schemas of valibot, Zod and ArkType", () => {
  const all = jsonSchemas(defineEvents({
    by_valibot: v.object({ n: v.number() }),
    by_zod: z.object({ n: z.number() }),
    by_arktype: type({ n: "number" }),
    by_hand: { "~standard": { version: 1, vendor: "hand", validate: (value: unknown) => ({ value }) } },
    without: null,
  }));
  assert.equal([all.by_hand, all.without], [{}, null]);
  const ajv = new Ajv2020();
  for (const name of ["by_valibot", "by_zod", "by_arktype"] as const) {
    const fits = ajv.compile(all[name]);
    assert.equal([fits({ n: 1 }), fits({ n: "1" }), fits({})], [true, false, false], name);
  }
});

test("eventsPage(), metricsHandler(), healthHandler(), openApiHandler() and jsonSchemas() reject mistaken arguments", () => {
  const endpoint = eventsEndpoint(createChannel(catalogue));
  const mistakes: [call: () => unknown, message: RegExp][] = [
    [() => eventsPage({ endPoint: "/" } as object), /there is no option "endPoint": did you mean endpoint\?/],
    [() => metricsHandler([]), /must be an endpoint, as eventsEndpoint makes it, or an array of such/],
    [() => metricsHandler(createChannel(catalogue) as never), /must be an endpoint/],
    [() => healthHandler(endpoint, { isDraining: true as never }), /isDraining must be a function, not true/],
    [() => openApiHandler(endpoint, { path: "events" }), /path must be a path that begins with \//],
    [() => openApiHandler({} as never), /openApiHandler: the endpoint must be an endpoint/],
    [() => jsonSchemas({} as never), /must be a catalogue made by defineEvents/],
  ];
  for (const [call, message] of mistakes) {
    assert.throws(
      call,
      (error: unknown) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
});

test.run();
