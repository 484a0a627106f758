/**
 * Which events a stream carries: those of the types that its request asks for, and that it may see.
 *
 * @module
 */
import type { Context } from "hono";
import type { PublishedEvent, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import type { Filter } from "../stream/chunk.ts";
import type { Permission } from "./authorize.ts";
import type { EndpointOptions } from "./options.ts";

/**
 * Makes the filter of a stream.
 *
 * @param types the types that the request asks for; `undefined` for all
 * @param filter the application's filter, from the options
 * @param permission what the request may do
 * @returns `undefined` if the stream carries every event
 */
export function eventFilter<S extends Schemas>(
  c: Context,
  types: ReadonlySet<string> | undefined,
  filter: EndpointOptions<S>["filter"],
  permission: Permission<S> | undefined,
): Filter | undefined {
  const permitted = permission?.filter;
  if (filter === undefined && permitted === undefined) return types && typeFilter(types);
  return {
    callsApplication: true,
    accepts: (entry, event) => {
      if (types?.has(entry.type) === false) return false;
      const published = event() as PublishedEvent<S>;
      if (filter !== undefined && filter(published, c) !== true) return false;
      return permitted === undefined || permitted(published) === true;
    },
  };
}

/** A filter by types alone. In a function of its own, because it is kept with the connection and must not hold the request. */
function typeFilter(types: ReadonlySet<string>): Filter {
  return { key: [...types].sort().join(), accepts: (entry) => types.has(entry.type) };
}

/**
 * Resolves the types of events that a request asks for.
 *
 * @param patterns the value of `?types=`: names, separated by commas; a `*` at the end matches every type with the
 *   prefix before it
 * @param known the names of the catalogue's types, and of the control events, which pass whatever the filter
 * @returns the names that match; `undefined` for all
 * @throws {EventsError} `UnknownEventType` for a name that no type matches
 */
export function selectTypes(patterns: string, known: readonly string[]): ReadonlySet<string> | undefined {
  const selected = new Set<string>();
  for (const pattern of patterns.split(",").map((text) => text.trim()).filter((text) => text !== "")) {
    const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : undefined;
    const matches = known.filter((type) => prefix === undefined ? type === pattern : type.startsWith(prefix));
    if (matches.length === 0) {
      throw new EventsError(
        "UnknownEventType",
        `no event type matches ${JSON.stringify(pattern.slice(0, 128))}`,
      );
    }
    for (const type of matches) selected.add(type);
  }
  return selected.size === 0 ? undefined : selected;
}
