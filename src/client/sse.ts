/**
 * From the bytes of an event stream (WHATWG HTML 9.2) to its blocks: `eventsource-parser`, and the blocks without data,
 * which a resuming reader needs too.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import type { EventsError } from "../events/errors.ts";
import { SseBlock } from "./block.ts";
import type { Decoder, Frame } from "./frame.ts";

export { parseExactly } from "../events/json_text.ts";

/** A comment line with the line end before it. */
const COMMENT = /(?<=\n):[^\n]*(?:\n|$)/g;
/** A whole line that asks for a delay, with the line end before it. */
const RETRY = /(?<=\n)retry: ?(\d+)\n/g;
/** What is more than whole lines that dispatch nothing and move no cursor. */
const UNFINISHED = /[^\n]$|(?:^|\n)(?:data|event|id)[:\n]/;

/**
 * Makes a decoder of SSE.
 *
 * A block that has an `id` and no data moves the cursor and dispatches nothing (9.2.6), so the parser does not report it.
 * To have it reported, an empty line of data is added to every block that has none.
 *
 * Comment lines between blocks are dropped when they arrive: a stream that is silent for days has many.
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
  /** Whether a comment line has begun that has not ended. */
  let isInComment = false;
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      if (data !== "" || id !== undefined) frames.push(new SseBlock(event, id, data));
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

  /** Returns the text after the comment line that has begun in an earlier one. */
  function afterComment(text: string): string {
    const end = text.indexOf("\n");
    if (!isInComment || end === -1) return isInComment ? "" : text;
    isInComment = false;
    isLineEnd = true;
    return text.slice(end + 1);
  }

  /** Keeps the beginning of a block, without comment lines. */
  function keep(text: string, isLineStart: boolean): void {
    const lines = isLineStart ? `\n${text}` : text;
    if (lines.includes("\n:")) {
      const rest = lines.replaceAll(COMMENT, "");
      isInComment = !lines.endsWith("\n") && lines.startsWith(":", lines.lastIndexOf("\n") + 1);
      text = isLineStart ? rest.slice(1) : rest;
    }
    if (text === "") return;
    fragments.push(text);
    kept += text.length;
  }

  return {
    push: (chunk) => {
      frames = [];
      const text = afterComment(normalized(decoder.decode(chunk, { stream: true })));
      if (text === "") return frames;
      const last = text.lastIndexOf("\n\n");
      // Of the two line ends after a block the first may have arrived earlier.
      const end = last !== -1 ? last + 2 : isLineEnd && text.startsWith("\n") ? 1 : 0;
      if (end > 0) {
        parse(["\n", ...fragments, text.slice(0, end)].join(""));
        fragments = [];
        kept = 0;
      }
      if (end < text.length) keep(text.slice(end), end > 0 || isLineEnd);
      if (kept > maxLineBytes) frames.push(tooLong(maxLineBytes));
      isLineEnd = text.endsWith("\n");
      return frames;
    },
    rest: () => {
      const text = fragments.join("");
      return UNFINISHED.test(text) ? text : "";
    },
    // A line of it counts as soon as it has arrived, even if its block never ends (9.2.6).
    retry: () => {
      const last = [...`\n${fragments.join("")}`.matchAll(RETRY)].at(-1);
      return last === undefined ? retry : Number(last[1]) / 1000;
    },
  };
}
