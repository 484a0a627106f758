/**
 * The history of an in-memory channel: the newest entries, bounded in number and in bytes.
 *
 * @module
 */
import type { Batch, Entry } from "./channel.ts";
import { erasedEntry, isErased, withoutErased } from "./erased.ts";

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
  /** Erases the events of a subject up to a position, and returns how many there were. */
  erase(subject: string, until: number): number;
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
  let first = after + 1;
  let last = after;
  let bytes = 0;
  /** How many of the entries stand in the place of erased events. */
  let erased = 0;

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
      const before = erased;
      const times = new Set<number>();
      for (let i = head; i < entries.length; i++) {
        const { subject: about, position, bytes: size, time } = entries[i]!;
        if (about !== subject || position > until) continue;
        entries[i] = erasedEntry(position, time);
        times.add(time);
        bytes -= size;
        erased++;
      }
      // Events that were published together may be parts of one text, which engines keep as a whole for each of them.
      for (let i = head; i < entries.length && times.size > 0; i++) {
        const entry = entries[i]!;
        if (times.has(entry.time) && !isErased(entry)) entries[i] = copyOf(entry);
      }
      return erased - before;
    },
    read: (position, maxBytes) => {
      const expired = position < first - 1;
      const start = head + (expired ? 0 : position - first + 1);
      let end = start;
      for (
        let size = 0;
        end < entries.length && (size === 0 || size + entries[end]!.bytes <= maxBytes);
        end++
      ) {
        size += entries[end]!.bytes;
      }
      const found = entries.slice(start, end) as Entry[];
      const batch = erased === 0 ? { entries: found } : withoutErased(found);
      return expired ? { lost: { reason: "slow_consumer", count: first - 1 - position }, ...batch } : batch;
    },
  };
}

/** Copies an entry. The text of the copy shares nothing with the one that the original was a part of. */
function copyOf({ position, id, type, subject, json, bytes, time }: Entry): Entry {
  const copied = new TextDecoder().decode(new TextEncoder().encode(json));
  return { position, id, type, subject, json: copied, bytes, time };
}
