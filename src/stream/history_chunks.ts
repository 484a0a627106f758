/**
 * Chunks of the history, made for one reader and shared by all that come to the same events.
 *
 * @module
 */
import { ENTRY_BYTES } from "../channel/entry_writer.ts";
import { type Chunk, CHUNK_BYTES } from "./chunk.ts";

/** Some chunks of the history: no event is in two of them, and there may be gaps between them. */
export interface HistoryChunks {
  /** Returns the chunk with the event after the position; `undefined` if there is none. */
  chunkAfter(position: number): Chunk | undefined;
  /** Returns the position before the first chunk that begins there or later; infinity if there is none. */
  nextStart(position: number): number;
  /** Adds a chunk that overlaps none, and drops those that were not used for the longest time, or are forgotten. */
  add(chunk: Chunk, firstKept: number): void;
  /** Drops all of them. */
  clear(): void;
}

/** A chunk, the memory that it takes, and when it was used, in uses of the whole. */
interface Shared {
  readonly chunk: Chunk;
  readonly size: number;
  usedAt: number;
}

/**
 * Makes an empty collection.
 *
 * @param maxBytes the memory that it takes in bytes, about, with the events, which nothing else may hold; the newest chunk is
 *   kept whatever its size
 */
export function createHistoryChunks(maxBytes: number): HistoryChunks {
  /** In the order of their positions. */
  let all: Shared[] = [];
  let bytes = 0;
  let uses = 0;

  /** The index of the first chunk whose last event is after the position. */
  function indexAfter(position: number): number {
    let low = 0;
    for (let high = all.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (all[middle]!.chunk.last <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function drop(index: number): void {
    bytes -= all[index]!.size;
    all.splice(index, 1);
  }

  function leastUsed(): number {
    let least = 0;
    for (let i = 1; i < all.length; i++) {
      if (all[i]!.usedAt < all[least]!.usedAt) least = i;
    }
    return least;
  }

  return {
    chunkAfter: (position) => {
      const found = all[indexAfter(position)];
      if (found === undefined || found.chunk.after > position) return undefined;
      found.usedAt = ++uses;
      return found.chunk;
    },
    nextStart: (position) => all[indexAfter(position)]?.chunk.after ?? Infinity,
    add: (chunk, firstKept) => {
      while (all.length > 0 && all[0]!.chunk.last < firstKept) drop(0);
      const size = sizeOf(chunk);
      bytes += size;
      while (all.length > 0 && bytes > maxBytes) drop(leastUsed());
      all.splice(indexAfter(chunk.after), 0, { chunk, size, usedAt: ++uses });
    },
    clear: () => {
      all = [];
      bytes = 0;
    },
  };
}

/** The memory that a chunk takes with its events, whose texts are as long as its bytes. */
function sizeOf({ bytes, entries }: Chunk): number {
  return entries.reduce((sum, entry) => sum + entry.bytes + ENTRY_BYTES, bytes.length + CHUNK_BYTES);
}
