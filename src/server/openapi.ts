/**
 * The server's API as an OpenAPI 3.2 document, its events described by the schemas of the catalogue.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { Catalogue } from "../events/catalogue.ts";
import type { EventsErrorCode } from "../events/errors.ts";
import { headersFor, STATUS } from "../http/refusal.ts";
import { ndjson, sse } from "../stream/wire_format.ts";
import { VERSION } from "../version.ts";
import { METRICS_TYPE } from "./metrics.ts";
import { PAGE_ASSETS } from "./page_assets.ts";

/** A JSON object. */
export type Json = { readonly [key: string]: unknown };

/** What the server says itself, beside what it is made of. */
type ErrorCode = EventsErrorCode | "NotFound" | "InternalError";

/** What every request may be refused with: its target and its `Host` have to make a URL. */
const COMMON_CODES: readonly ErrorCode[] = ["InvalidParameter", "InternalError"];
/** What requests for the page may be refused with. */
const PAGE_CODES: readonly ErrorCode[] = [...COMMON_CODES, "ForbiddenHost", "ShuttingDown"];
/** What all other requests but those to `/healthz` may be refused with. */
const ACCESS_CODES: readonly ErrorCode[] = [...PAGE_CODES, "Unauthorized"];
/** What `GET /events` may be refused with. */
const STREAM_CODES: readonly ErrorCode[] = [
  "InvalidCursor",
  "UnknownEventType",
  "NotAcceptable",
  "TooManyConnections",
  "ChannelUnavailable",
  ...ACCESS_CODES,
];
/** What `POST /events` may be refused with. */
const PUBLISH_CODES: readonly ErrorCode[] = [
  "InvalidEvent",
  "BodyIncomplete",
  "RequestTimeout",
  "PayloadTooLarge",
  "UnsupportedMediaType",
  "IdempotencyKeyReused",
  "TooManyIdempotencyKeys",
  "ChannelClosed",
  "ChannelUnavailable",
  "PublishUnconfirmed",
  "CrossSiteRequest",
  ...ACCESS_CODES,
];

/**
 * The document for a server of this catalogue.
 *
 * A schema is described as far as JSON Schema can say it: a check of its own (`v.custom`, `v.check`) is left out.
 *
 * @param catalogue its types are the names of schemas in the document, so they may hold no `:` and no `/`
 */
export function describeApi(catalogue: Catalogue): Json {
  return {
    openapi: "3.2.0",
    info: {
      title: "Events endpoint",
      version: VERSION,
      description:
        "Streams events over HTTP, as NDJSON or as server-sent events, and takes events to publish. " +
        "Other methods of `/events` are answered by `MethodNotAllowed`, and everything else by `NotFound`.",
    },
    paths: {
      ...Object.fromEntries(
        PAGE_ASSETS.map(({ path, type }) => [path, readOperations(pageOperation(path, type))]),
      ),
      "/events": { ...readOperations(streamOperation()), post: publishOperation() },
      "/healthz": readOperations({ ...healthOperation(), security: [] }),
      "/metrics": readOperations(
        textOperation("metrics", "Metrics", "In Prometheus' text format.", METRICS_TYPE),
      ),
      "/openapi.json": readOperations(
        textOperation("openapi", "This document", "OpenAPI 3.2.", "application/json"),
      ),
    },
    // In any of these ways where the server wants a key, and in none where it does not.
    security: [{}, ...Object.keys(SECURITY).map((name) => ({ [name]: [] }))],
    components: {
      schemas: schemasOf(catalogue),
      responses: {
        NotFound: refusals(["NotFound"])["404"],
        MethodNotAllowed: refusals(["MethodNotAllowed"])["405"],
      },
      securitySchemes: SECURITY,
    },
  };
}

/** The ways to send an API key. */
const SECURITY = {
  header: { type: "apiKey", in: "header", name: "X-Api-Key" },
  bearer: { type: "http", scheme: "bearer" },
  query: {
    type: "apiKey",
    in: "query",
    name: "key",
    description: "For an EventSource, which can set no header.",
  },
};

/** `GET`, and `HEAD`, which is answered in the same way, without the body. */
function readOperations(get: Operation): Json {
  const responses = Object.entries(get.responses).map(([status, { content: _, ...rest }]) => [status, rest]);
  const head = {
    ...get,
    operationId: `${get.operationId}Head`,
    summary: `${get.summary}: the status and the headers of it`,
    responses: Object.fromEntries(responses),
  };
  return { get, head };
}

