/**
 * The groups of events that have colours of their own on the page.
 *
 * @module
 */
import { groupOf } from "../text/event_text.ts";

/** The groups, in the order in which the chart stacks them, from below. */
export const EVENT_GROUPS = ["torrent", "search", "market", "core", "other", "trouble"] as const;

/** A group of events; the style sheet has a colour of this name for each. */
export type EventGroup = (typeof EVENT_GROUPS)[number];

const GROUP_OF: ReadonlyMap<string, EventGroup> = new Map([
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

/** Returns the group of an event type. */
export function eventGroup(type: string): EventGroup {
  return GROUP_OF.get(groupOf(type)) ?? "other";
}
