/**
 * Catalogues that `serve` reads from a file: a module, or JSON with a JSON Schema for each type.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFile, realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, extname } from "node:path";
import { pathToFileURL } from "node:url";
import { CATALOGUE, describe, OBJECT } from "../events/arguments.ts";
import { type Catalogue, defineEvents, type Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { isControlType } from "../events/event.ts";
import { VERSION } from "../version.ts";
import { findJsonFault } from "./json_place.ts";
import { jsonSchema, SchemaFault } from "./json_schema.ts";

/** The events that a server was given. */
export interface NamedCatalogue {
  /** Its name, for `events_start`. */
  readonly name: string;
  /** Its version, for `events_start`. */
  readonly version: string;
  readonly catalogue: Catalogue<Schemas>;
}

/** The option that takes every type. */
export const ANY = "any";

/** What `events_start` says of it. */
const START = jsonSchema({
  type: "object",
  properties: { name: { type: "string" }, version: { type: "string" } },
  required: ["name", "version"],
});

/** The keys of a JSON file that describe it. No type can have such a name. */
const ABOUT = ["$name", "$version", "$comment", "$schema"];

let imports = 0;

/**
 * Reads a catalogue.
 *
 * @param file the path of a module or of a JSON file, or `"any"`
 * @throws {EventsError} `InvalidCatalogue` in one line, with the place of the fault
 */
export async function readCatalogue(file: string): Promise<NamedCatalogue> {
  if (file === ANY) {
    const catalogue = { ...defineEvents({ events_start: START }), isOpen: true };
    return { name: ANY, version: VERSION, catalogue };
  }
  const text = await readFile(file, "utf8").catch((error: Error) => fail(file, reasonOf(error)));
  const { schemas, subject, name, version } = extname(file) === ".json"
    ? fromJson(file, text.replace(/^\uFEFF/, ""))
    : await fromModule(file);
  if (Object.keys(schemas).length === 0) fail(file, "it has no types");
  return {
    name: name ?? basename(file, extname(file)),
    version: version ?? createHash("sha256").update(text).digest("hex").slice(0, 12),
    catalogue: define(file, schemas, subject),
  };
}

/** What a file holds. */
interface Contents {
  readonly schemas: Schemas;
  /** What derives the subjects, by type. */
  readonly subject: Catalogue["subject"];
  readonly name: string | undefined;
  readonly version: string | undefined;
}

function fromJson(file: string, text: string): Contents {
  const fault = findJsonFault(text);
  if (fault !== undefined) fail(`${file}:${fault.line}:${fault.column}`, fault.message);
  const contents = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (!OBJECT.accepts(contents)) {
    fail(file, "it must be one object, with a JSON Schema or null for each type");
  }
  const schemas = Object.entries(contents).filter(([type]) => !ABOUT.includes(type)).map(([type, schema]) => {
    if (isControlType(type)) fail(file, `${type}: is a control event of every stream: choose another name`);
    return [type, schema === null ? null : schemaIn(file, type, schema)] as const;
  });
  return {
    schemas: Object.fromEntries(schemas),
    subject: {},
    name: textIn(file, contents, "$name"),
    version: textIn(file, contents, "$version"),
  };
}

function schemaIn(file: string, type: string, schema: unknown): Schemas[string] {
  try {
    return jsonSchema(schema);
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error;
    return fail(file, `${[type, ...error.path].join(".")}: ${error.message}`);
  }
}

function textIn(file: string, contents: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = contents[key];
  if (value === undefined || typeof value === "string") return value;
  return fail(file, `${key}: must be a string, not ${describe(value)}`);
}

async function fromModule(file: string): Promise<Contents> {
  const path = await realpath(file);
  forget(path);
  // With another address each time: a module is only run once.
  const address = `${pathToFileURL(path).href}${imports++ === 0 ? "" : `?read=${imports}`}`;
  const module = await import(address).catch((error: unknown) => fail(...importFault(file, error)));
  const { default: catalogue, name, version } = module as Readonly<Record<string, unknown>>;
  if (!CATALOGUE.accepts(catalogue)) {
    fail(file, `its default export must be ${CATALOGUE.text}, not ${describe(catalogue)}`);
  }
  const { schemas, subject } = catalogue as Catalogue<Schemas>;
  return {
    schemas: Object.fromEntries(Object.entries(schemas).filter(([type]) => !isControlType(type))),
    subject,
    name: textIn(file, { name }, "name"),
    version: textIn(file, { version }, "version"),
  };
}

/** Removes a module from the cache of `require`: Bun keeps every module there, and Node those of CommonJS. */
function forget(path: string): void {
  const { cache } = createRequire(path);
  for (const key of Object.keys(cache)) if (key.startsWith(path)) delete cache[key];
}

/** Returns the place of what a module threw, and a line about it. */
function importFault(file: string, error: unknown): [place: string, message: string] {
  const { code, message = String(error), stack = "" } = (error ?? {}) as Partial<Error> & { code?: unknown };
  if (code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return [
      file,
      "this release of Node runs no TypeScript: use Node 22.18 or newer, Deno, Bun, or a .js file",
    ];
  }
  const name = basename(file).replaceAll(/[^\w]/g, "\\$&");
  const [, line] = new RegExp(`${name}[^:]{0,20}:(\\d+)`).exec(stack) ?? [];
  const [first] = message.split("\n");
  return [line === undefined ? file : `${file}:${line}`, `it cannot be imported: ${first}`];
}

/** Makes the catalogue. */
function define(file: string, schemas: Schemas, subject: Catalogue["subject"]): Catalogue<Schemas> {
  try {
    return defineEvents({ events_start: START, ...schemas } as Schemas, { subject });
  } catch (error) {
    if (error instanceof EventsError || error instanceof TypeError) return fail(file, error.message);
    throw error;
  }
}

function reasonOf(error: Error): string {
  const { code } = error as { readonly code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  return error.message.split("\n")[0]!;
}

function fail(place: string, message: string): never {
  throw new EventsError("InvalidCatalogue", `the catalogue ${place}: ${message}`);
}
