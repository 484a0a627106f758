/**
 * The JSON Schemas of a catalogue.
 *
 * @module
 */
import { CATALOGUE, checkArgument } from "../events/arguments.ts";
import type { Catalogue, Schemas } from "../events/catalogue.ts";
import { type Json, jsonSchemaOf } from "./json_schema_of.ts";

/** The JSON Schema of each type; `null` for one without a payload. */
export type JsonSchemas<S extends Schemas> = {
  readonly [T in keyof S]:
    | (null extends S[T] ? null : never)
    | (S[T] extends null ? never : { readonly [key: string]: unknown });
};

/**
 * Returns the JSON Schema (draft 2020-12) of each type's payload, for documentation and for forms.
 *
 * Schemas of valibot are converted. Other libraries describe theirs by Standard JSON Schema, as Zod 4 and ArkType do; if one
 * does not, its schema takes any value (`{}`).
 *
 * @param catalogue the catalogue, as `defineEvents` makes it
 * @returns a schema for each type that can be published, `null` for one without a payload
 * @throws {TypeError} if it is no catalogue
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 * import { jsonSchemas } from "events-endpoint/server";
 *
 * const shop = defineEvents({ order_placed: v.object({ total: v.number() }), shop_closed: null });
 * console.log(JSON.stringify(jsonSchemas(shop).order_placed)); // {"type":"object","properties":{"total":…
 * ```
 */
export function jsonSchemas<S extends Schemas>(
  catalogue: Catalogue<S>,
): JsonSchemas<S> {
  checkArgument("jsonSchemas: the catalogue", catalogue, CATALOGUE);
  const entries = Object.entries<Schemas[string]>(catalogue.schemas)
    .map(([type, schema]): [string, Json | null] => [type, schema ? jsonSchemaOf(schema) : null]);
  return Object.fromEntries(entries) as JsonSchemas<S>;
}
