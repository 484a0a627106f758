import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { STATUS } from "../src/refusals.ts";
import { createApp } from "../src/server/app.ts";
import { createSession, triblerEvents } from "../src/tribler/mod.ts";
import { triblerPayloads } from "./tribler_payloads.ts";

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

test("it is an OpenAPI 3.2 document, as a validator of such documents sees it", async () => {
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

test("every reference in it leads somewhere", () => {
  const references = [...JSON.stringify(api).matchAll(/"(?:\$ref|#[^"]*|[^"]*)":"#\/([^"]+)"/g)];
  assert.ok(references.length > 100, `${references.length}`);
  for (const [, path] of references) {
    // deno-lint-ignore no-explicit-any
    const target = path!.split("/").reduce((value: any, key) => value?.[key], api);
    assert.type(target, "object", path);
  }
});

test("each of Tribler's events fits its schema, as it is streamed and as it is published", () => {
  assert.is(drafts.length, 25);
  for (const draft of drafts) {
    assert.is(faultsOf("/components/schemas/Draft", draft), undefined, draft.type);
    const event = { ...draft, id: "k3f9-17", time: "2026-11-22T15:50:52.123Z" };
    assert.is(faultsOfEvent(event), undefined, draft.type);
    assert.is(faultsOf(`/components/schemas/${draft.type}`, event), undefined, draft.type);
  }
});

test("what the catalogue refuses does not fit either", () => {
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

test("a real stream fits, control events included, in both formats", async () => {
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
  assert.is(blocks.length, 6);
  for (const block of blocks) assert.is(faultsOf(pointer, block), undefined, JSON.stringify(block));
});

test("it describes every refusal, and real ones are as described", async () => {
  const text = JSON.stringify(api.paths);
  for (const code of Object.keys(STATUS)) {
    if (code === "Forbidden") continue; // It is for applications.
    assert.ok(text.includes(`"${code}"`), code);
  }
  const closing = createSession({ version: "7.1.5" });
  closing.channel.close();
  const json = { "Content-Type": "application/json" };
  const requests: [method: "get" | "post", init: RequestInit, query: string, app: typeof app][] = [
    ["get", {}, "since=nonsense", app],
    ["get", {}, "types=nothing", app],
    ["get", {}, "follow=perhaps", app],
    ["get", { headers: { Accept: "image/png" } }, "", app],
    ["post", { body: "[]", headers: json }, "", app],
    ["post", { body: `[${JSON.stringify(drafts[2])},{"type":"shutdown"}]`, headers: json }, "", app],
    ["post", { body: " ".repeat(1024 * 1024 + 1), headers: json }, "", app],
    ["post", { body: "[]", headers: { "Content-Type": "text/plain" } }, "", app],
    ["post", { body: "[]", headers: { ...json, "Content-Encoding": "gzip" } }, "", app],
    ["post", { body: "[]", headers: { ...json, "Idempotency-Key": "two words" } }, "", app],
    ["post", { body: "[]", headers: { ...json, "Origin": "https://other.example" } }, "", app],
    ["post", { body: "[]", headers: json }, "", createApp(closing, { heartbeat: 5, apiKey: "k" })],
    ["post", { body: JSON.stringify(drafts[2]), headers: json }, "", createApp(closing, { heartbeat: 5 })],
  ];
  const seen = new Set<number>();
  for (const [method, init, query, app] of requests) {
    const answer = await app.request(`/events?${query}`, { ...init, method: method.toUpperCase() });
    const body = await answer.json();
    seen.add(answer.status);
    const pointer = `/paths/~1events/${method}/responses/${answer.status}/content/application~1json/schema`;
    assert.is(faultsOf(pointer, body), undefined, JSON.stringify(body));
    const other = { error: { ...body.error, code: "SomethingElse" } };
    assert.ok(faultsOf(pointer, other) !== undefined, "the codes are named");
  }
  assert.equal([...seen].sort(), [400, 401, 403, 406, 413, 415, 503]);

  const accepted = await app.request("/events", {
    method: "POST",
    body: JSON.stringify(drafts),
    headers: json,
  });
  const pointer = "/paths/~1events/post/responses/202/content/application~1json/schema";
  assert.is(faultsOf(pointer, await accepted.json()), undefined);
});

test("it names every parameter that a stream looks at, and every media type it has", async () => {
  const { parameters, responses } = api.paths["/events"].get;
  assert.equal(parameters.map(({ name }: { name: string }) => name), [
    "Last-Event-ID",
    "since",
    "format",
    "types",
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

test("it describes every route of the server, and no other", () => {
  const routes = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) =>
    `${method} ${path}`
  );
  const described = Object.entries(api.paths as Record<string, object>).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  assert.equal(described.sort(), [...new Set(routes)].sort());
});

test.run();
