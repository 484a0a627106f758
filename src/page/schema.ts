/**
 * JSON Schema (draft 2020-12): the part of it that forms are made from.
 *
 * @module
 */

/** A JSON Schema. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly prefixItems?: readonly Schema[];
  readonly items?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly contentEncoding?: string;
}

/** What kind of field a schema has; `json` if no other one fits. */
export type Shape =
  | { readonly kind: "text" | "integer" | "number" | "boolean" | "null" | "json" }
  /** One of these values. */
  | { readonly kind: "choice"; readonly values: readonly unknown[] }
  | {
    readonly kind: "object";
    readonly properties: readonly (readonly [name: string, schema: Schema, isRequired: boolean])[];
  }
  /** Items with a schema each, and after them any number with the schema `rest`, if there is one. */
  | { readonly kind: "array"; readonly items: readonly Schema[]; readonly rest: Schema | undefined }
  /** One of these schemas. */
  | { readonly kind: "union"; readonly variants: readonly Schema[] };

/** Looks up references. */
export type Resolve = (reference: string) => Schema | undefined;

/** Maximum number of references followed in a row: a schema may refer to itself. */
const MAX_REFERENCES = 16;

/** Returns the kind of field for a schema. */
export function shapeOf(given: Schema, resolve: Resolve): Shape {
  const schema = resolved(given, resolve);
  if (schema.const !== undefined) return { kind: "choice", values: [schema.const] };
  if (schema.enum !== undefined) return { kind: "choice", values: schema.enum };
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants !== undefined) return { kind: "union", variants };
  const { type } = schema;
  if (typeof type === "object") {
    return { kind: "union", variants: type.map((one) => ({ ...schema, type: one })) };
  }
  switch (type) {
    case "string":
      return { kind: "text" };
    case "integer":
    case "number":
    case "boolean":
    case "null":
      return { kind: type };
    case "array":
      return arrayOf(schema);
    case "object":
      return objectOf(schema);
    default:
      return { kind: "json" };
  }
}

/** Resolves the references at the top of a schema, and merges its `allOf`. */
export function resolved(given: Schema, resolve: Resolve): Schema {
  let schema = given;
  for (let i = 0; schema.$ref !== undefined && i < MAX_REFERENCES; i++) {
    const { $ref, ...more } = schema;
    schema = { ...resolve($ref), ...more };
  }
  if (schema.allOf === undefined) return schema;
  const { allOf, ...rest } = schema;
  const parts = [rest, ...allOf.map((part) => resolved(part, resolve))];
  return Object.assign({}, ...parts, {
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required = [] }) => required),
  });
}

/** What documents have for what may follow the items of a tuple, if nothing is said of it. */
const UNSAID: readonly string[] = ["true", "{}", '{"anyOf":[{},{}]}', '{"anyOf":[{"not":{}},{"not":{}}]}'];

function arrayOf({ prefixItems = [], items = true }: Schema): Shape {
  const given = typeof items === "object" ? items : items ? {} : undefined;
  const isSaid = prefixItems.length === 0 || !UNSAID.includes(JSON.stringify(items));
  return { kind: "array", items: prefixItems, rest: isSaid ? given : undefined };
}

/** Returns `json` for a dictionary whose keys the schema does not name. */
function objectOf({ properties, required = [] }: Schema): Shape {
  if (properties === undefined) return { kind: "json" };
  const all = Object.entries(properties).map(([name, schema]) =>
    [name, schema, required.includes(name)] as const
  );
  return { kind: "object", properties: all };
}

/** Whether a value has the types that a schema requires. */
export function fits(value: unknown, given: Schema, resolve: Resolve): boolean {
  const shape = shapeOf(given, resolve);
  switch (shape.kind) {
    case "text":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    case "choice":
      return shape.values.includes(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isDictionary(value) &&
        shape.properties.every(([name, schema, isRequired]) => {
          return name in value ? fits(value[name], schema, resolve) : !isRequired;
        });
    case "union":
      return shape.variants.some((variant) => fits(value, variant, resolve));
    case "json":
      return true;
  }
}

/** Whether a value is a dictionary of JSON. */
export function isDictionary(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
