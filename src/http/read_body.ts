/**
 * The body of a `POST`: from its bytes to its text, within limits of size and time.
 *
 * @module
 */
import type { Context } from "hono";
import type { OnClose } from "../channel/on_close.ts";
import { invalidEventError } from "../events/validate.ts";
import { EventsError } from "../events/errors.ts";
import { withDeadline } from "../events/timing.ts";
import { createBodyPatience } from "./body_patience.ts";
import { bytesReceived } from "./runtime.ts";

/** Options of {@linkcode createBodyReader}. */
export interface BodyReaderOptions {
  /** Maximum number of bytes of a body. */
  readonly maxBodyBytes: number;
  /** Maximum number of milliseconds until the next piece of a body arrives. */
  readonly bodyTimeoutMs: number;
  /** Reports that the channel was closed, which makes the rest of a body useless. */
  readonly onClose: OnClose;
}

/**
 * Reads the text of a request's body.
 *
 * @throws {EventsError} `PayloadTooLarge`; `RequestTimeout`; `BodyIncomplete`; `ChannelClosed`; `InvalidEvent` if it is
 *   not UTF-8
 */
export type ReadBody = (c: Context) => Promise<string>;

/**
 * Maximum number of bytes of a body that is read in one go if its server does not report progress. Such a body arrives with
 * its head, or in a few packets.
 */
const SMALL_BYTES = 16 * 1024;

/** Makes what reads bodies. */
export function createBodyReader({ maxBodyBytes, bodyTimeoutMs, onClose }: BodyReaderOptions): ReadBody {
  const seconds = bodyTimeoutMs / 1000;
  const patience = createBodyPatience(
    bodyTimeoutMs,
    `no part of the body arrived for ${seconds} seconds`,
    onClose,
  );
  /** For bodies whose progress is not seen: they have twice the time in all. */
  const blindPatience = createBodyPatience(
    2 * bodyTimeoutMs,
    `the body did not arrive within ${2 * seconds} seconds`,
    onClose,
  );
  const tooLarge = () =>
    new EventsError("PayloadTooLarge", `the body is larger than ${maxBodyBytes} bytes: send less at once`);

  /** Reads a body in one go: a stream costs three times as much as the rest of a small request on Node, half on Bun. */
  function readWhole(request: Request, received: (() => number) | undefined): Promise<string> {
    const arrived = request.arrayBuffer();
    const waiting = received === undefined ? blindPatience.wait(arrived) : patience.wait(arrived, received);
    return waiting.then((bytes) => {
      if (bytes.byteLength > maxBodyBytes) throw tooLarge(); // Middleware has replaced the body.
      return decode(wholes, bytes);
    });
  }

  /** Reads a body piece by piece, and counts its bytes on arrival, so that no more is ever held. */
  async function readPieces(body: ReadableStream<Uint8Array> | null, length: number): Promise<string> {
    if (body === null) return "";
    const reader = body.getReader();
    let decoder: TextDecoder | undefined;
    let text = "";
    let bytes = length > maxBodyBytes ? Infinity : 0;
    try {
      for (let read; bytes <= maxBodyBytes && !(read = await patience.wait(reader.read())).done;) {
        bytes += read.value.byteLength;
        decoder ??= new TextDecoder("utf-8", { fatal: true });
        if (bytes <= maxBodyBytes) text += decode(decoder, read.value, { stream: true });
      }
      if (bytes > maxBodyBytes) throw tooLarge();
      return decoder === undefined ? text : text + decode(decoder);
    } catch (error) {
      const isLate = error instanceof EventsError && error.code === "RequestTimeout";
      discard(reader, isLate ? -1 : 2 * maxBodyBytes).catch(() => {});
      throw error;
    }
  }

  async function readKept(c: Context): Promise<string> {
    return await readPieces(new Response(await c.req.arrayBuffer()).body, NaN);
  }

  return (c) => {
    const request = c.req.raw;
    if (request.bodyUsed) return readKept(c); // If middleware has read the body, Hono has kept it.
    const length = Number(c.req.header("Content-Length") ?? NaN);
    const received = bytesReceived(c);
    // Node rejects a request that has a length and is sent in chunks; elsewhere the length may be none.
    if (received !== undefined && length <= maxBodyBytes) return readWhole(request, received);
    const isChunked = c.req.header("Transfer-Encoding") !== undefined;
    if (!isChunked && length <= Math.min(SMALL_BYTES, maxBodyBytes)) return readWhole(request, undefined);
    return readPieces(request.body, isChunked ? NaN : length);
  };
}

/** Decodes bodies that are whole, so it keeps no state. */
const wholes: TextDecoder = new TextDecoder("utf-8", { fatal: true });

/** Number of milliseconds without a piece after which the rest of a rejected body is no longer awaited. */
const REST_TIMEOUT_MS = 500;

/**
 * Lets the rest of a rejected body arrive, up to a limit, so that the connection can be used again. If it does not
 * arrive, Node and Bun close the connection. Deno announces the close and waits for the client to close it, whatever
 * happens to the body or stands in the headers; a handler cannot close the connection there.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>, maxBytes: number): Promise<void> {
  try {
    for (let bytes = 0; bytes <= maxBytes;) {
      const read = await withDeadline(reader.read(), REST_TIMEOUT_MS, undefined);
      if (read === undefined || read.done) return;
      bytes += read.value.byteLength;
    }
  } finally {
    await reader.cancel();
  }
}

function decode(decoder: TextDecoder, bytes?: Uint8Array | ArrayBuffer, options?: TextDecodeOptions): string {
  try {
    return decoder.decode(bytes, options);
  } catch (cause) {
    throw invalidEventError([{ index: 0, path: "", message: "the body is not UTF-8" }], [], cause);
  }
}
