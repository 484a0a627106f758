/**
 * Erased events: nothing of them is left but their position and their time, which readers pass unseen.
 *
 * @module
 */
import { checkArgument, checkOptions, type Expected } from "../events/arguments.ts";
import { isSubject, SUBJECT_TEXT } from "../events/subject.ts";
import type { Batch, Entry, ErasedEvents } from "./channel.ts";

const SUBJECT: Expected = { text: SUBJECT_TEXT, accepts: isSubject };

/**
 * Checks the argument of `erase`, and returns its subject.
 *
 * @throws {TypeError} if it has no subject, or anything else
 */
export function subjectToErase(events: ErasedEvents): string {
  checkOptions("erase", events, { subject: SUBJECT });
  checkArgument("erase: subject", events.subject, SUBJECT);
  return events.subject;
}

/** Makes the entry that stands in the place of an erased event. A log keeps it, and no reader receives it. */
export function erasedEntry(position: number, time: number): Entry {
  return { position, id: "", type: "", subject: undefined, json: "", bytes: 0, time };
}

/** Whether an entry stands in the place of an erased event. */
export function isErased({ bytes }: Entry): boolean {
  return bytes === 0;
}

/** Returns the batch of entries in a row, at least one, without those that were erased. */
export function withoutErased(entries: readonly Entry[]): Batch {
  if (!entries.some(isErased)) return { entries };
  return { entries: entries.filter((entry) => !isErased(entry)), last: entries.at(-1)!.position };
}

/** The listeners that are called when events were erased. */
export interface Erasures {
  /** Calls the listener from now on, until the function that it returns is called. */
  readonly listen: (listener: () => void) => () => void;
  /** Calls all listeners. */
  readonly report: () => void;
}

/** Makes an empty set of listeners. */
export function createErasures(): Erasures {
  const listeners = new Set<() => void>();
  return {
    listen: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    report: () => {
      for (const listener of listeners) listener();
    },
  };
}
