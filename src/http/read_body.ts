/**
 * The body of a `POST`: from its bytes to its text, within limits of size and time.
 *
 * @module
 */
import { invalidEventError } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import type { OnClose } from "../channel/on_close.ts";

/**
 * The text of a request's body.
 *
 * @param maxBytes the most it may hold; counted while it arrives, so no more is ever held
 * @param patienceMs so many milliseconds the next piece of it may take
 * @param onEnding tells when the channel is closed that the body is for: nobody waits for the rest of it then
 * @throws {EventsError} `PayloadTooLarge`; `RequestTimeout`; `BodyIncomplete`; `ChannelClosed`; `InvalidEvent` where it is
 *   not UTF-8
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  contentLength: string | undefined,
  maxBytes: number,
  patienceMs: number,
  onEnding: OnClose,
): Promise<string> {
  if (body === null) return "";
  let stopListening = () => {};
  const closed = new Promise<"closed">((resolve) => stopListening = onEnding(() => resolve("closed")));
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = Number(contentLength ?? 0) > maxBytes ? Infinity : 0;
  try {
    for (let read; bytes <= maxBytes && !(read = await next(reader, patienceMs, closed)).done;) {
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

/** Nobody waits for what is left of a refused body; more than so many milliseconds of silence are its end. */
const REST_MS = 500;

/**
 * Lets the rest of a refused body arrive, if it is not too much, so that the connection is good for more. Where it does
 * not arrive, Node and Bun close the connection. Deno tells the client that it is to be closed and waits for the client
 * to do so, whatever is done with the body or said in the headers; a handler cannot close it there.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>, maxBytes: number): Promise<void> {
  try {
    for (let bytes = 0, read; bytes <= maxBytes && !(read = await next(reader, REST_MS)).done;) {
      bytes += read.value.byteLength;
    }
  } finally {
    await reader.cancel();
  }
}

async function next(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  patienceMs: number,
  ...closed: Promise<"closed">[]
) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    if (patienceMs < Infinity) timer = setTimeout(resolve, patienceMs, "late");
  });
  let first;
  try {
    first = await Promise.race([reader.read(), late, ...closed]);
  } catch (cause) {
    throw new EventsError("BodyIncomplete", "the body broke off before its end: nothing was published", {
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
  if (first === "closed") {
    throw new EventsError("ChannelClosed", "the channel was closed while the body was on its way");
  }
  if (first !== "late") return first;
  throw new EventsError("RequestTimeout", `nothing came of the body for ${patienceMs / 1000} seconds`);
}

function decode(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch (cause) {
    throw invalidEventError([{ index: 0, path: "", message: "the body is not UTF-8" }], [], cause);
  }
}
