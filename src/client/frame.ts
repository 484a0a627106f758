/**
 * Frames: what a stream is made of on the wire, before any JSON is parsed.
 *
 * @module
 */
import type { EventsError } from "../events/errors.ts";

/** One block of an event stream (WHATWG HTML 9.2). */
export interface Block {
  /** The event's name, if the block has one. */
  readonly event: string | undefined;
  /** The cursor, if the block has one. */
  readonly id: string | undefined;
  /** Its data; empty if it has none. */
  readonly data: string;
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
  /** Whether a frame has begun that has not ended: at the end of a response it is lost. */
  partial(): boolean;
  /** The number of seconds that the server wants clients to wait before they reconnect (`retry:` in SSE). */
  retry(): number;
}

/** Turns the bytes of one response into frames, after it has loaded its parts. */
export interface ResponseDecoder extends Omit<Decoder, "push"> {
  /** Returns what {@linkcode Decoder.push} returns. It must not be called again before it has resolved. */
  push(chunk: Uint8Array): Promise<readonly Frame[]>;
}
