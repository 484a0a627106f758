/**
 * Catalogues: the event types a channel carries, each with the schema of its payload, and the types and the
 * validation that come out of them.
 *
 * @module
 */
import * as v from "valibot";
import { EventsError, type Issue } from "./errors.ts";
import {
  type EventDictionary,
  type EventsBookmark,
  type EventsLost,
  type EventsStart,
  isControlType,
} from "./event.ts";

/** Event types by name: the valibot schema of the payload, or `null` for a type without one. */
export type Schemas = Readonly<Record<string, v.GenericSchema | null>>;

/** The event types a channel carries: made by {@linkcode defineEvents}. */
export interface Catalogue<S extends Schemas = Schemas> {
  /** The schema of each type's payload, `null` where it has none. */
  readonly schemas: S;
  /** The names of the types that can be published, in the order of their definition. */
  readonly types: readonly string[];
}

/** The names of the types that can be published: all but the control events. */
export type PublishableType<S extends Schemas> = Exclude<keyof S & string, "events_start">;

/** What stands under `event` in an event of the type; `undefined` where the type has no payload. */
export type PayloadOf<S extends Schemas, T extends keyof S> = T extends unknown
  ? S[T] extends v.GenericSchema ? v.InferInput<S[T]> : undefined
  : never;

/** The rest of the arguments of `publish`: the payload, where the type has one. */
export type PayloadArguments<S extends Schemas, T extends keyof S> = S[T] extends null ? [payload?: undefined]
  : [payload: PayloadOf<S, T>];

/** An event still to be published: its type, and its payload where it has one. A union over the catalogue. */
export type Draft<S extends Schemas> = {
  [T in PublishableType<S>]: S[T] extends v.GenericSchema
    ? { readonly type: T; readonly event: PayloadOf<S, T> }
    : { readonly type: T; readonly event?: undefined };
}[PublishableType<S>];

/** A published event of the catalogue. A union that narrows by `type`. */
export type PublishedEvent<S extends Schemas> = {
  [T in PublishableType<S>]: EventDictionary<T, PayloadOf<S, T>>;
}[PublishableType<S>];

/** The payload of `events_start` beside `heartbeat`, where the catalogue describes it. */
export type StartOf<S extends Schemas> = S extends { readonly events_start: v.GenericSchema }
  ? v.InferInput<S["events_start"]>
  : Readonly<Record<string, unknown>>;

/** Any event that a consumer of the catalogue's stream reads. A union that narrows by `type`. */
export type StreamEvent<S extends Schemas> =
  | PublishedEvent<S>
  | EventsStart<StartOf<S>>
  | EventsLost
  | EventsBookmark;

/** Whether a type can have the name: it stands in a line of server-sent events as it is. */
export function isTypeName(name: string): boolean {
  return /^[\w.:\-/]{1,128}$/.test(name);
}

/**
 * Makes a catalogue of event types.
 *
 * A schema describes the payload as it stands in JSON. It checks and never changes: what is sent is what was
 * published, keys the schema does not know included (unless it is a `strictObject`), and no default or
 * transformation of the schema is applied. `events_start` may be given a schema too: it is the payload that the
 * application shows at the head of every stream, and cannot be published.
 *
 * @param schemas for each type the valibot schema of its payload, or `null` where it has none; a name is 1 to 128
 *   letters, digits and `_ . : - /`
 * @throws {EventsError} `InvalidCatalogue` for a name that cannot be used or a schema that is not a valibot one
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 *
 * const shop = defineEvents({
 *   order_placed: v.object({ id: v.string(), total: v.number() }),
 *   shop_closed: null,
 * });
 * console.log(shop.types); // ["order_placed", "shop_closed"]
 * ```
 */
export function defineEvents<const S extends Schemas>(schemas: S): Catalogue<S> {
  for (const [type, schema] of Object.entries(schemas)) {
    if (!isTypeName(type)) {
      throw new EventsError(
        "InvalidCatalogue",
        `${JSON.stringify(type)} cannot name an event: use 1 to 128 letters, digits and _ . : - /`,
      );
    }
    if (type === "events_lost" || type === "events_bookmark") {
      throw new EventsError(
        "InvalidCatalogue",
        `"${type}" is a control event of every stream: choose another name`,
      );
    }
    if (schema !== null && !(schema?.kind === "schema" && schema.async === false)) {
      throw new EventsError(
        "InvalidCatalogue",
        `the schema of "${type}" is no synchronous valibot schema: give one, or null for a type without a payload`,
      );
    }
  }
  const types = Object.keys(schemas).filter((type) => !isControlType(type));
  return Object.freeze({ schemas: Object.freeze({ ...schemas }), types: Object.freeze(types) });
}

/**
 * Every fault of an event against the catalogue: its type, and its payload as it stands in JSON.
 *
 * @param index the place of the event in its batch, for the faults
 */
export function checkEvent(catalogue: Catalogue, type: unknown, payload: unknown, index: number): Issue[] {
  const fault = (path: string, message: string): Issue => ({ index, path, message });
  if (typeof type !== "string") return [fault("type", "must be a string: the name of an event type")];
  if (isControlType(type)) return [fault("type", `"${type}" is a control event, which cannot be published`)];
  const schema = Object.hasOwn(catalogue.schemas, type) ? catalogue.schemas[type] : undefined;
  if (schema === undefined) {
    return [fault("type", `${JSON.stringify(type.slice(0, 128))} is not a type of this catalogue`)];
  }
  return checkPayload(schema, type, payload, index);
}

/**
 * Every fault of a payload, as it stands in JSON, against the schema of its type.
 *
 * @param schema `null` where the type has no payload
 * @param index the place of the event in its batch, for the faults
 */
export function checkPayload(
  schema: v.GenericSchema | null,
  type: string,
  payload: unknown,
  index: number,
): Issue[] {
  const fault = (path: string, message: string): Issue => ({ index, path, message });
  if (schema === null) return payload === undefined ? [] : [fault("event", `"${type}" has no payload`)];
  if (payload === undefined) return [fault("event", `"${type}" needs a payload`)];
  const { issues = [] } = v.safeParse(schema, payload);
  const faults: Issue[] = [];
  let length = 0;
  for (const issue of issues) {
    const path = ["event", ...pathOf(issue)].join(".");
    faults.push(fault(path, issue.message));
    if ((length += path.length) > MAX_PATHS) break; // A path may be as long as the payload, and shared by every fault.
  }
  return faults;
}

/** So many characters of paths are enough for anybody to find what is wrong with one event. */
const MAX_PATHS = 1_000_000;

function pathOf(issue: v.BaseIssue<unknown>): string[] {
  return issue.path?.map((item) => String(item.key)) ?? [];
}

/**
 * The refusal of events for their faults.
 *
 * @param faults every fault found; at least one
 * @param events the events refused, as they were given
 */
export function invalidEventError(
  faults: readonly Issue[],
  events: readonly unknown[],
  cause?: unknown,
): EventsError {
  const { index, path, message } = faults[0]!;
  const type = (events[index] as { type?: unknown } | null | undefined)?.type;
  const name = typeof type === "string"
    ? `${JSON.stringify(type.slice(0, 128))} was not published`
    : "nothing was published";
  const place = [events.length > 1 ? `event ${index}` : "", path].filter(Boolean).join(", ");
  const more = faults.length > 1 ? ` (the first of ${faults.length} faults)` : "";
  const text = `${name}: ${place === "" ? "" : `${place}: `}${message}${more}`;
  return new EventsError("InvalidEvent", text, { issues: faults, cause });
}
