/**
 * From bytes to the frames of a stream: lines of NDJSON, or blocks of SSE. No JSON is parsed here.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { reasonOf } from "./failure.ts";
import type { Decoder, ResponseDecoder } from "./frame.ts";

const SSE_TYPE = "text/event-stream";
/** The names under which servers send one line of JSON an event. */
const NDJSON_TYPES = ["application/x-ndjson", "application/jsonl", "application/ndjson"];
/** Types that some servers send for either format. The first character of the body shows which one it is. */
const VAGUE_TYPES = ["", "application/json", "text/json", "text/plain", "application/octet-stream"];
/** White space, and the bytes of a byte order mark. */
const INSIGNIFICANT: readonly number[] = [0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf];
/** First characters of a line of SSE: `data`, `event`, `id`, `retry` or a colon. A dictionary begins with a brace. */
const SSE_STARTS = "deir:";

/** The media type without its parameters, in lower case; empty if there is none. */
function mediaTypeOf(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]!.trim().toLowerCase();
}

/**
 * Whether a response of this type can be a stream of events. The beginning of such a type counts too: Chromium takes a head
 * that was cut off for a whole one, and its body is empty.
 */
export function isStreamType(contentType: string | null): boolean {
  const type = mediaTypeOf(contentType);
  return [SSE_TYPE, ...NDJSON_TYPES, ...VAGUE_TYPES].some((known) => known.startsWith(type));
}

/**
 * Makes the decoder of a response of this type, one of {@linkcode isStreamType}. The SSE parser is loaded only for a stream
 * of SSE: most servers have NDJSON too, so a browser rarely needs this quarter of the client.
 *
 * @param maxLineBytes maximum number of bytes in a line; in SSE of characters in a block
 */
export function createDecoder(contentType: string | null, maxLineBytes: number): ResponseDecoder {
  const type = mediaTypeOf(contentType);
  let decoder: Decoder | undefined;

  async function begin(first: number): Promise<Decoder> {
    const isSse = type === SSE_TYPE ||
      (VAGUE_TYPES.includes(type) && SSE_STARTS.includes(String.fromCharCode(first)));
    if (!isSse) return ndjsonDecoder(maxLineBytes);
    return (await loadSse()).sseDecoder(maxLineBytes, lineTooLong);
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
    rest: () => decoder?.rest() ?? "",
    retry: () => decoder?.retry() ?? 0,
  };
}

/**
 * Loads the parts of the client that most connections do not need.
 *
 * @throws {EventsError} `ModuleNotLoaded`: a bundle has them in a file of its own, which is gone after a new release
 */
export async function loadSse(): Promise<typeof import("./sse.ts")> {
  try {
    return await import("./sse.ts");
  } catch (cause) {
    const message = `cannot load the parser of this stream, a part of the client: ${reasonOf(cause)}: ` +
      "in a browser, reload the page";
    throw new EventsError("ModuleNotLoaded", message, { cause });
  }
}

const LF = 0x0a;

/**
 * Makes a decoder of NDJSON. It finds line ends in the bytes, as no character of UTF-8 contains one, and decodes all whole
 * lines of a chunk at once. A line in many chunks is kept in fragments, and joined when its end arrives.
 */
export function ndjsonDecoder(maxLineBytes: number): Decoder {
  // They keep U+FEFF: at the start of a chunk it is no byte order mark. There are two because without `stream` Node 20 is
  // three times as fast on ASCII, and half as fast on everything else.
  const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const streamDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isAscii = true;
  let fragments: Uint8Array[] = [];
  let kept = 0;

  /** Returns where the last line ends before one that is too long; -1 if none is. */
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

  /** Returns the lines up to this index, where one ends, and keeps the rest. */
  function split(chunk: Uint8Array, end: number): string[] {
    if (end === 0) {
      if (chunk.length > 0) {
        fragments.push(chunk);
        kept += chunk.length;
      }
      return [];
    }
    // The line that began in earlier chunks is decoded on its own, so that no more than a line is ever copied.
    const from = kept > 0 ? chunk.indexOf(LF) : 0;
    const begun = kept > 0 ? wholeDecoder.decode(joined([...fragments, chunk.subarray(0, from)])) : undefined;
    const bytes = chunk.subarray(from, end);
    // They end with a line, so there is nothing to keep for the next call.
    const text = isAscii ? wholeDecoder.decode(bytes) : streamDecoder.decode(bytes, { stream: true });
    isAscii = text.length === bytes.length;
    const lines: string[] = [];
    // split("\n") is slower.
    for (let at = 0, end; (end = text.indexOf("\n", at)) !== -1; at = end + 1) {
      lines.push(text.slice(at, end));
    }
    if (begun !== undefined) lines[0] = begun; // It was empty: these bytes begin with the end of that line.
    kept = chunk.length - end;
    fragments = kept > 0 ? [chunk.subarray(end)] : [];
    return lines;
  }

  return {
    push: (chunk) => {
      const last = endBeforeTooLong(chunk);
      if (last === -1) return split(chunk, chunk.lastIndexOf(LF) + 1);
      // The error is the last frame.
      const whole = last === 0 ? [] : split(chunk.subarray(0, last), last);
      return [...whole, lineTooLong(maxLineBytes)];
    },
    rest: () => new TextDecoder().decode(joined(fragments)),
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

/** Makes the error of a line over the limit. */
function lineTooLong(maxLineBytes: number): EventsError {
  const message =
    `the server sent a line of more than ${maxLineBytes} bytes: raise maxLineBytes if such events are expected`;
  return new EventsError("LineTooLong", message);
}
