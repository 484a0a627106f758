/**
 * The history of an in-memory channel: the newest entries, bounded in number and in bytes.
 *
 * @module
 */
import type { Batch, Entry } from "./channel.ts";
import { erasedEntry, isErased, withoutErased } from "./erased.ts";

/** Number of events whose texts are detached at a time. */
const DETACHED_EVENTS = 2048;

/** The kept entries: pushed at one end, forgotten at the other. */
export interface History {
  /** The position of the oldest entry kept; one after the newest where none is. */
  readonly first: number;
  /** The position of the newest entry; before the first the one it began after. */
  readonly last: number;
  /** The number of events kept, without those that were erased. */
  readonly size: number;
  /** The bytes of JSON kept. */
  readonly bytes: number;
  /** Adds the next entry, and forgets the oldest ones that are too many. */
  push(entry: Entry): void;
  /** Forgets what is older than the position. */
  forgetBefore(position: number): void;
  /** Forgets the oldest entries that were published before this time, in milliseconds since 1970. */
  forgetOlderThan(time: number): void;
  /**
   * Erases the events of a subject up to a position, and returns how many there were. No reader sees them from then on. Texts of
   * other events may hold theirs until {@linkcode detachTexts} has returned `false`.
   */
  erase(subject: string, until: number): number;
  /** Detaches the texts of some events from those that were erased: some 3 ms. Returns whether there are more. */
  detachTexts(): boolean;
  /** What follows the position, as `EventLog.read` gives it. */
  read(position: number, maxBytes: number): Batch;
}

/**
 * Makes an empty history.
 *
 * @param maxEvents how many entries it keeps
 * @param maxBytes how many bytes of JSON it keeps; no entry may be larger
 * @param after the position before its first entry; default 0
 */
export function createHistory(maxEvents: number, maxBytes: number, after: number = 0): History {
  let entries: (Entry | undefined)[] = [];
  let head = 0; // Where the oldest entry stands; what stands before it is forgotten, and cut off now and then.
  let [first, last] = [after + 1, after];
  let bytes = 0;
  /** How many of the entries stand in the place of erased events. */
  let erased = 0;
  /**
   * When events were published that were erased. Those that were published together may be parts of one text, which engines keep as
   * a whole for each of them.
   */
  const attachedTimes = new Set<number>();
  /** The position from which on others may be parts of such a text. */
  let attachedFrom = 0;

  function forgetOldest(): void {
    bytes -= entries[head]!.bytes;
    if (isErased(entries[head]!)) erased--;
    entries[head++] = undefined;
    first++;
    if (head > 1024 && head * 2 > entries.length) {
      entries = entries.slice(head);
      head = 0;
    }
  }

  return {
    get first() {
      return first;
    },
    get last() {
      return last;
    },
    get size() {
      return last - first + 1 - erased;
    },
    get bytes() {
      return bytes;
    },
    push: (entry) => {
      entries.push(entry);
      if (isErased(entry)) erased++;
      last = entry.position;
      bytes += entry.bytes;
      while (last - first + 1 > maxEvents || bytes > maxBytes) forgetOldest();
    },
    forgetBefore: (position) => {
      while (first < position && first <= last) forgetOldest();
    },
    forgetOlderThan: (time) => {
      while (first <= last && entries[head]!.time < time) forgetOldest();
    },
    erase: (subject, until) => {
      const found = eraseIn(entries as Entry[], head, subject, until);
      for (const { bytes: size, time } of found) {
        attachedTimes.add(time);
        bytes -= size;
      }
      erased += found.length;
      if (found.length > 0) attachedFrom = first;
      return found.length;
    },
    detachTexts: () => {
      const start = head + Math.max(attachedFrom, first) - first;
      const end = Math.min(start + DETACHED_EVENTS, entries.length);
      detachAll(entries as Entry[], start, end, attachedTimes);
      attachedFrom = first + end - head;
      if (end < entries.length) return true;
      attachedTimes.clear();
      return false;
    },
    read: (position, maxBytes) => {
      const expired = position < first - 1;
      const start = head + (expired ? 0 : position - first + 1);
      const found = entries.slice(start, endWithin(entries as Entry[], start, maxBytes)) as Entry[];
      const batch = erased === 0 ? { entries: found } : withoutErased(found);
      return expired ? { lost: { reason: "slow_consumer", count: first - 1 - position }, ...batch } : batch;
    },
  };
}

/** Returns where the entries end that have at most so many bytes, or are a single one. */
function endWithin(entries: readonly Entry[], start: number, maxBytes: number): number {
  let end = start;
  for (let size = 0; end < entries.length && (size === 0 || size + entries[end]!.bytes <= maxBytes); end++) {
    size += entries[end]!.bytes;
  }
  return end;
}

/** Replaces the entries of a subject up to a position, and returns them. `entries` has nothing forgotten from `start` on. */
function eraseIn(entries: Entry[], start: number, subject: string, until: number): Entry[] {
  const found: Entry[] = [];
  for (let i = start; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.subject !== subject || entry.position > until) continue;
    entries[i] = erasedEntry(entry.position, entry.time);
    found.push(entry);
  }
  return found;
}

/** Detaches the texts of the entries in a range that were published at one of these times. */
function detachAll(entries: Entry[], start: number, limit: number, times: ReadonlySet<number>): void {
  for (let end; start < limit; start = end) {
    const { time } = entries[start]!;
    for (end = start + 1; end < limit && entries[end]!.time === time;) end++;
    if (times.has(time)) detach(entries, start, end);
  }
}

/**
 * Copies entries of the same time in their places. The texts of the copies share nothing with the one that the originals were parts
 * of, but with each other: to copy them one by one takes ten times as long on Deno.
 */
function detach(entries: Entry[], start: number, end: number): void {
  const joined = entries.slice(start, end).map(({ json }) => json).join("\n"); // JSON on one line has no line end.
  const texts = new TextDecoder().decode(new TextEncoder().encode(joined)).split("\n");
  for (let i = start; i < end; i++) {
    const entry = entries[i]!;
    if (isErased(entry)) continue;
    const { position, id, type, subject, bytes, time } = entry;
    entries[i] = { position, id, type, subject, json: texts[i - start]!, bytes, time };
  }
}
