/**
 * The groups of events that have colours of their own on the page.
 *
 * @module
 */
import { groupOf } from "../text/event_text.ts";
import { isTriblerType } from "../tribler/summary.ts";

/** The groups, in the order in which the chart stacks them, from below. */
export const EVENT_GROUPS = ["blue", "amber", "green", "purple", "other", "trouble"] as const;

/** A group of events; the style sheet has a colour of this name for each. */
export type EventGroup = (typeof EVENT_GROUPS)[number];

/** The groups that are named by a first word of types, in the order in which such words get them. */
const COLOURS = EVENT_GROUPS.slice(0, 4);

/** The groups of Tribler, whose colours are always the same: those of {@linkcode COLOURS}, in this order. */
const TRIBLER_GROUPS = ["torrent", "market", "core", "search"];

/** The groups of those types of Tribler whose first word says something else. */
const TRIBLER_WORDS: Readonly<Record<string, string>> = {
  watch: "torrent",
  channel: "search",
  tribler: "core",
  upgrader: "core",
  new: "core",
  shutdown: "core",
};

/** Which types belong to which groups. */
export interface Groups {
  /**
   * Returns the group of an event type: a colour for each first word, in the order in which they come. Words for which no
   * colour is left share the group `other`.
   */
  of(type: string): EventGroup;
  /** Returns the name of a group: the first word of its types, or what it is. */
  label(group: EventGroup): string;
}

/** Makes the groups, of which no colour has a word yet. */
export function createGroups(): Groups {
  const words = new Map<EventGroup, string>();
  return {
    of: (type) => {
      const first = groupOf(type);
      if (first === "trouble" || type === "events_lost") return "trouble";
      const word = (isTriblerType(type) && TRIBLER_WORDS[first]) || first;
      const given = COLOURS.find((colour) => words.get(colour) === word);
      if (given !== undefined) return given;
      const usual = COLOURS[TRIBLER_GROUPS.indexOf(word)];
      const free = [usual, ...COLOURS].find((colour) => colour !== undefined && !words.has(colour));
      if (free !== undefined) words.set(free, word);
      return free ?? "other";
    },
    label: (group) => words.get(group) ?? group,
  };
}

const groups = createGroups();
/** Returns the group of an event type on this page. */
export const eventGroup: Groups["of"] = groups.of;
/** Returns the name of a group on this page. */
export const groupLabel: Groups["label"] = groups.label;
