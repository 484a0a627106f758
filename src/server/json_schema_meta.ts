/**
 * The meta-schema of JSON Schema, draft 2020-12: what a schema may look like.
 *
 * It is the official one with its vocabularies in one document: the validator follows `$ref`, but no `$dynamicRef`.
 *
 * @module
 */
import type { Json } from "./openapi_schemas.ts";

const SCHEMA = { $ref: "#" };
const SCHEMAS = { type: "array", minItems: 1, items: SCHEMA };
const SCHEMA_MAP = { type: "object", additionalProperties: SCHEMA };
const COUNT = { type: "integer", minimum: 0 };
const NUMBER = { type: "number" };
const STRING = { type: "string" };
const BOOLEAN = { type: "boolean" };
const STRINGS = { type: "array", items: STRING, uniqueItems: true };
const TYPE = { enum: ["array", "boolean", "integer", "null", "number", "object", "string"] };
const ANCHOR = { type: "string", pattern: "^[A-Za-z_][-A-Za-z0-9._]*$" };

/** The meta-schema. */
export const META_SCHEMA: Json = {
  type: ["object", "boolean"],
  properties: {
    $id: { type: "string", pattern: "^[^#]*#?$" },
    $schema: STRING,
    $ref: STRING,
    $anchor: ANCHOR,
    $comment: STRING,
    $defs: SCHEMA_MAP,
    definitions: SCHEMA_MAP,
    prefixItems: SCHEMAS,
    items: SCHEMA,
    contains: SCHEMA,
    additionalProperties: SCHEMA,
    properties: SCHEMA_MAP,
    patternProperties: { ...SCHEMA_MAP, propertyNames: { format: "regex" } },
    dependentSchemas: SCHEMA_MAP,
    propertyNames: SCHEMA,
    if: SCHEMA,
    then: SCHEMA,
    else: SCHEMA,
    allOf: SCHEMAS,
    anyOf: SCHEMAS,
    oneOf: SCHEMAS,
    not: SCHEMA,
    unevaluatedItems: SCHEMA,
    unevaluatedProperties: SCHEMA,
    // Not `anyOf`, whose one fault would not say which type is wrong.
    type: {
      type: ["string", "array"],
      if: { type: "array" },
      then: { items: TYPE, minItems: 1, uniqueItems: true },
      else: TYPE,
    },
    enum: { type: "array" },
    multipleOf: { type: "number", exclusiveMinimum: 0 },
    maximum: NUMBER,
    exclusiveMaximum: NUMBER,
    minimum: NUMBER,
    exclusiveMinimum: NUMBER,
    maxLength: COUNT,
    minLength: COUNT,
    pattern: { type: "string", format: "regex" },
    maxItems: COUNT,
    minItems: COUNT,
    uniqueItems: BOOLEAN,
    maxContains: COUNT,
    minContains: COUNT,
    maxProperties: COUNT,
    minProperties: COUNT,
    required: STRINGS,
    dependentRequired: { type: "object", additionalProperties: STRINGS },
    title: STRING,
    description: STRING,
    deprecated: BOOLEAN,
    readOnly: BOOLEAN,
    writeOnly: BOOLEAN,
    examples: { type: "array" },
    format: STRING,
    contentEncoding: STRING,
    contentMediaType: STRING,
    contentSchema: SCHEMA,
  },
};
