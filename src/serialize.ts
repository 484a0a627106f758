/**
 * Wire formats: how events become text. Pure functions first, and the `TransformStream` around them.
 *
 * @module
 */
import type { Batch } from "./channel.ts";

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
  /** The names of its media type, the preferred one first. */
  readonly mediaTypes: readonly [string, ...string[]];
  /** The text of one event. */
  write(line: Line): string;
  /** How many `\n` that text has: its last one ends it. */
  readonly linesPerEvent: number;
  /** What keeps a silent stream open; every reader skips it. */
  readonly heartbeat: string;
}

/** One dictionary a line; an empty line is a heartbeat. */
export const ndjson: WireFormat = {
  mediaTypes: ["application/x-ndjson", "application/jsonl", "application/ndjson"],
  write: ({ json }) => json + "\n",
  linesPerEvent: 1,
  heartbeat: "\n",
};

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
