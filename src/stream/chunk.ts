/**
 * Chunks: the bytes of some events in a row, made once and shared by all subscribers; and what a filter selects of them.
 *
 * @module
 */
import type { Entry } from "../channel/channel.ts";
import { endsOf, type WireFormat } from "./wire_format.ts";

/** The bytes of some events in a row, whole events only. */
export interface Chunk {
  /** The position before its first event. */
  readonly after: number;
  /** The position of its last event. */
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

/** Makes a chunk of entries, at least one, and of the bytes they were encoded to. */
export function makeChunk(format: WireFormat, entries: readonly Entry[], bytes: Uint8Array): Chunk {
  let ends: readonly number[] | undefined;
  return {
    after: entries[0]!.position - 1,
    last: entries.at(-1)!.position,
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
  const first = Math.max(after - chunk.after, 0);
  const end = Math.min(until, chunk.last) - chunk.after;
  const isWhole = first === 0 && end === chunk.entries.length;
  if (filter === undefined) {
    const bytes = isWhole ? chunk.bytes : slice(chunk, first, end);
    return { bytes, seen: chunk.after + end, count: end - first };
  }
  const selections = isWhole && filter.key !== undefined ? chunk.shared?.selections : undefined;
  const selected = selections?.get(filter.key!) ?? filtered(chunk, first, end, filter);
  selections?.set(filter.key!, selected);
  return selected;
}

function filtered(chunk: Chunk, first: number, end: number, filter: Filter): Selection {
  const runs: Uint8Array[] = [];
  let seen: number | undefined;
  let count = 0;
  let runStart: number | undefined;
  for (let i = first; i <= end; i++) {
    if (i < end && filter.accepts(chunk.entries[i]!, () => eventAt(chunk, i))) {
      runStart ??= i;
      seen = chunk.after + i + 1;
      count++;
    } else if (runStart !== undefined) {
      runs.push(slice(chunk, runStart, i));
      runStart = undefined;
    }
  }
  if (seen === undefined) return NOTHING;
  return { bytes: runs.length === 1 ? runs[0]! : join(runs), seen, count };
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

function join(runs: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(runs.reduce((length, run) => length + run.length, 0));
  let offset = 0;
  for (const run of runs) {
    joined.set(run, offset);
    offset += run.length;
  }
  return joined;
}
