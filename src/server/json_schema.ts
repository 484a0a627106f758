/**
 * JSON Schema, draft 2020-12, as a schema of events: it validates without `eval`, and reports every fault with its path.
 *
 * @module
 */
import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";
import type { StandardIssue, StandardSchema } from "../events/standard_schema.ts";
import { META_SCHEMA } from "./json_schema_meta.ts";
import type { Json } from "./openapi_schemas.ts";

/** A schema that is one of JSON Schema, as the libraries that write it describe themselves. */
export interface JsonSchema extends StandardSchema {
  readonly "~standard": StandardSchema["~standard"] & {
    readonly jsonSchema: { input(): Json; output(): Json };
  };
}

/** A fault of a schema: the way to its place, and what is wrong there. */
export class SchemaFault extends Error {
  /** The keys on the way to it. */
  readonly path: readonly string[];

  /** Makes the fault. */
  constructor(path: readonly string[], message: string) {
    super(message);
    this.path = path;
  }
}

/** What may stand in `$schema`. */
const DIALECT = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
const OTHER_REFERENCES = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];

const meta = new Validator(META_SCHEMA as Schema, "2020-12", false);

/**
 * Makes a schema of events from a JSON Schema.
 *
 * @throws {SchemaFault} if it is none of draft 2020-12, or refers to what is not in it
 */
export function jsonSchema(schema: unknown): JsonSchema {
  const fault = issuesOf(meta, schema)[0];
  if (fault !== undefined) throw new SchemaFault(fault.path.map(String), fault.message);
  const described = schema as Json | boolean;
  checkReferences(described, described, []);
  // The validator writes into what it is given.
  const validator = new Validator(structuredClone(described) as Schema | boolean, "2020-12", false);
  tryOut(validator);
  const json = () => typeof described === "boolean" ? (described ? {} : { not: {} }) : described;
  return {
    "~standard": {
      version: 1,
      vendor: "json-schema",
      validate: (value) => {
        const issues = issuesOf(validator, value);
        return issues.length === 0 ? { value } : { issues };
      },
      jsonSchema: { input: json, output: json },
    },
  };
}

/** Checks that a schema can be applied: one may refer to itself for ever, or to what the validator does not find. */
function tryOut(validator: Validator): void {
  for (const value of [null, {}, [], "", 0, false]) {
    try {
      validator.validate(value);
    } catch (error) {
      const [line] = (error as Error).message.split("\n");
      const isEndless = error instanceof RangeError;
      throw new SchemaFault([], isEndless ? "refers to itself for ever" : `cannot be applied: ${line}`);
    }
  }
}

/** Checks the keywords that refer to something, at every place of a schema. */
function checkReferences(schema: unknown, root: unknown, path: readonly string[]): void {
  if (typeof schema !== "object" || schema === null) return;
  if (!Array.isArray(schema) && !isData(path)) {
    const { $schema, $ref, $id } = schema as Readonly<Record<string, unknown>>;
    const other = OTHER_REFERENCES.find((name) => Object.hasOwn(schema, name));
    if (other !== undefined) throw new SchemaFault([...path, other], "is not supported here: use $ref");
    if (typeof $schema === "string" && !DIALECT.test($schema)) {
      throw new SchemaFault([...path, "$schema"], "is another dialect: only draft 2020-12 is supported");
    }
    if (path.length > 0 && typeof $id === "string") {
      throw new SchemaFault([...path, "$id"], "is only supported at the top of a schema");
    }
    const isLocal = typeof $ref === "string" && ($ref === "#" || $ref.startsWith("#/"));
    if (isLocal && resolve(root, $ref) === undefined) {
      throw new SchemaFault(
        [...path, "$ref"],
        `refers to ${JSON.stringify($ref)}, which is not in this schema`,
      );
    }
    if (typeof $ref === "string" && !$ref.startsWith("#")) {
      throw new SchemaFault([...path, "$ref"], "must begin with #: a schema is complete in itself");
    }
  }
  for (const [key, value] of Object.entries(schema)) checkReferences(value, root, [...path, key]);
}

/** The keywords whose value holds data, or names that users chose. */
const DATA = ["const", "enum", "default", "examples"];
const NAMES = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/** Whether a place in a schema holds data, or is a map of schemas whose keys are no keywords. */
function isData(path: readonly string[]): boolean {
  let isName = false;
  for (const key of path) {
    if (isName) isName = false;
    else if (DATA.includes(key)) return true;
    else isName = NAMES.includes(key);
  }
  return isName;
}

/** Returns what a JSON pointer in a fragment leads to (RFC 6901, section 6). */
function resolve(root: unknown, reference: string): unknown {
  let found: unknown = root;
  for (const part of reference.split("/").slice(1)) {
    const key = decodeFragment(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return found;
}

function decodeFragment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** An issue with the keys on the way to it. */
type Issue = StandardIssue & { readonly path: readonly string[] };

/** Keywords that apply schemas to parts of a value: their faults are those of the parts. */
const CONTAINERS = [
  "properties",
  "patternProperties",
  "additionalProperties",
  "unevaluatedProperties",
  "dependentSchemas",
  "dependencies",
  "prefixItems",
  "items",
  "additionalItems",
  "unevaluatedItems",
  "allOf",
  "if",
  "$ref",
];
/** Keywords whose fault is one, whatever the faults of their schemas. */
const ALTERNATIVES = ["anyOf", "oneOf", "not", "contains", "propertyNames"];

/** Validates a value, and returns every fault once, at its innermost place. */
function issuesOf(validator: Validator, value: unknown): Issue[] {
  const { valid, errors } = validator.validate(value);
  if (valid) return [];
  const issues: Issue[] = [];
  let alternatives: string | undefined;
  for (const error of errors) {
    const { keyword, keywordLocation } = error;
    if (alternatives !== undefined && keywordLocation.startsWith(alternatives)) continue;
    alternatives = ALTERNATIVES.includes(keyword) ? `${keywordLocation}/` : undefined;
    if (!CONTAINERS.includes(keyword)) issues.push(issueOf(error));
  }
  // Never none for a value that does not fit.
  return issues.length > 0 ? issues : [{ path: [], message: "does not match its schema" }];
}

function issueOf({ keyword, instanceLocation, error }: OutputUnit): Issue {
  const path = instanceLocation.split("/").slice(1).map((key) =>
    key.replaceAll("~1", "/").replaceAll("~0", "~")
  );
  const [, name] = /^Instance does not have required property "(.*)"\.$/s.exec(error) ?? [];
  if (keyword === "required" && name !== undefined) return { path: [...path, name], message: "is required" };
  if (keyword === "false") return { path, message: "is not allowed here" };
  const [, given, expected] = /^Instance type "(.*)" is invalid\. Expected "(.*)"\.$/s.exec(error) ?? [];
  if (keyword === "type" && given !== undefined) {
    return { path, message: `must be ${expected!.replaceAll('", "', " or ")}, not ${given}` };
  }
  return { path, message: error.replace(/\.$/, "").replace(/^Instance does/, "does") };
}
