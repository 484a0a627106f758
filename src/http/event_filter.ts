/**
 * Filters the events of a request: by the types it asked for, and by what it may see.
 *
 * @module
 */
import type { Context } from "hono";
import type { PublishedEvent, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import type { Filter } from "../stream/chunk.ts";
import type { Permission } from "./authorize.ts";
import type { EndpointSettings } from "./options.ts";

/**
 * Reads `?types=`.
 *
 * @param patterns names of types, separated by commas; `*` at the end matches a prefix
 * @param known the names of the catalogue's types, and of the control events, which pass every filter
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

/**
 * Makes the filter of a stream.
 *
 * @param types the types the request asked for; `undefined` for all
 * @returns `undefined` if the request sees every event
 */
export function createFilter<S extends Schemas>(
  { filter }: Pick<EndpointSettings<S>, "filter">,
  c: Context,
  types: ReadonlySet<string> | undefined,
  permission: Permission<S> | undefined,
): Filter | undefined {
  const permitted = permission?.filter;
  if (filter === undefined && permitted === undefined) {
    return types && { key: [...types].sort().join(), accepts: (entry) => types.has(entry.type) };
  }
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
