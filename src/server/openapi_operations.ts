/**
 * The operations of the OpenAPI document: what can be done with each path.
 *
 * @module
 */
import { type Dialect, DIALECTS } from "../stream/dialects.ts";
import { ndjson, sse } from "../stream/wire_format.ts";
import type { Mount } from "./mounts.ts";
import {
  ACCESS_CODES,
  COMMON_CODES,
  type ErrorCode,
  PAGE_CODES,
  PUBLISH_CODES,
  refusals,
  STREAM_CODES,
} from "./openapi_refusals.ts";
import { type Json, object, ref, SUBJECT_SCHEMA } from "./openapi_schemas.ts";

/** What can be done with a path. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly responses: { readonly [status: string]: Json };
  readonly [key: string]: unknown;
}

/** `GET`, and `HEAD`, which is answered in the same way, without the body. */
export function readOperations(get: Operation): Json {
  const responses = Object.entries(get.responses).map(([status, { content: _, ...rest }]) => [status, rest]);
  const head = {
    ...get,
    operationId: `${get.operationId}Head`,
    summary: `${get.summary}: the status and the headers of it`,
    responses: Object.fromEntries(responses),
  };
  return { get, head };
}

/** The name of an operation; another one for each dialect but the default. */
function idOf(name: string, dialect: Dialect): string {
  return dialect === "7.1" ? name : `${name}Tribler${dialect.replace(".", "_")}`;
}

/** Where a stream starts. */
const RESUME_PARAMETERS: readonly Json[] = [
  {
    name: "Last-Event-ID",
    in: "header",
    description: "Go on right after this event. It wins over `since`.",
    schema: ref("Cursor"),
  },
  query("since", "The same for clients without that header.", {
    default: "latest",
    anyOf: [
      { enum: ["earliest", "latest"] },
      ref("Cursor"),
      { type: "string", format: "date-time" },
      { type: "string", pattern: "^-\\d{1,9}(\\.\\d{1,3})?[smhd]$" },
    ],
  }),
  query(
    "lastEventId",
    "The same, as a polyfill of EventSource sends it. It wins over `since`.",
    ref("Cursor"),
  ),
  query("last", "Start with this many of the newest events that the request may see and asked for.", {
    type: "integer",
    minimum: 1,
  }),
];
/** Where it ends by itself. */
const END_PARAMETERS: readonly Json[] = [
  query(
    "until",
    "The response ends at this cursor or time, also if that is still to come. A request that resumes there gets 204.",
    {
      anyOf: [ref("Cursor"), { type: "string", format: "date-time" }],
    },
  ),
  query("limit", "The response ends after this many events.", { type: "integer", minimum: 1 }),
];
/** In which format. */
const FORMAT_PARAMETER: Json = query("format", "Overrides `Accept`.", { enum: [ndjson.name, sse.name] });
/** What it carries. */
const SELECT_PARAMETERS: readonly Json[] = [
  {
    ...query("types", "Only these types. A `*` at the end matches every type that begins so.", {
      type: "array",
      items: { type: "string" },
    }),
    style: "form",
    explode: false,
  },
  query("subject", "Only events of these subjects. A `*` at the end matches every subject that begins so.", {
    type: "array",
    items: SUBJECT_SCHEMA,
  }),
  query("bookmarks", "Whether `events_bookmark` reports how far a filtered stream has come.", {
    type: "boolean",
    default: false,
  }),
  query("follow", "Whether the stream stays open after what is kept.", {
    type: "boolean",
    default: true,
  }),
];

/** Opening a stream in a dialect. */
export function streamOperation({ dialect }: Mount, access: readonly ErrorCode[]): Operation {
  return {
    operationId: idOf("stream", dialect),
    summary: dialect === "7.1"
      ? "Open a stream of events"
      : `Open a stream for the front end of Tribler ${dialect}`,
    description:
      "Held open, and every event is pushed over it. In silence an empty line of NDJSON, or a comment in SSE, says that it lives.",
    parameters: [
      ...RESUME_PARAMETERS,
      ...END_PARAMETERS,
      ...(dialect === "7.1" ? [FORMAT_PARAMETER] : []),
      ...SELECT_PARAMETERS,
    ],
    responses: {
      200: {
        description:
          "The stream. Its first event is `events_start`. An EventSource never reconnects after a 503, so over SSE a " +
          "temporary refusal, `TooManyConnections` or `ShuttingDown`, is answered with a stream that " +
          "holds `retry` and nothing else, and ends.",
        content: contentOf(dialect),
      },
      // 204 is in the words of `until`: as a response, it would make `void` of the events in generated clients.
      ...refusals([...STREAM_CODES, ...access]),
    },
  };
}

/** The bodies of a stream, by media type. */
function contentOf(dialect: Dialect): Json {
  if (dialect !== "7.1") return Object.fromEntries(DIALECTS[dialect].mediaTypes.map((type) => [type, {}]));
  // For generators of clients: they take the first type, and look at `schema` alone.
  const schema = ref("StreamEvent");
  const line = { schema, itemSchema: schema };
  const block = {
    schema,
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
    ...Object.fromEntries(sse.mediaTypes.map((type) => [type, block])),
    ...Object.fromEntries(ndjson.mediaTypes.map((type) => [type, line])),
  };
}

/** Publishing, which is the same in every dialect. */
export function publishOperation({ dialect }: Mount, access: readonly ErrorCode[]): Operation {
  const lines = { schema: ref("Draft"), itemSchema: ref("Draft") };
  return {
    operationId: idOf("publish", dialect),
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
      ...refusals([...PUBLISH_CODES, ...access]),
    },
  };
}

/** Asking whether the server serves. */
export function healthOperation(): Operation {
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

/** Loading a file of the page. */
export function pageOperation(path: string, type: string): Operation {
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

/** Reading a text. */
export function textOperation(
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

/** Reading what `events_start` says, in the dialect of Tribler 8. */
export function infoOperation(): Operation {
  return {
    operationId: "infoTribler8",
    summary: "What events_start says",
    responses: {
      200: { description: "Its payload.", content: { "application/json": { schema: { type: "object" } } } },
      ...refusals(ACCESS_CODES),
    },
  };
}

function query(name: string, description: string, schema: Json): Json {
  return { name, in: "query", description, schema };
}
