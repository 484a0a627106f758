/**
 * One attempt at a stream: a request, the outcome of its response, and the frames that arrive.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { createDecoder } from "./decode.ts";
import type { Frame, ResponseDecoder } from "./frame.ts";
import { classifyResponse, readRetryAfter } from "./retry.ts";

/** The stream of one response. */
export interface Source {
  /** Returns the frames that arrive next, maybe none; `undefined` at the end. Rejects if the stream is cut off. */
  read(): Promise<readonly Frame[] | undefined>;
  /** The number of seconds that the server wants clients to wait before they reconnect. */
  retry(): number;
  /** Disconnects. */
  cancel(): void;
}

/** The outcome of an attempt. */
export type Outcome =
  | { readonly type: "open"; readonly source: Source }
  | { readonly type: "end" }
  /** `retryAfter` is the least number of seconds before another attempt, if there is one. */
  | { readonly type: "failed"; readonly cause: EventsError; readonly retryAfter: number };

const QUERY = /(?<=https?:\/\/[^\s?]*)\?[^\s)"']*/g;
/** Maximum number of characters read of a body that says why a request was rejected. */
const MAX_REJECTION_LENGTH = 64 * 1024;
/** How long that body is waited for: the status alone decides what happens next. */
const REJECTION_TIMEOUT_MS = 1_000;

/**
 * Requests a stream. A body that is not the stream's is never left open, whatever the response.
 *
 * @param fetch starts the request; it may throw at once
 * @param signal aborted when the response is not wanted any more
 * @param place the address as it may be shown, without its query
 */
export async function request(
  fetch: () => Response | Promise<Response>,
  signal: AbortSignal,
  place: string,
  maxLineBytes: number,
): Promise<Outcome> {
  let response: Response;
  try {
    response = await fetch();
  } catch (cause) {
    const error = new EventsError("ConnectionFailed", `no response from ${place}: ${reasonOf(cause)}`, {
      cause,
    });
    return { type: "failed", cause: error, retryAfter: 0 };
  }
  const { status, headers, body } = response;
  const contentType = headers.get("Content-Type");
  const kind = classifyResponse(status, contentType);
  if (!signal.aborted && kind === "open" && body !== null) {
    return { type: "open", source: sourceOf(body, createDecoder(contentType, maxLineBytes), place) };
  }
  const { code, message } = await readRejection(body, status >= 400 && !signal.aborted);
  if (kind === "end") return { type: "end" };
  let said = `${place} answers ${status}`;
  if (message !== undefined) said += `: ${message}`;
  if (kind === "Redirected") {
    // Most servers repeat the query, which may hold a key.
    const location = headers.get("Location")?.replace(/\?.*/s, "").slice(0, 200);
    said = `${place} redirects to ${
      JSON.stringify(location) ?? "elsewhere"
    }: connect to that address if you trust it`;
  }
  if (kind === "open" || kind === "UnexpectedResponse") {
    said += ` with ${JSON.stringify(contentType)}, not a stream of events`;
  }
  const error = new EventsError(kind === "open" ? "UnexpectedResponse" : kind, said, {
    status,
    serverCode: code,
  });
  return { type: "failed", cause: error, retryAfter: readRetryAfter(headers.get("Retry-After"), Date.now()) };
}

function sourceOf(body: ReadableStream<Uint8Array>, decoder: ResponseDecoder, place: string): Source {
  const reader = body.getReader();
  return {
    read: async () => {
      const { done, value } = await reader.read();
      if (!done) return decoder.push(value);
      if (!decoder.partial()) return undefined;
      throw new EventsError("ConnectionLost", `${place} ended the stream in the middle of a line`);
    },
    retry: decoder.retry,
    cancel: () => void reader.cancel().catch(() => {}), // It may be cut off already.
  };
}

/** What a server says when it rejects a request. */
interface Rejection {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/**
 * Reads the code and message of an error in Tribler's shape, `{"error":{"code":…,"message":…}}`, if the body is one.
 *
 * @param isWanted whether the body is read; it is cancelled in any case
 */
async function readRejection(body: ReadableStream<Uint8Array> | null, isWanted: boolean): Promise<Rejection> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  const leave = () => void reader?.cancel().catch(() => {}); // It may be cut off already.
  const timer = setTimeout(leave, REJECTION_TIMEOUT_MS);
  let text = "";
  try {
    while (isWanted && reader !== undefined && text.length < MAX_REJECTION_LENGTH) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    const { code, message } = JSON.parse(text).error;
    const string = (value: unknown) => typeof value === "string" ? value.slice(0, 1000) : undefined;
    return { code: string(code), message: string(message) };
  } catch {
    return {}; // The status is enough.
  } finally {
    clearTimeout(timer);
    leave();
  }
}

/** Returns why a request or a response failed, in the words of this runtime, without the query of an address: it may hold a key. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const behind = cause?.message || cause?.code;
  return [message ?? String(error), behind].filter(Boolean).join(": ").replaceAll(QUERY, "");
}
