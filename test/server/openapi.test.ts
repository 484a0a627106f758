import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { suite } from "../support/suite.ts";
import { sign } from "hono/jwt";
import * as assert from "uvu/assert";
import { type Channel, EventsError } from "../../src/mod.ts";
import { STATUS } from "../../src/http/refusal.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { createLog } from "../../src/server/log.ts";
import { withItems } from "../../src/server/openapi_arrays.ts";
import { PAGE_ASSETS } from "../../src/server/page_assets.ts";
import { createSession, triblerEvents, type TriblerSchemas } from "../../src/tribler/mod.ts";
import { until } from "../support/harness.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("openapi");

const session = createSession({ version: "7.1.5" });
const app = createApp(session, { heartbeat: 5 });
const response = await app.request("/openapi.json");
// deno-lint-ignore no-explicit-any
const api: any = await response.json();

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictTuples: false, validateFormats: false });
// What stands in the document beside JSON Schema.
ajv.addVocabulary(["discriminator", ...Object.keys(api)]);
ajv.addSchema(api, "api");

/** Checks a value against a schema of the document: `undefined`, or what does not fit. */
function faultsOf(pointer: string, value: unknown): string | undefined {
  const validate = ajv.compile({ $ref: `api#${pointer}` });
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

function faultsOfEvent(value: unknown): string | undefined {
  return faultsOf("/components/schemas/StreamEvent", value);
}

const drafts = triblerEvents.types.map((type) => {
  const event = triblerPayloads[type as keyof typeof triblerPayloads];
  return event === undefined ? { type } : { type, event };
});

test("GET /openapi.json answers with a document that a validator of OpenAPI 3.2 accepts", async () => {
  assert.is(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json\b/);
  assert.is(api.openapi, "3.2.0");
  const validator = new Validator();
  const result = await validator.validate(structuredClone(api));
  assert.ok(result.valid, JSON.stringify("errors" in result ? result.errors : "", null, 1));
  assert.is(validator.version, "3.2");

  const broken = structuredClone(api);
  broken.paths["/events"].get.responses[200].content["text/event-stream"].itemSchemas = {};
  assert.not((await new Validator().validate(broken)).valid, "the validator looks that deep");
});

test("GET /openapi.json says of every array what its items are, and leaves data as it is", () => {
  const { items, minItems } = api.components.schemas["torrent_discovered.payload"].properties.files.items;
  assert.equal([items, minItems], [{ anyOf: [{}, {}] }, 2], "a tuple");
  const data = { type: "array", items: false };
  assert.equal(
    withItems({
      type: "array",
      prefixItems: [{ type: "array", items: false }, { type: "array", items: { type: "array" } }],
      default: data,
      properties: { items: { type: "array" }, default: { const: data } },
    }),
    {
      type: "array",
      prefixItems: [
        { type: "array", items: { not: {} } },
        { type: "array", items: { type: "array", items: {} } },
      ],
      default: data,
      properties: { items: { type: "array", items: {} }, default: { const: data } },
      items: { anyOf: [{}, {}] },
    },
  );
});

test("GET /openapi.json contains no reference that leads nowhere", () => {
  const references = [...JSON.stringify(api).matchAll(/"(?:\$ref|#[^"]*|[^"]*)":"#\/([^"]+)"/g)];
  assert.ok(references.length > 100, `${references.length}`);
  for (const [, path] of references) {
    // deno-lint-ignore no-explicit-any
    const target = path!.split("/").reduce((value: any, key) => value?.[key], api);
    assert.type(target, "object", path);
  }
});

test("GET /openapi.json describes each event of Tribler, as it is streamed and as it is published", () => {
  assert.is(drafts.length, 25);
  for (const draft of drafts) {
    assert.is(faultsOf("/components/schemas/Draft", draft), undefined, draft.type);
    const event = { ...draft, id: "k3f9-17", time: "2026-11-22T15:50:52.123Z" };
    assert.is(faultsOfEvent(event), undefined, draft.type);
    assert.is(faultsOf(`/components/schemas/${draft.type}`, event), undefined, draft.type);
    const subject = "a/b";
    assert.is(faultsOf("/components/schemas/Draft", { ...draft, subject }), undefined, draft.type);
    assert.is(faultsOfEvent({ ...event, subject }), undefined, draft.type);
    for (const bad of ["", "a b", "x".repeat(257), 42]) {
      assert.ok(faultsOf("/components/schemas/Draft", { ...draft, subject: bad }) !== undefined, String(bad));
    }
  }
});

test("GET /openapi.json describes no event that the catalogue rejects", () => {
  let tried = 0;
  const refused = (value: object, what: string) => {
    tried++;
    assert.ok(faultsOf("/components/schemas/Draft", value) !== undefined, what);
  };
  for (const draft of drafts) {
    const { type, event } = draft;
    refused({ ...draft, id: "k3f9-17" }, `${type} with an id`);
    if (event === undefined) {
      refused({ type, event: {} }, `${type} with a payload`);
      continue;
    }
    refused({ type }, `${type} without a payload`);
    refused({ type, event: [event] }, `${type} in an array`);
    if (typeof event !== "object") continue;
    for (const [key, value] of Object.entries(event)) {
      refused(
        { type, event: { ...event, [key]: typeof value === "object" ? 7 : {} } },
        `${type} with another ${key}`,
      );
      if (key === "hidden") continue; // It may be missing.
      const { [key]: _, ...rest } = event as unknown as Record<string, unknown>;
      refused({ type, event: rest }, `${type} without ${key}`);
    }
  }
  refused({ type: "events_start", event: { tribler_started: true, version: "7" } }, "a control event");
  refused({ type: "nothing" }, "an unknown type");
  assert.ok(tried > 200, `${tried}`);
});

test("GET /openapi.json describes a whole stream, control events included, in both formats", async () => {
  const small = createSession({ version: "7.1.5", history: { events: 3 } });
  const app = createApp(small, { heartbeat: 5 });
  for (const draft of drafts) {
    small.channel.publishBatch([draft as Parameters<typeof small.channel.publishBatch>[0][0]]);
  }
  const path = `/events?follow=false&since=${small.channel.epoch}-2`;
  const text = await (await app.request(path)).text();
  const events = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  assert.equal(events.slice(0, 2).map(({ type }) => type), ["events_start", "events_lost"]);
  assert.is(events.length, 5);
  const bookmark = { type: "events_bookmark", id: "k3f9-17", time: "2026-11-22T15:50:52.123Z" };
  for (const event of [...events, bookmark]) assert.is(faultsOfEvent(event), undefined, event.type);

  const sse = await (await app.request(`${path}&format=sse`)).text();
  const pointer = "/paths/~1events/get/responses/200/content/text~1event-stream/itemSchema";
  const blocks = sse.split("\n\n").filter(Boolean).map((block) => {
    const fields = block.split("\n").map((
      line,
    ) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]);
    const { retry, ...rest } = Object.fromEntries(fields);
    return { ...rest, ...(retry && { retry: Number(retry) }) };
  });
  assert.is(blocks.length, 5);
  for (const block of blocks) assert.is(faultsOf(pointer, block), undefined, JSON.stringify(block));
});

