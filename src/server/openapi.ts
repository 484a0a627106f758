/**
 * The server's API as an OpenAPI 3.2 document, its events described by the schemas of the catalogue.
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import { VERSION } from "../version.ts";
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
import { refusals } from "./openapi_refusals.ts";
import { type Json, schemasOf } from "./openapi_schemas.ts";
import { PAGE_ASSETS } from "./page_assets.ts";

export type { Json } from "./openapi_schemas.ts";

/**
 * The document for a server of this catalogue.
 *
 * A schema is described as far as JSON Schema can say it: a check of its own (`v.custom`, `v.check`) is left out.
 *
 * @param mounts the paths of the events
 * @param catalogue its types are the names of schemas in the document
 */
export function describeApi(catalogue: Catalogue, mounts: readonly Mount[]): Json {
  return {
    openapi: "3.2.0",
    info: {
      title: "Events endpoint",
      version: VERSION,
      description:
        "Streams events over HTTP, as NDJSON or as server-sent events, and takes events to publish. " +
        "Other methods of the paths of events are answered by `MethodNotAllowed`, and everything else by `NotFound`.",
    },
    paths: {
      ...Object.fromEntries(
        PAGE_ASSETS.map(({ path, type }) => [path, readOperations(pageOperation(path, type))]),
      ),
      ...Object.fromEntries(mounts.flatMap(pathsOf)),
      "/healthz": readOperations({ ...healthOperation(), security: [] }),
      "/metrics": readOperations(
        textOperation("metrics", "Metrics", "In Prometheus' text format.", METRICS_TYPE),
      ),
      "/openapi.json": readOperations(
        textOperation("openapi", "This document", "OpenAPI 3.2.", "application/json"),
      ),
    },
    // In any of these ways where the server wants a key, and in none where it does not.
    security: [{}, ...Object.keys(SECURITY).map((name) => ({ [name]: [] }))],
    components: {
      schemas: schemasOf(catalogue),
      responses: {
        NotFound: refusals(["NotFound"])["404"],
        MethodNotAllowed: refusals(["MethodNotAllowed"])["405"],
      },
      securitySchemes: SECURITY,
    },
  };
}

/** The paths of the events in one dialect. */
function pathsOf(mount: Mount): [path: string, operations: Json][] {
  const operations = { ...readOperations(streamOperation(mount)), post: publishOperation(mount) };
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
