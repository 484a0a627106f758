/**
 * Catalogues: the event types a channel carries, each with the schema of its payload, and the types derived from them.
 *
 * @module
 */
import { checkArgument, checkOptions, FUNCTION, OBJECT } from "./arguments.ts";
import { type InferInput, isAsync, isStandardSchema, type StandardSchema } from "./standard_schema.ts";
import { EventsError } from "./errors.ts";
import {
  type EventDictionary,
  type EventsBookmark,
  type EventsLost,
  type EventsStart,
  isControlType,
} from "./event.ts";

/** Event types by name: the schema of the payload, of any library with Standard Schema, or `null` for a type without one. */
// The schemas of valibot say that they are asynchronous, so that a compiler sees it.
export type Schemas = Readonly<Record<string, StandardSchema & { readonly async?: false } | null>>;

/** The event types a channel carries: made by {@linkcode defineEvents}. */
export interface Catalogue<S extends Schemas = Schemas> {
  /** The schema of each type's payload, `null` where it has none. */
  readonly schemas: S;
  /** The names of the types that can be published, in the order of their definition. */
  readonly types: readonly string[];
  /** The functions that derive the subject of an event from its payload, by type. */
  readonly subject: Readonly<Record<string, (payload: unknown) => string | undefined>>;
  /** Whether types that it does not name can be published too, with any payload or none; default no. */
  readonly isOpen?: boolean;
  /**
   * For a catalogue whose types may change while it is in use: those that can no longer be published. Events of them may
   * still be kept, and read.
   */
  readonly formerTypes?: readonly string[];
}

/** Options of {@linkcode defineEvents}. */
export interface CatalogueOptions<S extends Schemas> {
  /**
   * What the events of a type are about: a function of the payload that returns the subject, or `undefined` for an event
   * without one. A subject has 1 to 256 characters without white space and controls, with `/` between its parts. If the
   * function throws or returns anything else, the event is rejected as invalid.
   */
  readonly subject?: {
    readonly [T in PublishableType<S>]?: (payload: PayloadOf<S, T>) => string | undefined;
  };
}

/** The names of the types that can be published: all but the control events. */
export type PublishableType<S extends Schemas> = Exclude<keyof S & string, "events_start">;

/** The value under `event` in an event of the type; `undefined` if the type has no payload. */
export type PayloadOf<S extends Schemas, T extends keyof S> = T extends unknown
  ? S[T] extends null ? undefined : InferInput<S[T]>
  : never;

/** Options of `publish`. */
export interface PublishOptions {
  /** What the event is about, if the catalogue derives no subject of it. */
  readonly subject?: string | undefined;
}

/** The arguments of `publish` after the type: the payload, if the type has one, and the options. */
export type PayloadArguments<S extends Schemas, T extends keyof S> = S[T] extends null
  ? [payload?: undefined, options?: PublishOptions]
  : [payload: PayloadOf<S, T>, options?: PublishOptions];

/** An event to be published: its type, its subject and its payload if it has them. A union over the catalogue. */
export type Draft<S extends Schemas> = {
  [T in PublishableType<S>]: S[T] extends null
    ? { readonly type: T; readonly subject?: string | undefined; readonly event?: undefined }
    : { readonly type: T; readonly subject?: string | undefined; readonly event: PayloadOf<S, T> };
}[PublishableType<S>];

/** A published event of the catalogue. A union that narrows by `type`. */
export type PublishedEvent<S extends Schemas> = {
  [T in PublishableType<S>]: EventDictionary<T, PayloadOf<S, T>>;
}[PublishableType<S>];

/** The payload of `events_start` beside `heartbeat`, as the catalogue describes it; any dictionary if it does not. */
export type StartOf<S extends Schemas> = S extends { readonly events_start: StandardSchema }
  ? InferInput<S["events_start"]>
  : Readonly<Record<string, unknown>>;

/** Any event that a consumer of the catalogue's stream reads. A union that narrows by `type`. */
export type StreamEvent<S extends Schemas> =
  | PublishedEvent<S>
  | EventsStart<StartOf<S>>
  | EventsLost
  | EventsBookmark;

/** What the name of a type is, in words. */
export const TYPE_NAME_TEXT = "1 to 128 letters, digits and _ . : - /";

/** Whether a type can have the name, which is written to a line of server-sent events without any escapes. */
export function isTypeName(name: string): boolean {
  return /^[\w.:\-/]{1,128}$/.test(name);
}

/**
 * Makes a catalogue of event types.
 *
 * A schema describes the payload in JSON. It checks the payload and never changes it: no default and no transformation
 * of the schema is applied, and keys that the schema does not know are sent too, unless it is a `strictObject`.
 * `events_start` may have a schema as well: it describes what the application sends at the head of every stream, and
 * cannot be published.
 *
 * @param schemas for each type the schema of its payload, of valibot, Zod, ArkType or any other library that has Standard
 *   Schema, or `null` if it has none; a name is 1 to 128
 *   letters, digits and `_ . : - /`
 * @param options `subject`: for each type the function that derives the subject of its events, if it has one
 * @throws {TypeError} if the schemas are no object, there is no such option, or `subject` has a type that there is not
 * @throws {EventsError} `InvalidCatalogue` for an unusable name, or a schema that is none, or answers by a promise
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 *
 * const shop = defineEvents({
 *   order_placed: v.object({ id: v.string(), total: v.number() }),
 *   shop_closed: null,
 * }, {
 *   subject: { order_placed: ({ id }) => `order/${id}` },
 * });
 * console.log(shop.types); // ["order_placed", "shop_closed"]
 * ```
 */
export function defineEvents<const S extends Schemas>(
  schemas: S,
  options: CatalogueOptions<S> = {},
): Catalogue<S> {
  checkArgument("defineEvents: the schemas", schemas, OBJECT);
  for (const [type, schema] of Object.entries(schemas)) {
    if (!isTypeName(type)) {
      throw new EventsError(
        "InvalidCatalogue",
        `${JSON.stringify(type)} cannot name an event: use ${TYPE_NAME_TEXT}`,
      );
    }
    if (type === "events_lost" || type === "events_bookmark") {
      throw new EventsError(
        "InvalidCatalogue",
        `"${type}" is a control event of every stream: choose another name`,
      );
    }
    if (schema !== null && (!isStandardSchema(schema) || isAsync(schema))) {
      throw new EventsError(
        "InvalidCatalogue",
        `the schema of "${type}" is not a synchronous schema: use one of valibot, Zod, ArkType or another library with Standard Schema, or null for a type without a payload`,
      );
    }
  }
  const types = Object.keys(schemas).filter((type) => !isControlType(type));
  checkOptions("defineEvents", options, { subject: OBJECT });
  const { subject = {} } = options;
  checkOptions("defineEvents: subject", subject, Object.fromEntries(types.map((type) => [type, FUNCTION])));
  return Object.freeze({
    schemas: Object.freeze({ ...schemas }),
    types: Object.freeze(types),
    subject: Object.freeze({ ...subject }) as Catalogue["subject"],
  });
}
