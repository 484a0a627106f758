/**
 * The groups of events that have colours of their own on the page.
 *
 * @module
 */
import { groupOf } from "../text/event_text.ts";

/** The groups, in the order in which the chart stacks them, from below. Those of Tribler come first. */
export const EVENT_GROUPS = [
  "torrent",
  "search",
  "market",
  "core",
  "own1",
  "own2",
  "own3",
  "own4",
  "other",
  "trouble",
] as const;

/** A group of events; the style sheet has a colour of this name for each. */
export type EventGroup = (typeof EVENT_GROUPS)[number];

const GROUP_OF = new Map<string, EventGroup>([
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

/** The groups that the first words of another catalogue get, and those words. */
const OWN: readonly EventGroup[] = ["own1", "own2", "own3", "own4"];
const ownWords: string[] = [];

/** Returns the group of an event type. The first words of another catalogue get groups in the order in which they come. */
export function eventGroup(type: string): EventGroup {
  const word = groupOf(type);
  let group = GROUP_OF.get(word);
  if (group === undefined) {
    group = OWN[ownWords.length] ?? "other";
    if (group === "other") return group; // What has no colour of its own need not be remembered.
    ownWords.push(word);
    GROUP_OF.set(word, group);
  }
  return group;
}

/** Returns the name of a group: its own, or the first word of its types. */
export function groupLabel(group: EventGroup): string {
  return ownWords[OWN.indexOf(group)] ?? group;
}
