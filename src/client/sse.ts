/**
 * From the bytes of an event stream (WHATWG HTML 9.2) to its blocks: `eventsource-parser`, and the blocks without data,
 * which a resuming reader needs too.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import type { EventsError } from "../events/errors.ts";
import type { Decoder, Frame } from "./frame.ts";

/**
 * Makes a decoder of SSE.
 *
 * A block that has an `id` and no data moves the cursor and dispatches nothing (9.2.6), so the parser does not report it.
 * To have it reported, an empty line of data is added to every block that has none.
 *
 * @param maxLineBytes maximum number of characters in a block
 * @param tooLong makes the error of a longer one; passed in because this module is bundled separately, and would contain it twice
 */
export function sseDecoder(
  maxLineBytes: number,
  tooLong: (maxLineBytes: number) => EventsError,
): Decoder {
  const decoder = new TextDecoder(); // It drops a byte order mark at the start only.
  let frames: Frame[] = [];
  let retry = 0;
  let wasReturn = false;
  /** The parts of the block that has begun. */
  let fragments: string[] = [];
  let kept = 0;
  let isLineEnd = true;
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      if (data !== "" || id !== undefined) frames.push({ event, id, data });
    },
    onRetry: (milliseconds) => retry = milliseconds / 1000,
  });

  /** Returns the text with `\n` as its only line end. A `\r` at its end counts; a `\n` that begins the next text belongs to it. */
  function normalized(text: string): string {
    const rest = wasReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") wasReturn = text.endsWith("\r");
    return rest.includes("\r") ? rest.replaceAll(/\r\n?/g, "\n") : rest;
  }

  /** Parses whole blocks; there is a `\n` before the first one, as there is before each of the others. */
  function parse(blocks: string): void {
    let text = "";
    let from = 0;
    let data = blocks.indexOf("\ndata");
    for (let at = 0, end; (end = blocks.indexOf("\n\n", at)) !== -1; at = end + 1) {
      if (end - at > maxLineBytes) {
        parser.feed(text + blocks.slice(from, at + 1));
        frames.push(tooLong(maxLineBytes)); // It is the last frame.
        return;
      }
      if (data < at && data !== -1) data = blocks.indexOf("\ndata", at);
      if (data === -1 || data > end) {
        text += blocks.slice(from, end + 1) + "data:\n";
        from = end + 1;
      }
    }
    parser.feed(text + blocks.slice(from));
  }

  return {
    push: (chunk) => {
      frames = [];
      const text = normalized(decoder.decode(chunk, { stream: true }));
      const last = text.lastIndexOf("\n\n");
      // Of the two line ends after a block the first may have arrived earlier.
      const end = last !== -1 ? last + 2 : isLineEnd && text.startsWith("\n") ? 1 : 0;
      if (end > 0) {
        parse(["\n", ...fragments, text.slice(0, end)].join(""));
        fragments = [];
        kept = 0;
      }
      if (end < text.length) {
        fragments.push(text.slice(end));
        kept += text.length - end;
      }
      if (kept > maxLineBytes) frames.push(tooLong(maxLineBytes));
      if (text !== "") isLineEnd = text.endsWith("\n");
      return frames;
    },
    partial: () => kept > 0,
    retry: () => retry,
  };
}
