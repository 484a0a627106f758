/**
 * Wire formats: how events become text. Pure functions, and a `TransformStream` around them.
 *
 * @module
 */
import type { Batch } from "../channel/channel.ts";

/** One event to be written. */
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
  /** Its name in `?format=`. */
  readonly name: string;
  /** The names of its media type, the preferred one first. */
  readonly mediaTypes: readonly [string, ...string[]];
  /** The text before the first event. */
  readonly preamble: string;
  /** Returns the text of one event. */
  write(line: Line): string;
  /** The number of `\n` in that text: the last one ends it. */
  readonly linesPerEvent: number;
  /** The text that keeps a silent stream open; every reader skips it. */
  readonly heartbeat: string;
  /** Returns the text that moves a reader's cursor without an event; empty if the format cannot do that. */
  encodePosition(id: string): string;
  /**
   * Returns the text at the end of a stream that the server ends, which delays the reconnect of its client; empty if the
   * format cannot do that.
   *
   * @param leastMs the shortest delay in milliseconds; the longest is 2.5 times as long. Default 2000
   */
  closing(leastMs?: number): string;
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
  // All clients come back, but not in the same moment.
  closing: (leastMs = 2000) => `retry: ${Math.floor(leastMs * (1 + 1.5 * Math.random()))}\n\n`,
};

/** All wire formats, the preferred one first. */
export const FORMATS: readonly WireFormat[] = [ndjson, sse];

/** Returns the text of events in a row. */
export function serialize(format: WireFormat, lines: readonly Line[]): string {
  let text = "";
  for (const line of lines) text += format.write(line);
  return text;
}

/** Makes a stream of batches in and text out: one string for each batch. */
export function serializer(format: WireFormat): TransformStream<Batch, string> {
  return new TransformStream({
    transform(batch, controller) {
      controller.enqueue(serialize(format, batch.entries));
    },
  });
}

/** Returns where each event ends in the bytes of a serialized batch. */
export function endsOf(format: WireFormat, bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let end = 0, lines = 0; (end = bytes.indexOf(0x0a, end) + 1) > 0;) {
    if (++lines % format.linesPerEvent === 0) ends.push(end);
  }
  return ends;
}
