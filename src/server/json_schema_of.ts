/**
 * The JSON Schema of one schema. `npm run build` bundles the converter into this module, so that no package is needed for it.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { StandardSchema } from "../events/standard_schema.ts";

/** A JSON object. */
export type Json = { readonly [key: string]: unknown };

/** What a library adds to Standard Schema that has JSON Schema too (https://standardschema.dev/json-schema). */
interface JsonSchemaSource {
  readonly jsonSchema?: { input(options: { readonly target: string }): Json };
}

/**
 * Returns the JSON Schema (draft 2020-12) of what a schema takes; one that takes any value if its library offers none. A
 * check that JSON Schema does not have (`v.check`, `v.custom`) is left out.
 */
export function jsonSchemaOf(schema: StandardSchema): Json {
  const standard: StandardSchema["~standard"] & JsonSchemaSource = schema["~standard"];
  const described = standard.vendor === "valibot"
    ? toJsonSchema(schema as unknown as Parameters<typeof toJsonSchema>[0], {
      target: "draft-2020-12",
      errorMode: "ignore",
    }) as Json
    : standard.jsonSchema?.input({ target: "draft-2020-12" }) ?? {};
  const { $schema: _, $id: _id, ...rest } = described;
  return rest;
}