/** A body that has begun and never ends. */
const endless = () =>
  new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([0x5b])) });
const broken = () => new ReadableStream({ start: (controller) => controller.error(new Error("broken off")) });

test("GET /openapi.json names exactly the errors of each operation, as they are answered", async () => {
  const ofServer = (options: Partial<AppOptions> & { maxIdempotencyKeys?: number } = {}) => {
    const session = createSession({ version: "7.1.5" });
    return { session, app: createApp(session, { heartbeat: 5, ...options }) };
  };
  const closing = ofServer();
  const closed = ofServer();
  closed.session.channel.close();
  const full = ofServer({ maxConnections: 1, maxIdempotencyKeys: 1 }).app;
  const stream = await full.request("/events");
  const failing = createApp({
    ...session,
    startPayload: () => {
      throw new Error("no payload");
    },
  }, { heartbeat: 5, log: createLog("off", () => {}) });
  /** A server whose channel keeps its events in a store that cannot be reached. */
  const away = (code: "ChannelUnavailable" | "PublishUnconfirmed") => {
    const session = createSession({ version: "7.1.5" });
    const refuse = () => Promise.reject(new EventsError(code, "away"));
    const channel: Channel<TriblerSchemas> = { ...session.channel, locate: refuse, publishBatch: refuse };
    return createApp({ ...session, channel }, { heartbeat: 5 });
  };
  const locked = ofServer({ apiKey: "k" }).app;
  // Its keys cannot be fetched, and those who publish may not read.
  const limited = ofServer({
    credentials: {
      publishKeys: ["p"],
      readKeys: ["r"],
      jwtSecret: "s".repeat(32),
      jwksUrl: "http://127.0.0.1:1/",
    },
  }).app;
  const publisher = { "X-Api-Key": "p" };
  const foreign = { "X-Api-Key": `${btoa('{"alg":"ES256"}').replaceAll("=", "")}.e30.e30` };
  const nobody = { "X-Api-Key": await sign({ scope: "" }, "s".repeat(32), "HS256") };
  const impatient = ofServer({ stallTimeout: 0.05 }).app;

  const json = { "Content-Type": "application/json" };
  const keyed = { ...json, "Idempotency-Key": "k" };
  const draft = JSON.stringify(drafts[2]);
  await full.request("/events", { method: "POST", headers: keyed, body: draft });
  const post = (init: RequestInit, of: { request: typeof app.request } = app) =>
    of.request(
      "/events",
      { method: "POST", headers: json, body: draft, duplex: "half", ...init } as RequestInit,
    );
  const get = (
    path: string,
    headers: Record<string, string> = {},
    of: { request: typeof app.request } = app,
  ) => of.request(path, { headers });
  const late = post({ body: endless() }, closing.app);
  await until(() => closing.session.channel.stats().readers > 0, "it waits for the body");
  closing.session.channel.close();

  const answers: [operation: string, code: string, answer: Response | Promise<Response>][] = [
    ["/events get", "InvalidCursor", get("/events?since=nonsense")],
    ["/events get", "UnknownEventType", get("/events?types=nothing")],
    ["/events get", "InvalidParameter", get("/events?follow=perhaps")],
    ["/events get", "NotAcceptable", get("/events", { Accept: "image/png" })],
    ["/events get", "TooManyConnections", get("/events", {}, full)],
    ["/events get", "InternalError", get("/events", {}, failing)],
    ["/events get", "Unauthorized", get("/events", {}, locked)],
    ["/events get", "Forbidden", get("/events", publisher, limited)],
    ["/events get", "Unavailable", get("/events", foreign, limited)],
    ["/events post", "Forbidden", post({ headers: { ...json, "X-Api-Key": "r" } }, limited)],
    ["/events post", "Unavailable", post({ headers: { ...json, ...foreign } }, limited)],
    ["/metrics get", "Forbidden", get("/metrics", publisher, limited)],
    ["/metrics get", "Unavailable", get("/metrics", foreign, limited)],
    ["/openapi.json get", "Forbidden", get("/openapi.json", nobody, limited)],
    ["/openapi.json get", "Unavailable", get("/openapi.json", foreign, limited)],
    ["/events get", "ForbiddenHost", get("/events", { Host: "other.example" })],
    ["/events get", "ShuttingDown", get("/events", {}, closed.app)],
    ["/events get", "ChannelUnavailable", get("/events", {}, away("ChannelUnavailable"))],
    ["/events post", "ChannelUnavailable", post({}, away("ChannelUnavailable"))],
    ["/events post", "PublishUnconfirmed", post({}, away("PublishUnconfirmed"))],
    ["/events post", "InvalidEvent", post({ body: "[]" })],
    ["/events post", "InvalidEvent", post({ body: `[${draft},{"type":"shutdown"}]` })],
    ["/events post", "BodyIncomplete", post({ body: broken() })],
    ["/events post", "RequestTimeout", post({ body: endless() }, impatient)],
    ["/events post", "PayloadTooLarge", post({ body: " ".repeat(1024 * 1024 + 1) })],
    ["/events post", "UnsupportedMediaType", post({ headers: { "Content-Type": "text/plain" } })],
    ["/events post", "UnsupportedMediaType", post({ headers: { ...json, "Content-Encoding": "gzip" } })],
    ["/events post", "IdempotencyKeyReused", post({ headers: keyed, body: JSON.stringify(drafts[3]) }, full)],
    [
      "/events post",
      "TooManyIdempotencyKeys",
      post({ headers: { ...keyed, "Idempotency-Key": "other" } }, full),
    ],
    ["/events post", "InvalidParameter", post({ headers: { ...json, "Idempotency-Key": "two words" } })],
    ["/events post", "CrossSiteRequest", post({ headers: { ...json, Origin: "https://other.example" } })],
    ["/events post", "ChannelClosed", late],
    ["/events post", "ShuttingDown", post({}, closed.app)],
    ["/events post", "Unauthorized", post({}, locked)],
    ["/events post", "ForbiddenHost", post({ headers: { ...json, Host: "other.example" } })],
  ];
  const keyless = PAGE_ASSETS.map(({ path }) => path);
  for (const path of ["/metrics", "/openapi.json", ...keyless]) {
    if (!keyless.includes(path)) answers.push([`${path} get`, "Unauthorized", get(path, {}, locked)]);
    answers.push([`${path} get`, "ForbiddenHost", get(path, { Host: "other.example" })]);
    answers.push([`${path} get`, "ShuttingDown", get(path, {}, closed.app)]);
  }
  const seen = new Set<string>();
  for (const [operation, expected, answering] of answers) {
    const answer = await answering;
    const body = await answer.json();
    const { code } = body.error;
    assert.is(code, expected, `${operation}: ${JSON.stringify(body)}`);
    seen.add(`${operation} ${code}`);
    const [path = "", method] = operation.split(" ");
    const pointer = `/paths/${path.replaceAll("/", "~1")}/${method}/responses/${answer.status}`;
    const schema = `${pointer}/content/application~1json/schema`;
    assert.is(faultsOf(schema, body), undefined, JSON.stringify(body));
    const other = { error: { ...body.error, code: "SomethingElse" } };
    assert.ok(faultsOf(schema, other) !== undefined, "the codes are named");
    const { headers = {} } = api.paths[path][method!].responses[answer.status];
    for (const name of ["Retry-After", "WWW-Authenticate"]) {
      const value = answer.headers.get(name);
      assert.is(headers[name]?.required ?? false, value !== null, `${operation} ${code}: ${name}`);
      if (value === null) continue;
      const fitting = headers[name].schema.type === "integer" ? Number(value) : value;
      const header = `${pointer}/headers/${name}/schema`;
      assert.is(faultsOf(header, fitting), undefined, value);
    }
  }
  await stream.body?.cancel();

  const named = Object.entries(api.paths).flatMap(([path, operations]) =>
    Object.entries(operations as object).filter(([method]) => method !== "head").flatMap((
      [method, operation],
    ) =>
      [...JSON.stringify(operation.responses).matchAll(/"enum":\[("\w+"(?:,"\w+")*)\]/g)].flatMap((
        [, codes],
      ) => JSON.parse(`[${codes}]`).map((code: string) => `${path} ${method} ${code}`))
    )
  );
  // InvalidParameter is answered before any route, and InternalError for a fault of the server itself: on every path.
  const everywhere = / (?:InvalidParameter|InternalError)$/;
  const missing = named.filter((one) => !seen.has(one) && !everywhere.test(one));
  assert.equal(missing, []);
  for (const code of Object.keys(STATUS)) {
    // Forbidden is for applications; a method that is not allowed is no operation; no runtime of the server isolates requests.
    if (["Forbidden", "MethodNotAllowed", "RequestsIsolated"].includes(code)) continue;
    assert.ok([...seen].some((one) => one.endsWith(` ${code}`)), code);
  }
});

