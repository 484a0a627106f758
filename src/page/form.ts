/**
 * A form for a JSON Schema: its input becomes a value, and it shows the issues that a server finds in that value.
 *
 * The input is not checked here. The server checks it against the schema, and reports every issue with its place.
 *
 * @module
 */
/// <reference lib="dom" />
import type { Field } from "./form_field.ts";
import { arrayField, objectField, unionField } from "./form_group.ts";
import { inputField } from "./form_input.ts";
import { type Resolve, resolved, type Schema, shapeOf } from "./schema.ts";

/**
 * Makes the field for a schema.
 *
 * @param name its name
 * @param value its initial value; one that does not fit is left out
 */
export function createField(schema: Schema, resolve: Resolve, name: string, value?: unknown): Field {
  const context = { resolve, name, value, createField };
  const shape = shapeOf(schema, resolve);
  switch (shape.kind) {
    case "object":
      return objectField(shape, context);
    case "array":
      return arrayField(shape, context);
    case "union":
      return unionField(shape, context);
    default:
      return inputField(shape, resolved(schema, resolve), context);
  }
}
