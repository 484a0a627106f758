/**
 * Frames: what a stream is made of on the wire, before any JSON is parsed; and the events that they become.
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import type { EventsError } from "../events/errors.ts";

/** An event as it was received. Only its type has been checked. */
export interface Dictionary {
  /** The name of its type. */
  readonly type: string;
  /** What it is about, if it has a subject. */
  readonly subject?: string;
  /** Its payload, if it has one. */
  readonly event?: unknown;
  /** Its cursor. A real Tribler sends none. */
  readonly id?: string;
  /** When it was published: RFC 3339, UTC, milliseconds. A real Tribler sends none. */
  readonly time?: string;
}

/** One block of an event stream (WHATWG HTML 9.2). */
export interface Block {
  /** The event's name, if the block has one. */
  readonly event: string | undefined;
  /** The cursor, if the block has one. */
  readonly id: string | undefined;
  /** Its data; empty if it has none. */
  readonly data: string;
  /**
   * Returns the event of the block, without the block's cursor; `undefined` if it is none.
   *
   * An event of this package repeats itself: the block's `event` is the dictionary's `type`, and the block's `id` is the
   * dictionary's `id`. Tribler 8 sends no `id`, so none of its payloads is mistaken for such a dictionary.
   *
   * In the dialect of Tribler 7.12 – 7.14 the payload is `kwargs`, the arguments passed by name. If it is empty, the payload
   * is `args`, those passed by position: a single one itself, several as an array. With a catalogue, arguments by position
   * have the names of the keys in the schema of their topic, in that order.
   *
   * @param value the data, parsed
   */
  read(value: unknown, catalogue: Catalogue | undefined): Dictionary | undefined;
  /** Returns the JSON text of its event: as it was received, or put together of the texts of its parts. */
  text(catalogue: Catalogue | undefined): string;
}

/**
 * A line of NDJSON without its end, empty for a heartbeat; a block of SSE; or the error that makes the rest of the stream
 * unreadable, after the frames before it.
 */
export type Frame = string | Block | EventsError;

/** Turns the bytes of one response into frames. */
export interface Decoder {
  /** Returns the frames that end in this chunk, in order. A frame that has begun is kept for the next chunk. */
  push(chunk: Uint8Array): readonly Frame[];
  /** Returns the text of a frame that has begun and not ended, empty if none has: at the end of a response it is lost. */
  rest(): string;
  /** The number of seconds that the server wants clients to wait before they reconnect (`retry:` in SSE). */
  retry(): number;
}

/** Turns the bytes of one response into frames, after it has loaded its parts. */
export interface ResponseDecoder extends Omit<Decoder, "push"> {
  /**
   * Returns what {@linkcode Decoder.push} returns; a promise of it until the parts are loaded. It must not be called again
   * before that has resolved.
   */
  push(chunk: Uint8Array): readonly Frame[] | Promise<readonly Frame[]>;
}
