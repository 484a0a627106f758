/**
 * Arrays in an OpenAPI document: each says what its items are, which linters and some generators rely on.
 *
 * @module
 */
import type { Json } from "./json_schema_of.ts";

/** The keywords whose value is data and no schema. */
const DATA: readonly string[] = ["const", "enum", "default", "examples", "example", "required"];
/** The keywords whose value has a schema under each name. */
const NAMES: readonly string[] = [
  "properties",
  "patternProperties",
  "$defs",
  "definitions",
  "dependentSchemas",
];

/**
 * What may follow the items of a tuple: anything, or nothing. `@hey-api/openapi-ts` would make a further item of the tuple of each
 * `items`, but not of a union, and the rules of Spectral want an `items` that is not `false`.
 */
const ANY_MORE: Json = { anyOf: [{}, {}] };
const NO_MORE: Json = { anyOf: [{ not: {} }, { not: {} }] };

/** Returns a schema that takes the same values, whose arrays all have `items`: a schema that is an object. */
export function withItems(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withItems);
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).map(([key, value]) => {
    if (DATA.includes(key)) return [key, value];
    return [key, NAMES.includes(key) ? mapped(value) : withItems(value)];
  });
  const { items, ...rest } = Object.fromEntries(members) as Json;
  if (rest["type"] !== "array") return items === undefined ? rest : { ...rest, items };
  const isTuple = Array.isArray(rest["prefixItems"]);
  if (items === false) return { ...rest, items: isTuple ? NO_MORE : { not: {} } };
  if (items !== undefined && items !== true) return { ...rest, items };
  return { ...rest, items: isTuple ? ANY_MORE : {} };
}

function mapped(schemas: unknown): unknown {
  if (typeof schemas !== "object" || schemas === null) return schemas;
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withItems(schema)]));
}
