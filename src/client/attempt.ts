/**
 * One attempt at a stream: a request, the outcome of its response, and the frames that arrive.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { createDecoder } from "./decode.ts";
import { isOtherJson } from "./dialect.ts";
import { failureOf } from "./failure.ts";
import type { Frame, ResponseDecoder } from "./frame.ts";
import { classifyResponse, readRetryAfter } from "./retry.ts";

/** A chunk of bytes, or the end. */
export type Arrival = ReadableStreamReadResult<Uint8Array>;
/** The frames that have arrived; `undefined` at the end. */
export type Frames = readonly Frame[] | undefined;

/** The stream of one response. */
export interface Source {
  /** Returns what arrives next. Rejects if the stream is cut off or cancelled. */
  read(): Promise<Arrival>;
  /**
   * Returns the frames that end in what has arrived, maybe none; `undefined` at the end. It is a promise until the first
   * frame has been returned, at most.
   *
   * @throws {EventsError} `ConnectionLost`, `UnexpectedResponse`; and the reason of the signal
   */
  accept(arrival: Arrival): Frames | Promise<Frames>;
  /** The number of seconds that the server wants clients to wait before they reconnect. */
  retry(): number;
}

/** The outcome of an attempt. */
export type Outcome =
  | { readonly type: "open"; readonly source: Source }
  | { readonly type: "end" }
  /** `retryAfter` is the least number of seconds before another attempt, if there is one. */
  | { readonly type: "failed"; readonly cause: EventsError; readonly retryAfter: number };

/** Maximum number of characters read of a body that says why a request was rejected. */
const MAX_REJECTION_LENGTH = 64 * 1024;
/** Maximum number of milliseconds to read that body for: the status alone decides what happens next. */
const REJECTION_TIMEOUT_MS = 1_000;

/** A response, and the reader of its body if it has one. */
interface Opened {
  readonly response: Response;
  readonly reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
}

/**
 * Requests a stream. No body of another kind stays open, and none at all once the signal is aborted.
 *
 * @param fetch starts the request; it may throw at once, and ignore the signal
 * @param signal aborted when the stream is not wanted any more; its reason is part of the error
 * @param place the address as it may be shown, without its query
 */
export async function request(
  fetch: () => Response | Promise<Response>,
  signal: AbortSignal,
  place: string,
  maxLineBytes: number,
): Promise<Outcome> {
  let opened: Opened;
  try {
    signal.throwIfAborted();
    opened = await Promise.race([open(fetch, signal), aborted(signal)]);
  } catch (cause) {
    return { type: "failed", cause: failureOf(place, cause), retryAfter: 0 };
  }
  if (typeof opened.response?.headers?.get !== "function") {
    const cause = new EventsError("UnexpectedResponse", "the function under fetch returned no Response");
    return { type: "failed", cause, retryAfter: 0 };
  }
  const { response: { status, headers }, reader } = opened;
  const contentType = headers.get("Content-Type");
  const kind = classifyResponse(status, contentType);
  if (kind === "open" && reader !== undefined) {
    const decoder = createDecoder(contentType, maxLineBytes);
    const mediaType = JSON.stringify(contentType);
    return { type: "open", source: sourceOf(reader, signal, decoder, place, mediaType) };
  }
  const rejection = await readRejection(reader, status >= 400);
  if (kind === "end") return { type: "end" };
  let message = `${place} answers ${status}`;
  if (rejection.message !== undefined) message += `: ${rejection.message}`;
  if (kind === "Redirected") {
    // Most servers repeat the query, which may hold a key.
    const location = headers.get("Location")?.replace(/\?.*/s, "").slice(0, 200);
    message = `${place} redirects to ${
      JSON.stringify(location) ?? "elsewhere"
    }: connect to that address if you trust it`;
  }
  if (kind === "open" || kind === "UnexpectedResponse") {
    message += ` with ${JSON.stringify(contentType)}, not a stream of events`;
  }
  const error = new EventsError(kind === "open" ? "UnexpectedResponse" : kind, message, {
    status,
    serverCode: rejection.code,
  });
  return { type: "failed", cause: error, retryAfter: readRetryAfter(headers, Date.now()) };
}

/** Starts the request. The signal cancels the body of its response, even one that arrives after the abort. */
async function open(fetch: () => Response | Promise<Response>, signal: AbortSignal): Promise<Opened> {
  const response = await fetch();
  // The function may return anything.
  const reader = response?.body?.getReader?.();
  onAbort(signal, () => cancel(reader));
  return { response, reader };
}

/** Rejects with the reason of the signal once it is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => onAbort(signal, () => reject(signal.reason)));
}

/** Calls the listener once the signal is aborted, which may be now. The signal belongs to one attempt. */
function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
}

function cancel(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): void {
  reader?.cancel().catch(() => {}); // It may be cut off already.
}

function sourceOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
  decoder: ResponseDecoder,
  place: string,
  mediaType: string,
): Source {
  let hasFrames = false;

  function received(frames: readonly Frame[]): readonly Frame[] {
    hasFrames ||= frames.length > 0;
    return frames;
  }

  return {
    read: () => reader.read(),
    accept: ({ done, value }) => {
      if (!done) {
        const frames = decoder.push(value);
        return frames instanceof Promise ? frames.then(received) : received(frames);
      }
      signal.throwIfAborted(); // A stream that was cancelled has not ended.
      const rest = decoder.rest();
      if (rest === "") return undefined;
      if (!hasFrames && isOtherJson(rest)) {
        const message = `${place} answers 200 with ${mediaType}, one document and not a stream of events`;
        throw new EventsError("UnexpectedResponse", message, { status: 200 });
      }
      throw new EventsError("ConnectionLost", `${place} ended the stream in the middle of a line`);
    },
    retry: decoder.retry,
  };
}

/** Why a server rejected a request, as far as it says so. */
interface Rejection {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/**
 * Reads the code and message of an error in Tribler's shape, if the body is one: `{"error":{"code":…,"message":…}}`, in some
 * releases without `code`, and `{"error":MESSAGE}` in Tribler 8.
 *
 * @param isWanted whether the body is read; it is cancelled in any case
 */
async function readRejection(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
  isWanted: boolean,
): Promise<Rejection> {
  const decoder = new TextDecoder();
  const timer = setTimeout(cancel, REJECTION_TIMEOUT_MS, reader);
  let text = "";
  try {
    while (isWanted && reader !== undefined && text.length < MAX_REJECTION_LENGTH) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    const { error } = JSON.parse(text);
    const { code, message = error } = error;
    const string = (value: unknown) => typeof value === "string" ? value.slice(0, 1000) : undefined;
    return { code: string(code), message: string(message) };
  } catch {
    return {}; // The status is enough.
  } finally {
    clearTimeout(timer);
    cancel(reader);
  }
}
