/**
 * The body of a `POST`: from its bytes to its text, within limits of size and time.
 *
 * @module
 */
import { invalidEventError } from "../events/validate.ts";
import { EventsError } from "../events/errors.ts";
import { withDeadline } from "../events/timing.ts";
import type { OnClose } from "../channel/on_close.ts";

/**
 * Reads the text of a request's body.
 *
 * @param maxBytes maximum number of bytes; they are counted on arrival, so no more is ever held
 * @param timeoutMs maximum number of milliseconds until the next piece arrives
 * @param onClose reports that the channel was closed, which makes the rest of the body useless
 * @throws {EventsError} `PayloadTooLarge`; `RequestTimeout`; `BodyIncomplete`; `ChannelClosed`; `InvalidEvent` if it is
 *   not UTF-8
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  contentLength: string | undefined,
  maxBytes: number,
  timeoutMs: number,
  onClose: OnClose,
): Promise<string> {
  if (body === null) return "";
  let stopListening = () => {};
  const closed = new Promise<"closed">((resolve) => stopListening = onClose(() => resolve("closed")));
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = Number(contentLength ?? 0) > maxBytes ? Infinity : 0;
  try {
    for (let read; bytes <= maxBytes && !(read = await next(reader, timeoutMs, closed)).done;) {
      bytes += read.value.byteLength;
      if (bytes <= maxBytes) text += decode(decoder, read.value);
    }
    if (bytes <= maxBytes) return text + decode(decoder);
    throw new EventsError("PayloadTooLarge", `the body is larger than ${maxBytes} bytes: send less at once`);
  } catch (error) {
    const isLate = error instanceof EventsError && error.code === "RequestTimeout";
    discard(reader, isLate ? -1 : 2 * maxBytes).catch(() => {});
    throw error;
  } finally {
    stopListening();
  }
}

/** Number of milliseconds without a piece after which the rest of a rejected body is no longer awaited. */
const REST_TIMEOUT_MS = 500;

/**
 * Lets the rest of a rejected body arrive, up to a limit, so that the connection can be used again. If it does not
 * arrive, Node and Bun close the connection. Deno announces the close and waits for the client to close it, whatever
 * happens to the body or stands in the headers; a handler cannot close the connection there.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>, maxBytes: number): Promise<void> {
  try {
    for (let bytes = 0, read; bytes <= maxBytes && !(read = await next(reader, REST_TIMEOUT_MS)).done;) {
      bytes += read.value.byteLength;
    }
  } finally {
    await reader.cancel();
  }
}

/** Reads the next piece of the body. */
async function next(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  timeoutMs: number,
  ...closed: Promise<"closed">[]
) {
  let piece;
  try {
    piece = await withDeadline(Promise.race([reader.read(), ...closed]), timeoutMs, "late" as const);
  } catch (cause) {
    const message = "the body broke off before its end: nothing was published";
    throw new EventsError("BodyIncomplete", message, { cause });
  }
  if (piece === "closed") {
    throw new EventsError("ChannelClosed", "the channel was closed before the body was complete");
  }
  if (piece !== "late") return piece;
  throw new EventsError("RequestTimeout", `no part of the body arrived for ${timeoutMs / 1000} seconds`);
}

function decode(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch (cause) {
    throw invalidEventError([{ index: 0, path: "", message: "the body is not UTF-8" }], [], cause);
  }
}
