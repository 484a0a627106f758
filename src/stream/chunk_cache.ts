/**
 * The chunk cache: the newest chunks of a hub, for readers a little slower than the rest.
 *
 * @module
 */
import type { Chunk } from "./chunk.ts";

/** The newest chunks, without a gap between them. */
export interface ChunkCache {
  /** The position before the first of them. */
  readonly after: number;
  /** Drops all of them; the next one follows the position. */
  restart(after: number): void;
  /** Adds the next chunk, and drops the oldest that are too much or that the channel no longer keeps. */
  add(chunk: Chunk, firstKept: number): void;
  /** Finds the chunk with the event after the position; `undefined` if nothing follows it yet. */
  chunkAfter(position: number): Chunk | undefined;
}

/**
 * Makes an empty cache.
 *
 * @param maxBytes its size in bytes; the newest chunk is kept whatever its size
 */
export function createChunkCache(maxBytes: number): ChunkCache {
  let chunks: Chunk[] = [];
  let bytes = 0;
  let after = 0;

  function restart(position: number): void {
    chunks = [];
    bytes = 0;
    after = position;
  }

  return {
    get after() {
      return after;
    },
    restart,
    add: (chunk, firstKept) => {
      const newest = chunks.at(-1);
      if (newest !== undefined) newest.shared = undefined;
      if (chunk.after !== (newest?.last ?? after)) restart(chunk.after); // The pipeline itself was overtaken.
      chunks.push(chunk);
      bytes += chunk.bytes.length;
      let dropped = 0;
      while (dropped < chunks.length - 1 && (bytes > maxBytes || chunks[dropped]!.last < firstKept)) {
        bytes -= chunks[dropped]!.bytes.length;
        after = chunks[dropped++]!.last;
      }
      if (dropped > 0) chunks.splice(0, dropped);
    },
    chunkAfter: (position) => {
      const newest = chunks.at(-1);
      if (newest === undefined || newest.last <= position) return undefined;
      if (newest.after <= position) return newest; // Nearly all readers are here.
      let low = 0;
      for (let high = chunks.length; low < high;) {
        const middle = (low + high) >>> 1;
        if (chunks[middle]!.last <= position) low = middle + 1;
        else high = middle;
      }
      return chunks[low];
    },
  };
}
