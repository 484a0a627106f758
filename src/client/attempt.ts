/**
 * One attempt at a stream: a request, what its answer means, and the pieces that come.
 *
 * @module
 */
import { EventsError } from "../errors.ts";
import { createDecoder, type Piece } from "./decode.ts";
import { judge, retryAfter } from "./retry.ts";

/** The stream of one response. */
export interface Source {
  /** The pieces that came next, maybe none; `undefined` at the end. Rejects where it is cut. */
  read(): Promise<readonly Piece[] | undefined>;
  /** Whether what came so far ends inside a piece. */
  readonly partial: boolean;
  /** How many seconds the server wants its clients to wait before they come back. */
  readonly retry: number;
  /** Leaves. */
  cancel(): void;
}

/** What became of an attempt. */
export type Answer =
  | { readonly type: "open"; readonly source: Source }
  | { readonly type: "end" }
  | { readonly type: "unauthorized"; readonly cause: EventsError }
  /** To be tried again, after so many seconds at the least. */
  | { readonly type: "again"; readonly cause: EventsError; readonly floor: number };

const QUERY = /(?<=https?:\/\/[^\s?]*)\?[^\s)"']*/g;
/** A body that says why a request was refused is read up to so many bytes. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * Asks for a stream. Whatever the answer, a body that is not the stream's is never left open.
 *
 * @param fetch starts the request; it may throw at once
 * @param signal aborted when nobody waits for the answer any more
 * @param place the address as it may be shown
 * @throws {EventsError} where asking again would not change the answer
 */
export async function ask(
  fetch: () => Response | Promise<Response>,
  signal: AbortSignal,
  place: string,
  maxLineBytes: number,
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch();
  } catch (error) {
    const cause = new EventsError("ConnectionFailed", `no answer from ${place}: ${reasonOf(error)}`, {
      cause: error,
    });
    return { type: "again", cause, floor: 0 };
  }
  const { status, headers, body } = response;
  const contentType = headers.get("Content-Type");
  const verdict = judge(status, contentType);
  if (!signal.aborted && verdict === "open" && body !== null) {
    return { type: "open", source: sourceOf(body, contentType, maxLineBytes) };
  }
  const isRefusal = status >= 400 && !signal.aborted;
  const told = isRefusal ? await refusalOf(body) : discard(body);
  const said = `${place} answers ${status}${told?.message === undefined ? "" : `: ${told.message}`}`;
  const context = { status, serverCode: told?.code };
  switch (verdict) {
    case "end":
      return { type: "end" };
    case "unauthorized":
      return { type: "unauthorized", cause: new EventsError("Unauthorized", said, context) };
    case "again": {
      const floor = retryAfter(headers.get("Retry-After"), Date.now());
      return { type: "again", cause: new EventsError("Unavailable", said, context), floor };
    }
    case "refused":
      throw new EventsError("Refused", said, context);
    case "redirected": {
      const location = headers.get("Location");
      const where = location === null ? "elsewhere" : `to ${JSON.stringify(location.slice(0, 200))}`;
      const message = `${place} redirects ${where}: connect to that address if you trust it`;
      throw new EventsError("Redirected", message, context);
    }
    default: {
      const message = `${place} answers ${status} with ${
        JSON.stringify(contentType)
      }, not a stream of events`;
      throw new EventsError("UnexpectedAnswer", message, context);
    }
  }
}

function sourceOf(
  body: ReadableStream<Uint8Array>,
  contentType: string | null,
  maxLineBytes: number,
): Source {
  const reader = body.getReader();
  const decoder = createDecoder(contentType, maxLineBytes);
  return {
    read: async () => {
      const { done, value } = await reader.read();
      return done ? undefined : decoder.push(value);
    },
    get partial() {
      return decoder.partial;
    },
    get retry() {
      return decoder.retry;
    },
    cancel: () => void reader.cancel().catch(() => {}), // It may be cut already.
  };
}

function discard(body: ReadableStream<Uint8Array> | null): undefined {
  body?.cancel().catch(() => {});
}

/** The code and message of a refusal in Tribler's shape, `{"error":{"code":…,"message":…}}`, where it is one. */
async function refusalOf(
  body: ReadableStream<Uint8Array> | null,
): Promise<{ readonly code: string | undefined; readonly message: string | undefined } | undefined> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (
      let read;
      reader !== undefined && text.length < MAX_REFUSAL_BYTES && !(read = await reader.read()).done;
    ) {
      text += decoder.decode(read.value, { stream: true });
    }
    const { code, message } = JSON.parse(text).error;
    const string = (value: unknown) => typeof value === "string" ? value.slice(0, 1000) : undefined;
    return { code: string(code), message: string(message) };
  } catch {
    return undefined; // The status says enough.
  } finally {
    reader?.cancel().catch(() => {});
  }
}

/** Why a request or a response failed, in the words of this runtime; without the query of an address, which may hold a key. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const behind = cause?.message || cause?.code;
  return [message ?? String(error), behind].filter(Boolean).join(": ").replaceAll(QUERY, "");
}
