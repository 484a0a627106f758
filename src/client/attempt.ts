/**
 * One attempt at a stream: a request, what its answer means, and the pieces that come.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { createDecoder, type Frame, type ResponseDecoder } from "./decode.ts";
import { classifyResponse, retryAfter } from "./retry.ts";

/** The stream of one response. */
export interface Source {
  /** The pieces that came next, maybe none; `undefined` at the end. Rejects where it is cut. */
  read(): Promise<readonly Frame[] | undefined>;
  /** How many seconds the server wants its clients to wait before they come back. */
  retry(): number;
  /** Leaves. */
  cancel(): void;
}

/** What became of an attempt. */
export type Outcome =
  | { readonly type: "open"; readonly source: Source }
  | { readonly type: "end" }
  /** If it is to be tried again, then after so many seconds at the least. */
  | { readonly type: "failed"; readonly cause: EventsError; readonly floor: number };

const QUERY = /(?<=https?:\/\/[^\s?]*)\?[^\s)"']*/g;
/** A body that says why a request was refused is read up to so many bytes. */
const MAX_REFUSAL_BYTES = 64 * 1024;
/** And waited for so many milliseconds: what follows is known from the status. */
const REFUSAL_PATIENCE = 1_000;

/**
 * Asks for a stream. Whatever the answer, a body that is not the stream's is never left open.
 *
 * @param fetch starts the request; it may throw at once
 * @param signal aborted when nobody waits for the answer any more
 * @param place the address as it may be shown
 */
export async function ask(
  fetch: () => Response | Promise<Response>,
  signal: AbortSignal,
  place: string,
  maxLineBytes: number,
): Promise<Outcome> {
  let response: Response;
  try {
    response = await fetch();
  } catch (cause) {
    const error = new EventsError("ConnectionFailed", `no answer from ${place}: ${reasonOf(cause)}`, {
      cause,
    });
    return { type: "failed", cause: error, floor: 0 };
  }
  const { status, headers, body } = response;
  const contentType = headers.get("Content-Type");
  const verdict = classifyResponse(status, contentType);
  if (!signal.aborted && verdict === "open" && body !== null) {
    return { type: "open", source: sourceOf(body, createDecoder(contentType, maxLineBytes), place) };
  }
  const { code, message } = await refusalOf(body, status >= 400 && !signal.aborted);
  if (verdict === "end") return { type: "end" };
  let said = `${place} answers ${status}`;
  if (message !== undefined) said += `: ${message}`;
  if (verdict === "Redirected") {
    // Most servers repeat the query, which may hold a key.
    const location = headers.get("Location")?.replace(/\?.*/s, "").slice(0, 200);
    said = `${place} redirects to ${
      JSON.stringify(location) ?? "elsewhere"
    }: connect to that address if you trust it`;
  }
  if (verdict === "open" || verdict === "UnexpectedResponse") {
    said += ` with ${JSON.stringify(contentType)}, not a stream of events`;
  }
  const error = new EventsError(verdict === "open" ? "UnexpectedResponse" : verdict, said, {
    status,
    serverCode: code,
  });
  return { type: "failed", cause: error, floor: retryAfter(headers.get("Retry-After"), Date.now()) };
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
    cancel: () => void reader.cancel().catch(() => {}), // It may be cut already.
  };
}

/** What a server says in refusing. */
interface Refusal {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/**
 * The code and message of a refusal in Tribler's shape, `{"error":{"code":…,"message":…}}`, where it is one.
 *
 * @param isWanted whether the body is to be looked at; it is let go in any case
 */
async function refusalOf(body: ReadableStream<Uint8Array> | null, isWanted: boolean): Promise<Refusal> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  const leave = () => void reader?.cancel().catch(() => {}); // It may be cut already.
  const timer = setTimeout(leave, REFUSAL_PATIENCE);
  let text = "";
  try {
    while (isWanted && reader !== undefined && text.length < MAX_REFUSAL_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    const { code, message } = JSON.parse(text).error;
    const string = (value: unknown) => typeof value === "string" ? value.slice(0, 1000) : undefined;
    return { code: string(code), message: string(message) };
  } catch {
    return {}; // The status says enough.
  } finally {
    clearTimeout(timer);
    leave();
  }
}

/** Why a request or a response failed, in the words of this runtime; without the query of an address, which may hold a key. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const behind = cause?.message || cause?.code;
  return [message ?? String(error), behind].filter(Boolean).join(": ").replaceAll(QUERY, "");
}
