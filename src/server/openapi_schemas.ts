/**
 * The schemas of the OpenAPI document: events, drafts and errors.
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import { type Json, jsonSchemaOf } from "./json_schema_of.ts";
import { withItems } from "./openapi_arrays.ts";

export type { Json } from "./json_schema_of.ts";

/** A subject. White space is left out as far as all libraries know it. */
export const SUBJECT_SCHEMA: Json = { type: "string", minLength: 1, maxLength: 256, pattern: "^\\S+$" };

/** The schemas of events, drafts and errors: an event's is called as its type. */
export function schemasOf({ types, schemas, isOpen = false }: Catalogue): Json {
  const subject = { ...SUBJECT_SCHEMA, description: "What the event is about." };
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
  const event = (type: string, payload: Json | undefined, more?: Json) =>
    object({
      type: { const: type },
      ...(payload === undefined ? {} : { event: payload }),
      id: ref("Cursor"),
      time,
    }, more);
  const payloads = new Map(types.map((type) => [type, payloadOf(`${nameOf(type)}.payload`, schemas[type])]));
  const startPayload = payloadOf("events_start.payload", schemas["events_start"]);
  const all: Record<string, Json> = {
    events_start: event(
      "events_start",
      startPayload ? { allOf: [start, ref("events_start.payload")] } : start,
    ),
    events_lost: event("events_lost", lost),
    events_bookmark: event("events_bookmark", undefined),
  };
  const streamed = [...Object.keys(all), ...types];
  const control = { ...all };
  if (startPayload !== undefined) all["events_start.payload"] = startPayload;
  for (const [type, payload] of payloads) {
    const name = nameOf(type);
    if (payload !== undefined) all[`${name}.payload`] = payload;
    const reference = payload && ref(`${name}.payload`);
    all[name] = event(type, reference, { subject });
    all[`${name}.draft`] = {
      ...object({ type: { const: type }, ...(reference && { event: reference }) }, { subject }),
      additionalProperties: false,
    };
  }
  return {
    StreamEvent: isOpen ? openEvent(control) : oneOf(streamed.map((type) => [type, nameOf(type)])),
    Draft: isOpen
      ? { ...object({ type: ANY_TYPE }, { subject, event: {} }), additionalProperties: false }
      : oneOf(types.map((type) => [type, `${nameOf(type)}.draft`])),
    Cursor: {
      type: "string",
      description: "A position in the stream: opaque, to be handed back as it came.",
    },
    Error: object({ error: object(error, { details }) }),
    ...all,
  };
}

/** The name of a type that is not one of the control events. */
const ANY_TYPE: Json = {
  type: "string",
  pattern: "^[\\w.:\\-/]{1,128}$",
  not: { enum: ["events_start", "events_lost", "events_bookmark"] },
};

/** Any event of a catalogue that takes every type, beside the control events. */
function openEvent(control: Json): Json {
  const { id, time } = (control["events_bookmark"] as { properties: Json }).properties;
  const any = object({ type: ANY_TYPE }, { subject: SUBJECT_SCHEMA, event: {}, id, time });
  return { oneOf: [...Object.keys(control).map(ref), { ...any, required: ["type", "id", "time"] }] };
}

/** The names of schemas that belong to no type. */
const TAKEN = /^(?:StreamEvent|Draft|Cursor|Error)$|\.(?:draft|payload)$/;

/** The name of a type's schema: those of OpenAPI have fewer characters than types (4.7, Components Object). */
function nameOf(type: string): string {
  const name = type.replace(/[:/]/g, (char) => char === "/" ? ".." : "...");
  return TAKEN.test(name) ? `${name}.event` : name;
}

/** A schema whose references to itself are those to its place in the document. */
function placed(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((item) => placed(item, place));
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).map(([key, value]) => {
    const isOwn = key === "$ref" && typeof value === "string" && /^#(?:\/|$)/.test(value);
    return [key, isOwn ? place + value.slice(1) : placed(value, place)];
  });
  return Object.fromEntries(members);
}

/** The JSON Schema of a payload; `undefined` for a type that has none, any value if the library of its schema offers none. */
function payloadOf(name: string, schema: Catalogue["schemas"][string] | undefined): Json | undefined {
  if (!schema) return undefined;
  return placed(withItems(jsonSchemaOf(schema)), ref(name).$ref) as Json;
}

/** An object that has all of these properties, and may have more, such as these. */
export function object(properties: Json, more: Json = {}): Json {
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

/** A reference to a schema of the document. */
export function ref(name: string): { $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}
