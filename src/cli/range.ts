/**
 * Which events of a server a command reads: the flags that `tail` and `forward` have in common.
 *
 * @module
 */
import type { ConnectOptions } from "../client/mod.ts";
import { readPlace } from "./place.ts";
import { checkSubject, type Flags, readCount, readTypes, UsageError } from "./usage.ts";

/** The flags. */
export const RANGE_FLAGS = {
  types: { type: "string", multiple: true },
  subject: { type: "string", multiple: true },
  since: { type: "string" },
  last: { type: "string" },
  until: { type: "string" },
  limit: { type: "string" },
} as const;

/** The help of the flags that select events. */
export const SELECTION_HELP =
  `  --types TYPES           only these types, with commas between; * at the end matches a prefix
  --subject SUBJECT       only events about this; * at the end matches a prefix; may be repeated`;

/** The help of the flags that say where to end. */
export const END_HELP = `  --until PLACE           exit at that time, or after the event with this id
  --limit N               exit after N events`;

/** Which events, and from where on. */
export interface Range extends Pick<ConnectOptions, "types" | "subjects"> {
  readonly since?: string;
  readonly last?: number;
  readonly until?: string;
  readonly limit?: number;
}

/**
 * Reads the flags.
 *
 * @throws {UsageError}
 */
export function readRange(values: Flags["values"]): Range {
  const [last, limit] = [readCount("last", values["last"]), readCount("limit", values["limit"])];
  const now = Date.now();
  const since = readPlace("since", values["since"], now);
  const until = readPlace("until", values["until"], now);
  if (last !== undefined && since !== undefined) {
    throw new UsageError("--last and --since are two places to begin: give one");
  }
  return {
    types: readTypes(values["types"]),
    subjects: ((values["subject"] ?? []) as string[]).map(checkSubject),
    ...(since !== undefined && { since }),
    ...(last !== undefined && { last }),
    ...(until !== undefined && { until }),
    ...(limit !== undefined && { limit }),
  };
}

/** Returns the range from a cursor on, if there is one: where it was to begin was for the first start. */
export function rangeFrom({ since, last, ...rest }: Range, cursor: string | undefined): Range {
  if (cursor !== undefined) return { ...rest, since: cursor };
  return { ...rest, ...(since !== undefined && { since }), ...(last !== undefined && { last }) };
}
