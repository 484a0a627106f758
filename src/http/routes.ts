/**
 * The routes of an endpoint, as types: what Hono's RPC client sends, and what it receives.
 *
 * @module
 */
import type { Draft, Schemas } from "../events/catalogue.ts";
import type { EventsErrorCode, Issue } from "../events/errors.ts";

/** The body of the response to a `POST` that was accepted. */
export type Accepted = {
  readonly accepted: number;
  readonly last_id: string;
};

/** The body of the response to a request that was refused. */
export type Refused = {
  readonly error: {
    readonly handled: boolean;
    readonly code: EventsErrorCode;
    readonly message: string;
    readonly details?: readonly Issue[];
  };
};

/** The statuses of refused requests. */
export type RefusedStatus = 400 | 401 | 403 | 405 | 406 | 408 | 413 | 415 | 422 | 500 | 501 | 503;

/** The query of `GET`. */
export type StreamQuery = {
  /** A cursor, `earliest` or `latest`; a time (RFC 3339), or a duration back like `-10m`. */
  readonly since?: string;
  /** A number of events: the newest ones before those to come. */
  readonly last?: string;
  /** A cursor or a time, at which the response ends. */
  readonly until?: string;
  /** The number of events after which the response ends. */
  readonly limit?: string;
  /** Names of types, separated by commas; `*` at the end of a name matches a prefix. */
  readonly types?: string;
  /** A subject, or several; `*` at the end of one matches a prefix. */
  readonly subject?: string | string[];
  readonly format?: "ndjson" | "sse";
  readonly follow?: "true" | "false";
};

/** A response of a route, to what it takes, as Hono describes it. */
export type RouteResponse<Input, Output, Format extends string, Status extends number> = {
  input: Input;
  output: Output;
  outputFormat: Format;
  status: Status;
};

/** What `POST` takes by `hc`, which sends it as JSON. */
export type PublishInput<S extends Schemas> = {
  json: Draft<S> | readonly Draft<S>[];
  header?: { readonly "Idempotency-Key"?: string };
};

/**
 * The routes of an endpoint, for `hc<typeof app>(url)` of `hono/client`. The streams of `GET` are text. `POST` is typed also
 * where `publish: false` removes it: it is answered with 405 there.
 */
export type EventsRoutes<S extends Schemas = Schemas> = {
  "/": {
    $get:
      | RouteResponse<{ query?: StreamQuery }, string, "text", 200>
      | RouteResponse<{ query?: StreamQuery }, Refused, "json", RefusedStatus>;
    $post:
      | RouteResponse<PublishInput<S>, Accepted, "json", 202>
      | RouteResponse<PublishInput<S>, Refused, "json", RefusedStatus>;
  };
};
