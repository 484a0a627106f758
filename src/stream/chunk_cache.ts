/**
 * The recent chunks of a feed: what those are given who read a little slower than the rest.
 *
 * @module
 */
import type { Chunk } from "./chunk.ts";

/** The newest chunks of a feed, without a gap between them. */
export interface ChunkCache {
  /** The position before the first of them. */
  readonly after: number;
  /** Forgets all of them; the next one follows the position. */
  restart(after: number): void;
  /** Adds the next chunk, and forgets what is too much or no longer kept by the channel. */
  add(chunk: Chunk, firstKept: number): void;
  /** The chunk with the event after the position; none where nothing follows it yet. */
  chunkAfter(position: number): Chunk | undefined;
}

/**
 * Makes an empty store of chunks.
 *
 * @param maxBytes how much it holds; the newest chunk is held whatever its size
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
      if (chunk.after !== (newest?.last ?? after)) restart(chunk.after); // The feed itself was overtaken.
      chunks.push(chunk);
      bytes += chunk.bytes.length;
      let forgotten = 0;
      while (forgotten < chunks.length - 1 && (bytes > maxBytes || chunks[forgotten]!.last < firstKept)) {
        bytes -= chunks[forgotten]!.bytes.length;
        after = chunks[forgotten++]!.last;
      }
      if (forgotten > 0) chunks.splice(0, forgotten);
    },
    chunkAfter: (position) => {
      const newest = chunks.at(-1);
      if (newest === undefined || newest.last <= position) return undefined;
      if (newest.after <= position) return newest; // Where nearly everybody is.
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
