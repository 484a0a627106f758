/**
 * The refusals in the OpenAPI document: which requests may be answered by which error.
 *
 * @module
 */
import type { EventsErrorCode } from "../events/errors.ts";
import { headersFor, STATUS } from "../http/refusal.ts";
import { type Json, ref } from "./openapi_schemas.ts";

/** What the server says itself, beside what it is made of. */
export type ErrorCode = EventsErrorCode | "NotFound" | "InternalError";

/** What every request may be refused with: its target and its `Host` have to make a URL. */
export const COMMON_CODES: readonly ErrorCode[] = ["InvalidParameter", "InternalError"];
/** What requests for the page may be refused with. */
export const PAGE_CODES: readonly ErrorCode[] = [...COMMON_CODES, "ForbiddenHost", "ShuttingDown"];
/** What all other requests but those to `/healthz` may be refused with. */
export const ACCESS_CODES: readonly ErrorCode[] = [...PAGE_CODES, "Unauthorized", "Forbidden", "Unavailable"];
/** The same for requests that publish. */
export const PUBLISH_ACCESS_CODES: readonly ErrorCode[] = [...ACCESS_CODES, "CrossSiteRequest"];
/** What an application may refuse a request with, by the `authorize` of its endpoint. */
export const APPLICATION_CODES: readonly ErrorCode[] = [
  "InvalidParameter",
  "Unauthorized",
  "Forbidden",
  "Unavailable",
];
/** What `GET /events` may be refused with, beside what every request may. */
export const STREAM_CODES: readonly ErrorCode[] = [
  "InvalidCursor",
  "UnknownEventType",
  "NotAcceptable",
  "TooManyConnections",
  "ChannelUnavailable",
];
/** What `POST /events` may be refused with, beside what every request may. */
export const PUBLISH_CODES: readonly ErrorCode[] = [
  "InvalidEvent",
  "BodyIncomplete",
  "RequestTimeout",
  "PayloadTooLarge",
  "UnsupportedMediaType",
  "IdempotencyKeyReused",
  "TooManyIdempotencyKeys",
  "ChannelClosed",
  "ChannelUnavailable",
  "PublishUnconfirmed",
];

/** A response for each status that the codes have. */
export function refusals(codes: readonly ErrorCode[]): Readonly<Record<string, Json>> {
  const responses: Record<string, Json> = {};
  const statusOf = (code: ErrorCode) =>
    code === "NotFound" ? 404 : code === "InternalError" ? 500 : STATUS[code]!;
  for (const status of new Set(codes.map(statusOf))) {
    const those = codes.filter((code) => statusOf(code) === status);
    const headers = those.flatMap((code) => Object.keys(headersFor(code))).filter((name) => name in HEADERS);
    const schema = {
      allOf: [ref("Error"), { properties: { error: { properties: { code: { enum: those } } } } }],
    };
    responses[status] = {
      description: those.join(" or "),
      ...(headers.length > 0 && {
        headers: Object.fromEntries(headers.map((name) => [name, HEADERS[name as keyof typeof HEADERS]])),
      }),
      content: { "application/json": { schema } },
    };
  }
  return responses;
}

/** The headers of refusals that a client does something with. */
const HEADERS = {
  "Retry-After": {
    description: "Seconds to stay away, not the same for all.",
    required: true,
    schema: { type: "integer", minimum: 0 },
  },
  "WWW-Authenticate": {
    description: "How a key may be sent, among other ways.",
    required: true,
    schema: { const: "Bearer" },
  },
};