test("GET /openapi.json describes the answers to unknown paths and methods", async () => {
  const cases = [
    ["GET", "/nothing", 404, "NotFound"],
    ["POST", "/healthz", 404, "NotFound"],
    ["PUT", "/events", 405, "MethodNotAllowed"],
  ] as const;
  for (const [method, path, status, name] of cases) {
    const answer = await app.request(path, { method });
    assert.is(answer.status, status);
    const pointer = `/components/responses/${name}/content/application~1json/schema`;
    assert.is(faultsOf(pointer, await answer.json()), undefined);
  }
});

test("GET /openapi.json describes the answer to an accepted POST", async () => {
  const answer = await app.request("/events", {
    method: "POST",
    body: JSON.stringify(drafts),
    headers: { "Content-Type": "application/json" },
  });
  const pointer = "/paths/~1events/post/responses/202/content/application~1json/schema";
  assert.is(faultsOf(pointer, await answer.json()), undefined);
});

test("GET /openapi.json describes the stream of an EventSource that is rejected for now: its retry alone", async () => {
  const full = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5, maxConnections: 1 });
  const stream = await full.request("/events");
  const closed = createSession({ version: "7.1.5" });
  closed.channel.close();
  for (const app of [full, createApp(closed, { heartbeat: 5 })]) {
    const refused = await app.request("/events?format=sse");
    assert.is(refused.status, 200);
    const retry = Number(/^retry: (\d+)\n$/.exec(await refused.text())?.[1]);
    const pointer = "/paths/~1events/get/responses/200/content/text~1event-stream/itemSchema";
    assert.is(faultsOf(pointer, { retry }), undefined);
  }
  assert.match(
    api.paths["/events"].get.responses[200].description,
    /TooManyConnections.*ShuttingDown.*retry/,
  );
  await stream.body?.cancel();
});

test("GET /openapi.json names every parameter and media type of a stream", async () => {
  const { parameters, responses } = api.paths["/events"].get;
  assert.equal(parameters.map(({ name }: { name: string }) => name), [
    "Last-Event-ID",
    "since",
    "lastEventId",
    "last",
    "until",
    "limit",
    "format",
    "types",
    "subject",
    "bookmarks",
    "follow",
  ]);
  for (const type of Object.keys(responses[200].content)) {
    const stream = await app.request("/events?follow=false", { headers: { Accept: type } });
    assert.is(stream.headers.get("content-type"), type);
    await stream.body?.cancel();
  }
  assert.is(Object.keys(responses[200].content).length, 4);
});

test("GET /openapi.json describes exactly the routes of the server", () => {
  // One route of all methods is that of POST, beside those of middleware.
  const routes = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) =>
    `${method} ${path}`
  ).concat("POST /events");
  const described = Object.entries(api.paths as Record<string, object>).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const heads = routes.filter((route) => route.startsWith("GET ")).map((route) =>
    route.replace("GET", "HEAD")
  );
  assert.equal(described.sort(), [...new Set([...routes, ...heads])].sort());
});

test.run();
