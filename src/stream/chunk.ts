/**
 * Chunks: the bytes of some events in a row, made once and shared by all subscribers; and what a filter selects of them.
 *
 * @module
 */
import type { Entry } from "../channel/channel.ts";
import { endsOf, type WireFormat } from "./wire_format.ts";

/** The bytes of some events in a row, whole events only; those between them that were erased are missing. */
export interface Chunk {
  /** The position after which it begins. */
  readonly after: number;
  /** The position that it reaches: that of its last event, unless those after it were erased. */
  readonly last: number;
  /** Its events. */
  readonly entries: readonly Entry[];
  /** Their bytes in the hub's wire format; shared, and never changed. */
  readonly bytes: Uint8Array;
  /** Returns where each event ends in `bytes`; found at the first call. */
  ends(): readonly number[];
  /**
   * What many subscribers need of it at the same time, made for the first of them. Only the newest chunk keeps it: for
   * later readers memory would grow with the number of filters.
   */
  shared: { readonly events: unknown[]; readonly selections: Map<string, Selection> } | undefined;
}

/** What a chunk takes in memory beside its bytes and its events, in bytes, about. */
export const CHUNK_BYTES = 1024;

/** The positions that a chunk covers. */
export type ChunkRange = Pick<Chunk, "after" | "last">;

/** Makes a chunk of entries, and of the bytes they were encoded to. */
export function makeChunk(
  format: WireFormat,
  { after, last }: ChunkRange,
  entries: readonly Entry[],
  bytes: Uint8Array,
): Chunk {
  let ends: readonly number[] | undefined;
  return {
    after,
    last,
    entries,
    bytes,
    ends: () => ends ??= endsOf(format, entries, bytes),
    shared: { events: [], selections: new Map() },
  };
}

/** Which events a subscriber sees. */
export interface Filter {
  /** Subscribers whose filters have the same key share what is selected; `undefined` to share nothing. */
  readonly key?: string;
  /** Whether it calls code of the application, which runs in the context of its request then. */
  readonly callsApplication?: boolean;
  /**
   * Returns whether an event is sent.
   *
   * @param event the parsed dictionary; made at the first call and shared, so not to be changed
   */
  accepts(entry: Entry, event: () => unknown): boolean;
}

/** What a subscriber sees of a chunk. */
export interface Selection {
  /** The bytes of the events; empty where there are none. */
  readonly bytes: Uint8Array;
  /** The position of the last of them; `undefined` where there are none. */
  readonly seen: number | undefined;
  /** How many there are. */
  readonly count: number;
}

const NOTHING: Selection = { bytes: new Uint8Array(0), seen: undefined, count: 0 };

/** Selects the events of a chunk after one position and up to another that the filter accepts. */
export function select(chunk: Chunk, after: number, until: number, filter?: Filter): Selection {
  const { entries } = chunk;
  const [first, end] = [countUntil(chunk, after), countUntil(chunk, until)];
  if (first >= end) return NOTHING;
  const isWhole = first === 0 && end === entries.length;
  if (filter === undefined) {
    const bytes = isWhole ? chunk.bytes : join([slice(chunk, first, end)]);
    return { bytes, seen: entries[end - 1]!.position, count: end - first };
  }
  const selections = isWhole && filter.key !== undefined ? chunk.shared?.selections : undefined;
  const selected = selections?.get(filter.key!) ?? filtered(chunk, first, end, filter);
  selections?.set(filter.key!, selected);
  return selected;
}

/** The number of the chunk's events up to a position. */
function countUntil({ after, last, entries }: Chunk, position: number): number {
  if (position <= after) return 0;
  if (position >= last) return entries.length;
  if (entries.length === last - after) return position - after;
  let low = 0;
  for (let high = entries.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.position <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function filtered(chunk: Chunk, first: number, end: number, filter: Filter): Selection {
  const runs: Uint8Array[] = [];
  let seen: number | undefined;
  let count = 0;
  let runStart: number | undefined;
  for (let i = first; i <= end; i++) {
    if (i < end && filter.accepts(chunk.entries[i]!, () => eventAt(chunk, i))) {
      runStart ??= i;
      seen = chunk.entries[i]!.position;
      count++;
    } else if (runStart !== undefined) {
      runs.push(slice(chunk, runStart, i));
      runStart = undefined;
    }
  }
  if (seen === undefined) return NOTHING;
  return { bytes: count === chunk.entries.length ? chunk.bytes : join(runs), seen, count };
}

function eventAt(chunk: Chunk, index: number): unknown {
  const events = chunk.shared?.events;
  const event = events?.[index] ?? JSON.parse(chunk.entries[index]!.json);
  if (events !== undefined) events[index] = event;
  return event;
}

/** The bytes of the chunk's events from one index up to another. */
function slice(chunk: Chunk, from: number, to: number): Uint8Array {
  const ends = chunk.ends();
  return chunk.bytes.subarray(from === 0 ? 0 : ends[from - 1], ends[to - 1]);
}

/**
 * Copies runs of bytes into one. A view of a single one would hold all bytes of its chunk in memory until a slow reader has
 * taken it, also after other events of the chunk were erased.
 */
function join(runs: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(runs.reduce((length, run) => length + run.length, 0));
  let offset = 0;
  for (const run of runs) {
    joined.set(run, offset);
    offset += run.length;
  }
  return joined;
}