/** What can be done with a path. */
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly responses: { readonly [status: string]: Json };
  readonly [key: string]: unknown;
}

function streamOperation(): Operation {
  const line = { itemSchema: ref("StreamEvent") };
  const block = {
    itemSchema: {
      type: "object",
      properties: {
        id: ref("Cursor"),
        event: { type: "string", description: "The event's type." },
        data: {
          type: "string",
          description: "The whole dictionary, as it stands on a line of NDJSON.",
          contentMediaType: "application/json",
          contentSchema: ref("StreamEvent"),
        },
        retry: { type: "integer", minimum: 0, description: "Milliseconds to wait before connecting again." },
      },
    },
  };
  return {
    operationId: "stream",
    summary: "Open a stream of events",
    description:
      "Held open, and every event is pushed over it. In silence an empty line of NDJSON, or a comment in SSE, says that it lives.",
    parameters: [
      {
        name: "Last-Event-ID",
        in: "header",
        description: "Go on right after this event. It wins over `since`.",
        schema: ref("Cursor"),
      },
      query("since", "The same for clients without that header.", {
        default: "latest",
        anyOf: [{ enum: ["earliest", "latest"] }, ref("Cursor")],
      }),
      query("format", "Overrides `Accept`.", { enum: [ndjson.name, sse.name] }),
      {
        ...query("types", "Only these types. A `*` at the end matches every type that begins so.", {
          type: "array",
          items: { type: "string" },
        }),
        style: "form",
        explode: false,
      },
      query("bookmarks", "Whether `events_bookmark` reports how far a filtered stream has come.", {
        type: "boolean",
        default: false,
      }),
      query("follow", "Whether the stream stays open after what is kept.", {
        type: "boolean",
        default: true,
      }),
    ],
    responses: {
      200: {
        description:
          "The stream. Its first event is `events_start`. An EventSource never reconnects after a 503, so over SSE a " +
          "temporary refusal, `TooManyConnections` or `ShuttingDown`, is answered with a stream that " +
          "holds `retry` and nothing else, and ends.",
        content: {
          ...Object.fromEntries(ndjson.mediaTypes.map((type) => [type, line])),
          ...Object.fromEntries(sse.mediaTypes.map((type) => [type, block])),
        },
      },
      ...refusals(STREAM_CODES),
    },
  };
}

function publishOperation(): Operation {
  const lines = { itemSchema: ref("Draft") };
  return {
    operationId: "publish",
    summary: "Publish events",
    description: "All of them or, where one does not fit, none.",
    parameters: [
      {
        name: "Idempotency-Key",
        in: "header",
        description: "The same key again gets the first answer, and nothing is published twice.",
        schema: { type: "string" },
      },
    ],
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: { oneOf: [ref("Draft"), { type: "array", minItems: 1, items: ref("Draft") }] },
        },
        ...Object.fromEntries(ndjson.mediaTypes.map((type) => [type, lines])),
      },
    },
    responses: {
      202: {
        description: "They were published.",
        content: {
          "application/json": {
            schema: object({ accepted: { type: "integer", minimum: 1 }, last_id: ref("Cursor") }),
          },
        },
      },
      ...refusals(PUBLISH_CODES),
    },
  };
}

function healthOperation(): Operation {
  const answer = (description: string, ...schemas: Json[]) => ({
    description,
    content: { "application/json": { schema: { oneOf: schemas } } },
  });
  const status = (is: string, more: Json = {}) => object({ status: { const: is }, ...more });
  return {
    operationId: "health",
    summary: "Whether the server serves",
    responses: {
      200: answer(
        "It does; degraded where something keeps it from taking or telling events.",
        status("serving"),
        status("degraded", { problem: { type: "string" } }),
      ),
      503: answer("It is shutting down.", status("shutting down")),
      ...refusals(COMMON_CODES),
    },
  };
}

function pageOperation(path: string, type: string): Operation {
  return {
    operationId: path === "/" ? "page" : path.slice(1),
    summary: "The live page",
    security: [],
    responses: {
      200: { description: "For a browser.", content: { [type]: {} } },
      304: { description: "It is as it was." },
      ...refusals(PAGE_CODES),
    },
  };
}

function textOperation(
  operationId: string,
  summary: string,
  description: string,
  type: string,
): Operation {
  return {
    operationId,
    summary,
    responses: { 200: { description, content: { [type]: {} } }, ...refusals(ACCESS_CODES) },
  };
}

