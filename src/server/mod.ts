/**
 * Parts of a server for any Hono app and any catalogue: the live page, metrics, health, OpenAPI, and JSON Schemas. The
 * command `events-endpoint serve` is made of them.
 *
 * @module
 */
export type { AnyEndpoint } from "./any_endpoint.ts";
export { healthHandler } from "./health.ts";
export type { HealthOptions } from "./health.ts";
export { jsonSchemas } from "./json_schemas.ts";
export type { JsonSchemas } from "./json_schemas.ts";
export { metricsHandler } from "./metrics.ts";
export type { MetricsOptions } from "./metrics.ts";
export { openApiHandler } from "./openapi.ts";
export type { OpenApiOptions } from "./openapi.ts";
export { eventsPage } from "./page.ts";
export type { PageOptions } from "./page.ts";
