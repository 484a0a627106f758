import { suite } from "../support/suite.ts";
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { validate } from "../../src/events/standard_schema.ts";
import { findJsonFault } from "../../src/server/json_place.ts";
import { jsonSchema, SchemaFault } from "../../src/server/json_schema.ts";

const test = suite("json schema");

/** The faults of a value, each as `path: message`. */
function faultsOf(schema: unknown, value: unknown): string[] {
  const issues = validate(jsonSchema(schema), value);
  return issues!.map(({ path, message }) => `${path!.join(".")}: ${message}`);
}

const ORDER = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {
    id: { type: "string", pattern: "^o-\\d+$" },
    total: { type: "number", minimum: 0 },
    lines: { type: "array", items: { $ref: "#/$defs/line" } },
    "a/b": { enum: [1, 2] },
    by: { oneOf: [{ type: "string" }, { type: "number" }] },
    at: { type: "string", format: "date-time" },
  },
  required: ["id", "total"],
  additionalProperties: false,
  $defs: { line: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] } },
};

test("jsonSchema() reports every fault of a value once, at its innermost place", () => {
  assert.equal(faultsOf(ORDER, { id: "o-1", total: 2, lines: [{ n: 1 }], at: "2026-11-28T03:00:00Z" }), []);
  assert.equal(faultsOf(ORDER, 7), [": must be object, not number"]);
  const wrong = { total: -1, lines: [{}, { n: 1.5 }], "a/b": 3, by: true, at: "now", more: 1 };
  assert.equal(faultsOf(ORDER, wrong), [
    "id: is required",
    "total: -1 is less than 0",
    "lines.0.n: is required",
    "lines.1.n: must be integer, not number",
    "a/b: does not match any of [1,2]",
    "by: does not match exactly one subschema (0 matches)",
    'at: String does not match format "date-time"',
    "more: is not allowed here",
  ]);
});

test("jsonSchema() leaves the schema as it was: it is shown in the description of the API", () => {
  const schema = structuredClone(ORDER);
  const { jsonSchema: described } = jsonSchema(schema)["~standard"];
  assert.equal([schema, described.input()], [ORDER, ORDER]);
});

test("jsonSchema() rejects what is no schema, with the place of the fault", () => {
  const faults: readonly (readonly [schema: unknown, path: string, message: RegExp])[] = [
    ["text", "", /^must be object or boolean, not string$/],
    [{ type: "strng" }, "type", /^does not match any of/],
    [{ type: ["string", "nul"] }, "type.1", /^does not match any of/],
    [{ properties: { total: { minimum: "0" } } }, "properties.total.minimum", /^must be number, not string$/],
    [{ properties: { id: { pattern: "(" } } }, "properties.id.pattern", /format "regex"/],
    [{ required: "id" }, "required", /^must be array, not string$/],
    [{ items: [{}] }, "items", /^must be object or boolean, not array$/],
    [{ $schema: "http://json-schema.org/draft-07/schema#" }, "$schema", /only draft 2020-12/],
    [{ properties: { a: { $ref: "#/$defs/b" } } }, "properties.a.$ref", /^refers to "#\/\$defs\/b"/],
    [{ $ref: "https://example.com/x" }, "$ref", /^must begin with #/],
    [{ $ref: "#missing" }, "", /^cannot be applied: Unresolved \$ref "#missing"/],
    [{ $ref: "#" }, "", /^refers to itself for ever$/],
    [{ $dynamicRef: "#meta" }, "$dynamicRef", /^is not supported here/],
  ];
  for (const [schema, path, message] of faults) {
    let fault: unknown;
    try {
      jsonSchema(schema);
    } catch (error) {
      fault = error;
    }
    assert.instance(fault, SchemaFault, JSON.stringify(schema));
    assert.is((fault as SchemaFault).path.join("."), path);
    assert.match((fault as SchemaFault).message, message);
  }
  // Names that look like keywords, and data, are neither.
  jsonSchema({
    properties: { $ref: { type: "string" }, $schema: {} },
    enum: [{ $ref: 1 }],
    default: { $id: "#" },
  });
  jsonSchema({ $ref: "#/$defs/list", $defs: { list: { properties: { next: { $ref: "#/$defs/list" } } } } });
  jsonSchema({ $ref: "#list", $defs: { a: { $anchor: "list", type: "array" } } });
  jsonSchema(true);
});

test("findJsonFault() returns the line and the column of the first fault", () => {
  const faults: Readonly<Record<string, string>> = {
    "": "1:1: the text ends too early",
    '{\n  "a": 1,\n  "b" 2\n}': '3:7: expected ":" after the key',
    '{"a": 1,}': '1:9: expected a key in "quotes"',
    '{"a": 1 "b": 2}': '1:9: expected "," or "}"',
    "[1, 2": "1:6: the text ends too early",
    "[tru]": "1:2: expected a value",
    '["a\nb"]': "1:2: this string is not valid",
    "{} 1": "1:4: the text should end here",
    '{"a": {"b": 1},\n "a": 2}': '2:2: the key "a" is there twice',
  };
  for (const [text, expected] of Object.entries(faults)) {
    const { line, column, message } = findJsonFault(text)!;
    assert.is(`${line}:${column}: ${message}`, expected);
  }
});

test("findJsonFault() finds a fault exactly where JSON.parse does", () => {
  const edits = fc.array(fc.tuple(fc.nat(200), fc.constantFrom(...'{}[],:"\\0-.eE1tn \n')), { maxLength: 2 });
  const values = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(values, edits, (value, edits) => {
      let text = JSON.stringify(value, null, 1);
      for (const [at, char] of edits) {
        text = text.slice(0, at % (text.length + 1)) + char + text.slice(at % (text.length + 1) + 1);
      }
      const fault = findJsonFault(text);
      if (fault?.message.endsWith("is there twice")) return;
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      assert.is(fault === undefined, isJson, JSON.stringify({ text, fault }));
    }),
    { numRuns: 500 },
  );
});

test.run();
