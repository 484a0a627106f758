/**
 * The API of an endpoint, or of a whole server, as an OpenAPI 3.2 document: its events described by the schemas of the catalogue.
 *
 * @module
 */
import type { Context } from "hono";
import { checkArgument, checkOptions, type Expected, STRING } from "../events/arguments.ts";
import type { Catalogue } from "../events/catalogue.ts";
import { VERSION } from "../version.ts";
import { type AnyEndpoint, ENDPOINT } from "./any_endpoint.ts";
import { METRICS_TYPE } from "./metrics.ts";
import type { Mount } from "./mounts.ts";
import {
  healthOperation,
  infoOperation,
  pageOperation,
  publishOperation,
  readOperations,
  streamOperation,
  textOperation,
} from "./openapi_operations.ts";
import {
  ACCESS_CODES,
  APPLICATION_CODES,
  type ErrorCode,
  PUBLISH_ACCESS_CODES,
  refusals,
} from "./openapi_refusals.ts";
import { type Json, schemasOf } from "./openapi_schemas.ts";
import { PAGE_ASSETS } from "./page_assets.ts";

/** Options of {@linkcode openApiHandler}. */
export interface OpenApiOptions {
  /** The path that the endpoint is mounted at; default `/events`. */
  readonly path?: string;
  /** The title of the document. */
  readonly title?: string;
  /** The version of the API; default that of this package. */
  readonly version?: string;
}

/**
 * Makes a handler that answers with an OpenAPI 3.2 document of an endpoint: its parameters, its errors, and its events by
 * the schemas of its catalogue. Generators of clients make typed streams of it.
 *
 * A schema is described as far as JSON Schema can say it: a check of its own (`v.custom`, `v.check`) is left out.
 *
 * @param endpoint the endpoint, as `eventsEndpoint` makes it
 * @throws {TypeError} for another argument, for an option that there is not, and if its value is of another kind
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
 * import { openApiHandler } from "events-endpoint/server";
 *
 * const endpoint = eventsEndpoint(createChannel(defineEvents({ tick: null })));
 * const app = new Hono().route("/events", endpoint);
 * app.get("/openapi.json", openApiHandler(endpoint, { path: "/events" }));
 * console.log(Object.keys((await (await app.request("/openapi.json")).json()).paths)); // ["/events"]
 * ```
 */
export function openApiHandler(
  endpoint: AnyEndpoint,
  options: OpenApiOptions = {},
): (c: Context) => Response {
  checkArgument("openApiHandler: the endpoint", endpoint, ENDPOINT);
  checkOptions("openApiHandler", options, { path: PATH, title: STRING, version: STRING });
  const { path = "/events", title = "Events", version = VERSION } = options;
  return describer(() => endpoint.channel.catalogue, (catalogue) => {
    const operations = pathsOf({ path, dialect: "7.1" }, APPLICATION_CODES);
    return { ...documentOf(catalogue, { title, version }, Object.fromEntries(operations)), security: [{}] };
  });
}

/** The path of an endpoint. */
const PATH: Expected = {
  text: "a path that begins with /",
  accepts: (value) => typeof value === "string" && value.startsWith("/"),
};

/** Makes the handler of `GET /openapi.json` of a server. */
export function apiHandler(catalogueOf: () => Catalogue, mounts: readonly Mount[]): (c: Context) => Response {
  return describer(catalogueOf, (catalogue) => describeApi(catalogue, mounts));
}

/** Describes a catalogue when it is asked for the first time, and again when it was replaced. */
function describer(
  catalogueOf: () => Catalogue,
  describe: (catalogue: Catalogue) => Json,
): (c: Context) => Response {
  let described: Catalogue["schemas"] | undefined;
  let document: Json | undefined;
  return (c) => {
    const catalogue = catalogueOf();
    if (described !== catalogue.schemas) document = undefined;
    described = catalogue.schemas;
    return c.json(document ??= describe(catalogue));
  };
}

/** The document for a server of this catalogue. */
function describeApi(catalogue: Catalogue, mounts: readonly Mount[]): Json {
  const info = {
    title: "Events endpoint",
    version: VERSION,
    description:
      "Streams events over HTTP, as NDJSON or as server-sent events, and takes events to publish. " +
      "Other methods of the paths of events are answered by `MethodNotAllowed`, and everything else by `NotFound`.",
  };
  const { components, ...document } = documentOf(catalogue, info, {
    ...Object.fromEntries(
      PAGE_ASSETS.map(({ path, type }) => [path, readOperations(pageOperation(path, type))]),
    ),
    ...Object.fromEntries(mounts.flatMap((mount) => pathsOf(mount, ACCESS_CODES, PUBLISH_ACCESS_CODES))),
    "/healthz": readOperations({ ...healthOperation(), security: [] }),
    "/metrics": readOperations(
      textOperation("metrics", "Metrics", "In Prometheus' text format.", METRICS_TYPE),
    ),
    "/openapi.json": readOperations(
      textOperation("openapi", "This document", "OpenAPI 3.2.", "application/json"),
    ),
  });
  return {
    ...document,
    // In any of these ways where the server wants a key, and in none where it does not.
    security: [{}, ...Object.keys(SECURITY).map((name) => ({ [name]: [] }))],
    components: {
      ...components,
      responses: {
        NotFound: refusals(["NotFound"])["404"],
        MethodNotAllowed: refusals(["MethodNotAllowed"])["405"],
      },
      securitySchemes: SECURITY,
    },
  };
}

/** The document for some paths. */
function documentOf(catalogue: Catalogue, info: Json, paths: Json): Json & { readonly components: Json } {
  return {
    openapi: "3.2.0",
    info,
    servers: [{ url: "/" }],
    paths,
    components: { schemas: schemasOf(catalogue) },
  };
}

/**
 * The paths of the events in one dialect.
 *
 * @param access what each request may be refused with before it comes to the endpoint
 * @param publishAccess the same for one that publishes
 */
function pathsOf(
  mount: Mount,
  access: readonly ErrorCode[],
  publishAccess: readonly ErrorCode[] = access,
): [path: string, operations: Json][] {
  const operations = {
    ...readOperations(streamOperation(mount, access)),
    post: publishOperation(mount, publishAccess),
  };
  const info: [string, Json][] = mount.dialect === "8"
    ? [[`${mount.path}/info`, readOperations(infoOperation())]]
    : [];
  return [[mount.path, operations], ...info];
}

/** The ways to send an API key. */
const SECURITY = {
  header: { type: "apiKey", in: "header", name: "X-Api-Key" },
  bearer: { type: "http", scheme: "bearer" },
  query: {
    type: "apiKey",
    in: "query",
    name: "key",
    description: "For an EventSource, which can set no header.",
  },
};
