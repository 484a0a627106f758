/**
 * `events-endpoint types`: prints the types of events that a server has, by its OpenAPI document.
 *
 * @module
 */
import process from "node:process";
import { printable } from "../text/printable.ts";
import { helpText } from "./help_text.ts";
import { readRemote, reasonOf, type Remote } from "./remote.ts";
import { TRANSPORT_FLAGS, TRANSPORT_HELP, withTransport } from "./transport.ts";
import { parseFlags, UsageError } from "./usage.ts";

/** What `types --help` shows. */
export const TYPES_HELP: string = helpText(
  `events-endpoint types URL: print the types of events that a server has

  events-endpoint types http://localhost:8085/events
  events-endpoint types http://localhost:8085/events --json > events.json
  events-endpoint serve --port 8086 --catalogue events.json

  --json                  the JSON Schema of each payload by its type, as serve --catalogue takes it
  --api-key KEY           the key that the server wants (EVENTS_API_KEY, which other users of the machine do not see)
${TRANSPORT_HELP}
  --help                  show this and exit

A line has a type and the keys of its payload; those with ? may be missing. It reads /openapi.json, which serve has.`,
);

type Json = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 30_000;

/** Prints the types. */
export async function types(args: string[]): Promise<void> {
  const { values, positionals: [address, ...more] } = parseFlags(args, {
    json: { type: "boolean" },
    "api-key": { type: "string" },
    ...TRANSPORT_FLAGS,
    help: { type: "boolean", short: "h" },
  }, true);
  if (values["help"]) return console.log(TYPES_HELP);
  if (more.length > 0) throw new UsageError(`types takes one URL, and not also "${more[0]}"`);
  const remote = await withTransport(readRemote(address, values["api-key"], process.env), values);
  const schemas = payloadsIn(await readDocument(remote));
  if (values["json"]) return console.log(JSON.stringify(Object.fromEntries(schemas), null, 2));
  for (const [type, schema] of schemas) console.log(`${printable(type)}${keysOf(schema)}`);
}

/** Reads the document beside the events, or that of the whole server. */
async function readDocument(remote: Remote): Promise<Json> {
  const { url, apiKey, fetch = globalThis.fetch, keyHint } = remote;
  const places = new Set(
    [new URL("openapi.json", url), new URL("/openapi.json", url)].map(({ href }) => href),
  );
  let fault = "";
  for (const place of places) {
    let response: Response;
    let document: unknown;
    try {
      response = await fetch(place, {
        headers: { Accept: "application/json", ...(apiKey !== undefined && { "X-Api-Key": apiKey }) },
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      document = await response.json().catch(() => undefined);
    } catch (error) {
      throw new Error(`cannot reach ${place}: ${reasonOf(error)}`);
    }
    if (response.status === 401) throw new Error(`${place} answers 401: ${keyHint}`);
    const isApi = typeof document === "object" && document !== null && "components" in document;
    if (response.ok && isApi) return document as Json;
    fault = `${place} answers ${response.status}${response.ok ? " without an OpenAPI document" : ""}`;
  }
  throw new Error(`${fault}: only a server with an OpenAPI document lists its types`);
}

/** The beginning of every reference to a schema. */
const SCHEMAS = "#/components/schemas/";

/** Returns the schema of each payload by its type; `null` for a type without a payload. */
function payloadsIn(document: Json): [type: string, schema: Json | null][] {
  const { schemas = {} } = (document["components"] ?? {}) as { schemas?: Record<string, Json> };
  const drafts = Object.entries(schemas).filter(([name]) => name.endsWith(".draft"));
  return drafts.map(([, { properties }]) => {
    const { type, event } = (properties ?? {}) as { type?: Json; event?: Json };
    const place = String(event?.["$ref"] ?? "");
    const payload = schemas[place.slice(SCHEMAS.length)] ?? event;
    return [String(type?.["const"]), payload === undefined ? null : unplaced(payload, place) as Json];
  });
}

/** A schema whose references to its place in the document are those to itself, as it was before it stood there. */
function unplaced(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((item) => unplaced(item, place));
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).map(([key, value]) => {
    const isOwn = key === "$ref" && typeof value === "string" && `${value}/`.startsWith(`${place}/`);
    return [key, isOwn ? `#${value.slice(place.length)}` : unplaced(value, place)];
  });
  return Object.fromEntries(members);
}

/** Returns what a reference in a schema leads to (RFC 6901). */
function lookUp(schema: Json, reference: string): Json | undefined {
  const keys = reference.split("/").slice(1).map((key) =>
    decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")
  );
  return keys.reduce<unknown>((found, key) => (found as Json | undefined)?.[key], schema) as Json | undefined;
}

/** Formats the keys of a payload. */
function keysOf(schema: Json | null): string {
  if (schema === null) return "";
  const { properties, required = [], type } = schema as {
    properties?: Record<string, Json>;
    required?: readonly string[];
    type?: unknown;
  };
  if (properties === undefined) return `  ${printable(String(type ?? "any"))}`;
  const keys = Object.entries(properties).map(([key, property]) => {
    const { $ref } = property;
    const { type = "any" } = typeof $ref === "string" ? lookUp(schema, $ref) ?? {} : property;
    const kinds = Array.isArray(type) ? type.join("|") : String(type);
    return `  ${printable(key)}${required.includes(key) ? "" : "?"}=${printable(kinds)}`;
  });
  return keys.join("");
}