/** A response for each status that the codes have. */
function refusals(codes: readonly ErrorCode[]): Readonly<Record<string, Json>> {
  const responses: Record<string, Json> = {};
  const statusOf = (code: ErrorCode) =>
    code === "NotFound" ? 404 : code === "InternalError" ? 500 : STATUS[code]!;
  for (const status of new Set(codes.map(statusOf))) {
    const those = codes.filter((code) => statusOf(code) === status);
    const headers = those.flatMap((code) => Object.keys(headersFor(code))).filter((name) => name in HEADERS);
    const schema = {
      allOf: [ref("Error"), { properties: { error: { properties: { code: { enum: those } } } } }],
    };
    responses[status] = {
      description: those.join(" or "),
      ...(headers.length > 0 && {
        headers: Object.fromEntries(headers.map((name) => [name, HEADERS[name as keyof typeof HEADERS]])),
      }),
      content: { "application/json": { schema } },
    };
  }
  return responses;
}

/** The headers of refusals that a client does something with. */
const HEADERS = {
  "Retry-After": {
    description: "Seconds to stay away, not the same for all.",
    required: true,
    schema: { type: "integer", minimum: 0 },
  },
  "WWW-Authenticate": {
    description: "How a key may be sent, among other ways.",
    required: true,
    schema: { const: "Bearer" },
  },
};

/** The schemas of events, drafts and errors: an event's is called as its type. */
function schemasOf({ types, schemas }: Catalogue): Json {
  const time = { type: "string", format: "date-time", description: "When it was published, in UTC." };
  const heartbeat = {
    type: ["number", "null"],
    description: "Seconds of silence after which the stream carries a heartbeat; null where it never does.",
  };
  const start = object({ heartbeat });
  const lost = object({
    reason: { enum: ["history_expired", "unknown_epoch", "slow_consumer"] },
    count: { type: ["integer", "null"], description: "How many events are missed, where that can be known." },
  });
  const error = {
    handled: { type: "boolean", description: "Whether the server knows what was wrong." },
    code: { type: "string" },
    message: { type: "string" },
  };
  const details = {
    type: "array",
    description: "Every fault of a body, with its place.",
    items: object({
      index: { type: "integer", minimum: 0 },
      path: { type: "string" },
      message: { type: "string" },
    }),
  };
  const event = (type: string, payload: Json | undefined) =>
    object({
      type: { const: type },
      ...(payload === undefined ? {} : { event: payload }),
      id: ref("Cursor"),
      time,
    });
  const payloads = new Map(types.map((type) => [type, payloadOf(schemas[type])]));
  const startPayload = payloadOf(schemas["events_start"]);
  const all: Record<string, Json> = {
    events_start: event("events_start", startPayload ? { allOf: [start, startPayload] } : start),
    events_lost: event("events_lost", lost),
    events_bookmark: event("events_bookmark", undefined),
  };
  const streamed = [...Object.keys(all), ...types];
  for (const [type, payload] of payloads) {
    if (payload !== undefined) all[`${type}.payload`] = payload;
    const reference = payload && ref(`${type}.payload`);
    all[type] = event(type, reference);
    all[`${type}.draft`] = {
      ...object({ type: { const: type }, ...(reference && { event: reference }) }),
      additionalProperties: false,
    };
  }
  return {
    StreamEvent: oneOf(streamed.map((type) => [type, type])),
    Draft: oneOf(types.map((type) => [type, `${type}.draft`])),
    Cursor: {
      type: "string",
      description: "A position in the stream: opaque, to be handed back as it came.",
    },
    Error: object({ error: object(error, { details }) }),
    ...all,
  };
}

/** The JSON Schema of a payload; `undefined` for a type that has none. */
function payloadOf(schema: Catalogue["schemas"][string] | undefined): Json | undefined {
  if (!schema) return undefined;
  const { $schema: _, ...described } = toJsonSchema(schema, { target: "draft-2020-12", errorMode: "ignore" });
  return described;
}

/** An object that has all of these properties, and may have more, such as these. */
function object(properties: Json, more: Json = {}): Json {
  return { type: "object", properties: { ...properties, ...more }, required: Object.keys(properties) };
}

/** One of some schemas, discriminated by `type`. */
function oneOf(names: readonly (readonly [type: string, schema: string])[]): Json {
  return {
    oneOf: names.map(([, schema]) => ref(schema)),
    discriminator: {
      propertyName: "type",
      mapping: Object.fromEntries(names.map(([type, schema]) => [type, ref(schema).$ref])),
    },
  };
}

function query(name: string, description: string, schema: Json): Json {
  return { name, in: "query", description, schema };
}

function ref(name: string): { $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}
