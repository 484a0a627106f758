/**
 * Wire formats: how events become text. Pure functions first, and the `TransformStream` around them.
 *
 * @module
 */
import type { Batch } from "../channel/channel.ts";

/** One event about to be written: its cursor, the name of its type, and its dictionary as one line of JSON. */
export interface Line {
  /** The event's cursor. */
  readonly id: string;
  /** The name of its type. */
  readonly type: string;
  /** The whole dictionary. */
  readonly json: string;
}

/** How events are written on the wire. */
export interface WireFormat {
  /** What `?format=` calls it. */
  readonly name: string;
  /** The names of its media type, the preferred one first. */
  readonly mediaTypes: readonly [string, ...string[]];
  /** What stands before the first event. */
  readonly preamble: string;
  /** The text of one event. */
  write(line: Line): string;
  /** How many `\n` that text has: its last one ends it. */
  readonly linesPerEvent: number;
  /** What keeps a silent stream open; every reader skips it. */
  readonly heartbeat: string;
  /** Moves a reader's cursor without an event; empty where the format has no way to. */
  encodePosition(id: string): string;
  /**
   * What stands at the end of a stream that its server ends, for whoever can come back; empty where there is nothing
   * to say.
   *
   * @param least so many milliseconds it stays away at the least, and 2.5 times as many at the most; default 2000
   */
  closing(least?: number): string;
}

/** One dictionary a line; an empty line is a heartbeat. */
export const ndjson: WireFormat = {
  name: "ndjson",
  mediaTypes: ["application/x-ndjson", "application/jsonl", "application/ndjson"],
  preamble: "",
  write: ({ json }) => json + "\n",
  linesPerEvent: 1,
  heartbeat: "\n",
  encodePosition: () => "",
  closing: () => "",
};

/**
 * Server-sent events (WHATWG HTML 9.2): the event's name and cursor, and the whole dictionary as its data. A comment
 * is a heartbeat; a block with nothing but an `id` moves the cursor and dispatches nothing (9.2.6).
 */
export const sse: WireFormat = {
  name: "sse",
  mediaTypes: ["text/event-stream"],
  preamble: "retry: 2000\n\n",
  write: ({ id, type, json }) => `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`,
  linesPerEvent: 4,
  heartbeat: ":\n\n",
  encodePosition: (id) => `id: ${id}\n\n`,
  // All of them come back; not all in the same moment.
  closing: (least = 2000) => `retry: ${Math.floor(least * (1 + 1.5 * Math.random()))}\n\n`,
};

/** All wire formats, the preferred one first. */
export const FORMATS: readonly WireFormat[] = [ndjson, sse];

/** The text of events in a row. */
export function serialize(format: WireFormat, lines: readonly Line[]): string {
  let text = "";
  for (const line of lines) text += format.write(line);
  return text;
}

/** Batches in, their text out: one string for each batch. */
export function serializer(format: WireFormat): TransformStream<Batch, string> {
  return new TransformStream({
    transform(batch, controller) {
      controller.enqueue(serialize(format, batch.entries));
    },
  });
}

/** Where each event ends in the bytes of a serialized batch. */
export function endsOf(format: WireFormat, bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let end = 0, lines = 0; (end = bytes.indexOf(0x0a, end) + 1) > 0;) {
    if (++lines % format.linesPerEvent === 0) ends.push(end);
  }
  return ends;
}
