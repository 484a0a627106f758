/**
 * From the bytes of an event stream (WHATWG HTML 9.2) to its blocks: `eventsource-parser`, and the one thing beside it
 * that a resuming reader needs.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import type { Decoder, Piece } from "./decode.ts";
import { lineTooLong } from "./decode.ts";

/** One block of an event stream. */
export interface Block {
  /** The event's name, where the block has one. */
  readonly event: string | undefined;
  /** The cursor, where the block has one. */
  readonly id: string | undefined;
  /** Its data; empty where it has none. */
  readonly data: string;
}

/**
 * A decoder of SSE.
 *
 * A block that has an `id` and no data moves the cursor and dispatches nothing (9.2.6), so the parser does not tell
 * of it. Here it does: every block is given one more line of data, an empty one, which is taken off again.
 *
 * @param maxLineBytes the most characters of a line, and of a block's data
 */
export function sseDecoder(maxLineBytes: number): Decoder {
  const decoder = new TextDecoder(); // It drops a byte order mark at the start, and only there.
  let pieces: Piece[] = [];
  let retry = 0;
  let heldBack = "";
  let isLineEnd = true;
  let isBlockEnd = true;
  const parser = createParser({
    onEvent: ({ event, id, data: withOneMore }) => {
      const data = withOneMore.slice(0, -1);
      if (data.length > maxLineBytes) pieces.push(lineTooLong(maxLineBytes));
      else if (data !== "" || id !== undefined) pieces.push({ event, id, data });
    },
    onRetry: (milliseconds) => retry = milliseconds / 1000,
    // Fields it does not know are none of ours either.
    onError: ({ type }) => {
      if (type === "max-buffer-size-exceeded") pieces.push(lineTooLong(maxLineBytes));
    },
    maxBufferSize: maxLineBytes,
  });

  /** The text with one kind of line end; a `\r` at its end waits, because it may be the first half of one. */
  function normalized(text: string): string {
    text = heldBack + text;
    heldBack = text.endsWith("\r") ? "\r" : "";
    if (heldBack !== "") text = text.slice(0, -1);
    return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
  }

  return {
    push: (chunk) => {
      pieces = [];
      const text = normalized(decoder.decode(chunk, { stream: true }));
      if (text === "") return pieces;
      isBlockEnd = text === "\n" ? isLineEnd : text.endsWith("\n\n");
      const isBlank = isLineEnd && text.startsWith("\n");
      isLineEnd = text.endsWith("\n");
      parser.feed((isBlank ? "data:\n" : "") + text.split("\n\n").join("\ndata:\n\n"));
      return pieces;
    },
    get partial() {
      return !isBlockEnd;
    },
    get retry() {
      return retry;
    },
  };
}
