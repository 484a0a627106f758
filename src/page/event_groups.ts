/**
 * The kinds of events that the page tells apart by colour.
 *
 * @module
 */
import { kindOf } from "../text/event_text.ts";

/** The kinds, in the order in which the chart stacks them, from below. */
export const KINDS = ["torrent", "search", "market", "core", "other", "trouble"] as const;

/** A kind of events; in the style sheet each has a colour of this name. */
export type Kind = (typeof KINDS)[number];

const KIND_OF: ReadonlyMap<string, Kind> = new Map([
  ["trouble", "trouble"],
  ["events", "trouble"], // Of these only `events_lost` is shown.
  ["torrent", "torrent"],
  ["watch", "torrent"],
  ["search", "search"],
  ["channel", "search"],
  ["market", "market"],
  ["tribler", "core"],
  ["upgrader", "core"],
  ["new", "core"],
  ["shutdown", "core"],
]);

/** The kind of an event type. */
export function pageKind(type: string): Kind {
  return KIND_OF.get(kindOf(type)) ?? "other";
}
