/**
 * From bytes to the frames of a stream: lines of NDJSON, or blocks of SSE. No JSON is parsed here.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { reasonOf } from "./failure.ts";
import type { Decoder, Frame, ResponseDecoder } from "./frame.ts";

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

  /** Chooses the decoder, once there is a byte that shows which one. */
  async function begin(chunk: Uint8Array): Promise<readonly Frame[]> {
    const isBlank = (byte: number) => type !== SSE_TYPE && INSIGNIFICANT.includes(byte);
    const start = chunk.findIndex((byte) => !isBlank(byte));
    if (start === -1) return [];
    const first = String.fromCharCode(chunk[start]!);
    const isSse = type === SSE_TYPE || (VAGUE_TYPES.includes(type) && SSE_STARTS.includes(first));
    decoder = isSse ? (await loadSse()).sseDecoder(maxLineBytes, lineTooLong) : ndjsonDecoder(maxLineBytes);
    return decoder.push(chunk.subarray(start));
  }

  return {
    push: (chunk) => decoder === undefined ? begin(chunk) : decoder.push(chunk),
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
 * Makes a decoder of NDJSON. It decodes each chunk at once, and finds line ends in the text. The text of a line in many chunks
 * is joined when its end arrives: until then engines keep its parts.
 */
export function ndjsonDecoder(maxLineBytes: number): Decoder {
  // They keep U+FEFF: at the start of a chunk it is no byte order mark. There are two because without `stream` Node 20 is
  // three times as fast on ASCII, and half as fast on everything else.
  const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const streamDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isAscii = true;
  /** Whether the last chunk may have ended within a character. */
  let isCut = false;
  /** The text of the line that has begun. */
  let begun = "";
  /** The chunk that it begins in, and the number of bytes in those after it. */
  let first: Uint8Array = new Uint8Array();
  let further = 0;

  /** Returns where the last line ends before one that is too long; -1 if none is. */
  function endBeforeTooLong(chunk: Uint8Array): number {
    if (first.length + further + chunk.length <= maxLineBytes) return -1;
    let start = 0;
    for (let length = first.length - first.lastIndexOf(LF) - 1 + further; start < chunk.length; length = 0) {
      const end = chunk.indexOf(LF, start);
      if (length + (end === -1 ? chunk.length : end) - start > maxLineBytes) return start;
      if (end === -1) break;
      start = end + 1;
    }
    return -1;
  }

  function decode(chunk: Uint8Array): string {
    const wasCut = isCut;
    isCut = chunk[chunk.length - 1]! > 0x7f;
    const isWhole = isAscii && !wasCut && !isCut;
    const text = isWhole ? wholeDecoder.decode(chunk) : streamDecoder.decode(chunk, { stream: true });
    isAscii = !wasCut && text.length === chunk.length;
    return text;
  }

  /** Returns the lines that end in this chunk. */
  function split(chunk: Uint8Array): string[] {
    if (chunk.length === 0) return [];
    const text = decode(chunk);
    let end = text.indexOf("\n");
    if (end === -1) {
      begun += text;
      further += chunk.length;
      return [];
    }
    const lines = [begun + text.slice(0, end)];
    let start = end + 1;
    // split("\n") is slower.
    for (; (end = text.indexOf("\n", start)) !== -1; start = end + 1) lines.push(text.slice(start, end));
    begun = text.slice(start);
    first = chunk;
    further = 0;
    return lines;
  }

  return {
    push: (chunk) => {
      const last = endBeforeTooLong(chunk);
      if (last === -1) return split(chunk);
      // The error is the last frame.
      return [...split(chunk.subarray(0, last)), lineTooLong(maxLineBytes)];
    },
    rest: () => begun + streamDecoder.decode(),
    retry: () => 0,
  };
}

/** Makes the error of a line over the limit. */
function lineTooLong(maxLineBytes: number): EventsError {
  const message =
    `the server sent a line of more than ${maxLineBytes} bytes: raise maxLineBytes if such events are expected`;
  return new EventsError("LineTooLong", message);
}
