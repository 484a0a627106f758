/**
 * From bytes to the pieces of a stream: lines of NDJSON, or blocks of SSE. Nothing is parsed here.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import type { Block } from "./sse.ts";

/**
 * What a stream is made of: a line of NDJSON without its end, empty where it is a heartbeat; a block of SSE; or what
 * is wrong with the rest of the stream, told in its place behind the pieces that were whole.
 */
export type Frame = string | Block | EventsError;

/** Turns the bytes of one response into pieces. */
export interface Decoder {
  /** The pieces that end in this chunk, in order. What has begun is kept for the next one. */
  push(chunk: Uint8Array): readonly Frame[];
  /** Whether a piece has begun that has not ended: at the end of a response it is lost. */
  partial(): boolean;
  /** How many seconds the server wants its clients to wait before they come back (`retry:` in SSE). */
  retry(): number;
}

const SSE_TYPE = "text/event-stream";
/** The media types that are one line an event, by any name. */
const NDJSON_TYPES = ["application/x-ndjson", "application/jsonl", "application/ndjson"];
/** What servers call a stream that do not know its name. What it is shows in its first character. */
const VAGUE_TYPES = ["", "application/json", "text/json", "text/plain", "application/octet-stream"];
/** White space, and the bytes of a byte order mark. */
const INSIGNIFICANT: readonly number[] = [0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf];
/** What a line of SSE begins with: `data`, `event`, `id`, `retry` or a colon. A dictionary begins with a brace. */
const SSE_STARTS = "deir:";

/** The media type without its parameters, in lower case; empty where there is none. */
function mediaTypeOf(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]!.trim().toLowerCase();
}

/**
 * Whether a response of this type can be a stream of events. So can one whose type is the beginning of such a type:
 * Chromium takes a head that was cut for a whole one, and then nothing follows it.
 */
export function isStreamType(contentType: string | null): boolean {
  const type = mediaTypeOf(contentType);
  return [SSE_TYPE, ...NDJSON_TYPES, ...VAGUE_TYPES].some((known) => known.startsWith(type));
}

/** Turns the bytes of one response into pieces, once its parts have been loaded. */
export interface ResponseDecoder extends Omit<Decoder, "push"> {
  /** As {@linkcode Decoder.push}. To be called again only when it has resolved. */
  push(chunk: Uint8Array): Promise<readonly Frame[]>;
}

/**
 * The decoder of a response of this type, one of {@linkcode isStreamType}. What reads SSE is loaded where SSE comes:
 * most servers that have it have NDJSON too, and a browser is spared a quarter of the client.
 *
 * @param maxLineBytes the most bytes a line may have; in SSE the most characters of a block
 */
export function createDecoder(contentType: string | null, maxLineBytes: number): ResponseDecoder {
  const type = mediaTypeOf(contentType);
  let decoder: Decoder | undefined;

  async function begin(first: number): Promise<Decoder> {
    const isSse = type === SSE_TYPE ||
      (VAGUE_TYPES.includes(type) && SSE_STARTS.includes(String.fromCharCode(first)));
    if (!isSse) return ndjsonDecoder(maxLineBytes);
    return (await import("./sse.ts")).sseDecoder(maxLineBytes, lineTooLong);
  }

  return {
    push: async (chunk) => {
      if (decoder === undefined) {
        const isBlank = (byte: number) => type !== SSE_TYPE && INSIGNIFICANT.includes(byte);
        const start = chunk.findIndex((byte) => !isBlank(byte));
        if (start === -1) return [];
        chunk = chunk.subarray(start);
        decoder = await begin(chunk[0]!);
      }
      return decoder.push(chunk);
    },
    partial: () => decoder?.partial() ?? false,
    retry: () => decoder?.retry() ?? 0,
  };
}

const LF = 0x0a;

/**
 * A decoder of NDJSON. It looks for line ends in the bytes, where no character of UTF-8 has one in it, and decodes
 * all whole lines of a chunk at once. A line in many chunks is kept in fragments and joined when its end is there.
 */
export function ndjsonDecoder(maxLineBytes: number): Decoder {
  // They leave a byte order mark alone: it is none at the start of a chunk. There are two because Node 20 is three times
  // as fast on ASCII where nothing is to be kept for the next call, and half as fast on everything else.
  const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const streamDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isAscii = true;
  let fragments: Uint8Array[] = [];
  let kept = 0;

  /** Where in the chunk the last line ends that is not too long, where one that is follows; otherwise -1. */
  function endBeforeTooLong(chunk: Uint8Array): number {
    if (kept + chunk.length <= maxLineBytes) return -1;
    let start = 0;
    for (let length = kept; start < chunk.length; length = 0) {
      const end = chunk.indexOf(LF, start);
      if (length + (end === -1 ? chunk.length : end) - start > maxLineBytes) return start;
      if (end === -1) break;
      start = end + 1;
    }
    return -1;
  }

  /** The lines up to this end of one; what follows it is kept. */
  function split(chunk: Uint8Array, end: number): string[] {
    if (end === 0) {
      if (chunk.length > 0) {
        fragments.push(chunk);
        kept += chunk.length;
      }
      return [];
    }
    // The line that has begun is decoded on its own, so that no more than a line is ever copied.
    const from = kept > 0 ? chunk.indexOf(LF) : 0;
    const begun = kept > 0 ? wholeDecoder.decode(joined([...fragments, chunk.subarray(0, from)])) : undefined;
    const bytes = chunk.subarray(from, end);
    // They end with a line, so there is nothing to keep for the next call.
    const text = isAscii ? wholeDecoder.decode(bytes) : streamDecoder.decode(bytes, { stream: true });
    isAscii = text.length === bytes.length;
    const lines: string[] = [];
    // Not split("\n"), which costs more than that.
    for (let at = 0, end; (end = text.indexOf("\n", at)) !== -1; at = end + 1) {
      lines.push(text.slice(at, end));
    }
    if (begun !== undefined) lines[0] = begun; // It was empty: the bytes began with the end of that line.
    kept = chunk.length - end;
    fragments = kept > 0 ? [chunk.subarray(end)] : [];
    return lines;
  }

  return {
    push: (chunk) => {
      const last = endBeforeTooLong(chunk);
      if (last === -1) return split(chunk, chunk.lastIndexOf(LF) + 1);
      // Whoever reads this error reads no further.
      const whole = last === 0 ? [] : split(chunk.subarray(0, last), last);
      return [...whole, lineTooLong(maxLineBytes)];
    },
    partial: () => kept > 0,
    retry: () => 0,
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The error of a line over the limit. */
function lineTooLong(maxLineBytes: number): EventsError {
  const message =
    `the server sent a line of more than ${maxLineBytes} bytes: raise maxLineBytes if that can be`;
  return new EventsError("LineTooLong", message);
}
