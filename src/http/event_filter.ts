/**
 * Filters the events of a request: by the types and the subjects it asked for, and by what it may see.
 *
 * @module
 */
import type { Context } from "hono";
import type { Entry, EventLog } from "../channel/channel.ts";
import type { Catalogue, PublishedEvent, Schemas } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { hintFor } from "../events/arguments.ts";
import { CONTROL_TYPES } from "../events/event.ts";
import { isSubject, SUBJECT_TEXT, subjectMatcher } from "../events/subject.ts";
import type { Filter } from "../stream/chunk.ts";
import type { Permission } from "./authorize.ts";
import type { EndpointSettings } from "./options.ts";

/** What a request asks for. */
export interface Wanted {
  /** The types; `undefined` for all. */
  readonly types: ReadonlySet<string> | undefined;
  /** The patterns of subjects; `undefined` for all, and for events without a subject. */
  readonly subjects: readonly string[] | undefined;
}

/**
 * Reads what a request asks for.
 *
 * @throws {EventsError} `UnknownEventType`, `InvalidParameter`
 */
export function readWanted(c: Context, channel: TypesOfChannel): Wanted {
  return {
    types: selectTypes((c.req.queries("types") ?? []).join(","), channel),
    subjects: c.req.queries("subject")?.map(checkPattern),
  };
}

function checkPattern(pattern: string): string {
  if (isSubject(pattern)) return pattern;
  const given = JSON.stringify((pattern as string).slice(0, 128));
  throw new EventsError("InvalidParameter", `subject must be ${SUBJECT_TEXT}, not ${given}`);
}

/** A channel, as far as its types are concerned. */
interface TypesOfChannel extends Pick<EventLog, "storedTypes"> {
  readonly catalogue: Pick<Catalogue, "types" | "isOpen" | "formerTypes">;
}

/**
 * Reads `?types=`.
 *
 * @param patterns names of types, separated by commas; `*` at the end matches a prefix
 * @returns the names that match; `undefined` for all
 * @throws {EventsError} `UnknownEventType` for a name that no type matches, also none of the control events, which pass every
 *   filter; an open catalogue has types of every name
 */
export function selectTypes(
  patterns: string,
  { catalogue: { types, isOpen = false, formerTypes }, storedTypes }: TypesOfChannel,
): ReadonlySet<string> | undefined {
  const known = [...types, ...formerTypes ?? [], ...storedTypes ?? [], ...CONTROL_TYPES];
  // Types that match may be added while the stream is open.
  const mayGrow = isOpen || formerTypes !== undefined || storedTypes !== undefined;
  const selected: Set<string> = mayGrow ? new PatternSet() : new Set();
  for (const pattern of patterns.split(",").map((text) => text.trim()).filter((text) => text !== "")) {
    const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : undefined;
    const matches = known.filter((type) => prefix === undefined ? type === pattern : type.startsWith(prefix));
    if (isOpen || (prefix !== undefined && selected instanceof PatternSet)) selected.add(pattern);
    if (matches.length === 0 && !isOpen) {
      const name = pattern.slice(0, 128);
      const message = `no event type matches ${JSON.stringify(name)}`;
      throw new EventsError("UnknownEventType", message + hintFor(name, types));
    }
    for (const type of matches) selected.add(type);
  }
  return selected.size === 0 ? undefined : selected;
}

/** Names of types, among them patterns with `*` at their end. No name has that character. */
class PatternSet extends Set<string> {
  readonly #prefixes: string[] = [];

  override add(pattern: string): this {
    if (pattern.endsWith("*")) this.#prefixes.push(pattern.slice(0, -1));
    return super.add(pattern);
  }

  override has(type: string): boolean {
    return super.has(type) || this.#prefixes.some((prefix) => type.startsWith(prefix));
  }
}

/**
 * Makes the filter of a stream.
 *
 * @returns `undefined` if the request sees every event
 */
export function createFilter<S extends Schemas>(
  { filter }: Pick<EndpointSettings<S>, "filter">,
  c: Context,
  wanted: Wanted,
  permission: Permission<S> | undefined,
): Filter | undefined {
  const permitted = permission?.filter;
  const selected = createSelection(wanted, permission ?? {});
  if (filter === undefined && permitted === undefined) return selected;
  return {
    callsApplication: true,
    accepts: (entry, event) => {
      if (selected?.accepts(entry) === false) return false;
      const published = event() as PublishedEvent<S>;
      if (filter !== undefined && filter(published, c) !== true) return false;
      return permitted === undefined || permitted(published) === true;
    },
  };
}

/** A filter that looks at nothing but the type and the subject of an event. */
interface SelectionFilter extends Filter {
  accepts(entry: Entry): boolean;
}

/** Makes the filter of what was asked for, and of what is allowed. Requests with the same share its selections. */
function createSelection(
  { types, subjects }: Wanted,
  allowed: Pick<Permission, "types" | "subjects">,
): SelectionFilter | undefined {
  const patterns = [types && [...types], subjects, allowed.types, allowed.subjects];
  if (patterns.every((names) => names === undefined)) return undefined;
  // None of them is not the same as an empty list, with which nothing is allowed.
  const key = JSON.stringify(patterns.map((names) => names && [...names].sort()));
  const isWanted = subjects && subjectMatcher(subjects);
  const isAllowed = allowed.subjects && subjectMatcher(allowed.subjects);
  const isAllowedType = allowed.types && subjectMatcher(allowed.types);
  return {
    key,
    accepts: ({ type, subject }) =>
      types?.has(type) !== false && isWanted?.(subject) !== false && isAllowed?.(subject) !== false &&
      isAllowedType?.(type) !== false,
  };
}
