/**
 * The chunk cache: what a hub delivered last, for readers a little slower than the rest.
 *
 * At a moderate pace each event is a chunk by itself. Thousands of them would be most of what the garbage collector walks
 * through, and a reader that is behind would receive them one write at a time. So small chunks are gathered in pages, and a
 * reader receives all of a page that follows its position.
 *
 * @module
 */
import type { Entry } from "../channel/channel.ts";
import { type Chunk, type ChunkRange, makeChunk } from "./chunk.ts";
import type { WireFormat } from "./wire_format.ts";

/** The size of a page. */
const PAGE_BYTES = 64 * 1024;
/** A chunk of this size is kept as it is, if the last page has no room for it: smaller ones leave a quarter empty at most. */
const LARGE_BYTES = PAGE_BYTES / 4;

/** The newest chunks, without a gap between them. */
export interface ChunkCache {
  /** The position before the first of them. */
  readonly after: number;
  /** Drops all of them; the next one follows the position. */
  restart(after: number): void;
  /** Adds the next chunk, and drops the oldest that are too much or that the channel no longer keeps. */
  add(chunk: Chunk, firstKept: number): void;
  /** Finds a chunk with the event after the position; `undefined` if nothing follows it yet. */
  chunkAfter(position: number): Chunk | undefined;
}

/** Chunks in a row that are kept together. */
interface Page {
  /** The position that it reaches. */
  readonly last: number;
  /** The bytes of memory that it takes. */
  readonly size: number;
  /** Adds a chunk that follows, and returns whether there was room. */
  add(chunk: Chunk): boolean;
  /** Returns what follows a position before its last one. */
  chunkAfter(position: number): Chunk;
}

/**
 * Makes an empty cache.
 *
 * @param format the wire format of its chunks
 * @param maxBytes its size in bytes; the newest chunk is kept whatever its size
 */
export function createChunkCache(format: WireFormat, maxBytes: number): ChunkCache {
  /** What was delivered before the newest chunk. */
  let pages: Page[] = [];
  let newest: Chunk | undefined;
  /** What was made of a page last: readers that come to the same position one after the other share it. */
  let shared: Chunk | undefined;
  let bytes = 0;
  let after = 0;

  function restart(position: number): void {
    pages = [];
    newest = shared = undefined;
    bytes = 0;
    after = position;
  }

  function share(range: ChunkRange, make: () => Chunk): Chunk {
    if (shared?.after !== range.after || shared.last !== range.last) shared = make();
    return shared;
  }

  function keep(chunk: Chunk): void {
    chunk.shared = undefined;
    if (pages.at(-1)?.add(chunk)) return;
    const page = chunk.bytes.length < LARGE_BYTES ? createPage(format, chunk, share) : pageOf(chunk);
    pages.push(page);
    bytes += page.size;
  }

  return {
    get after() {
      return after;
    },
    restart,
    add: (chunk, firstKept) => {
      if (chunk.after !== (newest?.last ?? after)) restart(chunk.after); // The pipeline itself was overtaken.
      if (newest !== undefined) keep(newest);
      newest = chunk;
      let dropped = 0;
      while (
        dropped < pages.length && (bytes + chunk.bytes.length > maxBytes || pages[dropped]!.last < firstKept)
      ) {
        bytes -= pages[dropped]!.size;
        after = pages[dropped++]!.last;
      }
      if (dropped > 0) pages.splice(0, dropped);
    },
    chunkAfter: (position) => {
      if (newest === undefined || newest.last <= position) return undefined;
      if (newest.after <= position) return newest; // Nearly all readers are here.
      let low = 0;
      for (let high = pages.length; low < high;) {
        const middle = (low + high) >>> 1;
        if (pages[middle]!.last <= position) low = middle + 1;
        else high = middle;
      }
      return pages[low]?.chunkAfter(position);
    },
  };
}

/** Makes a page of one large chunk. */
function pageOf(chunk: Chunk): Page {
  return { last: chunk.last, size: chunk.bytes.length, add: () => false, chunkAfter: () => chunk };
}

/** Makes a page of small chunks, with room for more. */
function createPage(
  format: WireFormat,
  first: Chunk,
  share: (range: ChunkRange, make: () => Chunk) => Chunk,
): Page {
  const page = new Uint8Array(PAGE_BYTES);
  const entries: Entry[] = [];
  /** The positions that the chunks reach, and where their bytes and their events end. */
  const [lasts, ends, counts]: [number[], number[], number[]] = [[first.after], [0], [0]];

  function add({ last, bytes, entries: added }: Chunk): boolean {
    const end = ends.at(-1)!;
    if (end + bytes.length > page.length) return false;
    page.set(bytes, end);
    for (const entry of added) entries.push(entry);
    lasts.push(last);
    ends.push(end + bytes.length);
    counts.push(entries.length);
    return true;
  }

  /** Returns how many of the chunks end at the position or before it. */
  function countUntil(position: number): number {
    let low = 0;
    for (let high = lasts.length - 1; low < high;) {
      const middle = (low + high + 1) >>> 1;
      if (lasts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function rangeAfter(passed: number): ChunkRange {
    return { after: lasts[passed]!, last: lasts.at(-1)! };
  }

  /** Makes one chunk of all that follow this number of chunks. */
  function makeAfter(passed: number): Chunk {
    // A copy: what a slow reader has not taken must not hold the other events of the page, which may be erased.
    const bytes = page.slice(ends[passed], ends.at(-1));
    const chunk = makeChunk(format, rangeAfter(passed), entries.slice(counts[passed]), bytes);
    chunk.shared = undefined;
    return chunk;
  }

  add(first);
  return {
    get last() {
      return lasts.at(-1)!;
    },
    size: page.length,
    add,
    chunkAfter: (position) => {
      const passed = countUntil(position);
      return share(rangeAfter(passed), () => makeAfter(passed));
    },
  };
}
