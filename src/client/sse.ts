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

/** The block that has begun: its text in the pieces in which it arrived, without comment lines. */
class Begun {
  /** The number of its characters. */
  length = 0;
  /** Whether what has arrived ends with a line. */
  isLineEnd = true;
  #fragments: string[] = [];
  /** Whether a comment line has begun that has not ended. */
  #isInComment = false;

  /** Returns the text that has just arrived, without the rest of a comment line. */
  afterComment(text: string): string {
    const end = text.indexOf("\n");
    if (!this.#isInComment || end === -1) return this.#isInComment ? "" : text;
    this.#isInComment = false;
    this.isLineEnd = true;
    return text.slice(end + 1);
  }

  /** Adds text without the end of a block. */
  add(text: string, isLineStart: boolean): void {
    const lines = isLineStart ? `\n${text}` : text;
    if (lines.includes("\n:")) {
      const rest = lines.replaceAll(COMMENT, "");
      this.#isInComment = !lines.endsWith("\n") && lines.startsWith(":", lines.lastIndexOf("\n") + 1);
      text = isLineStart ? rest.slice(1) : rest;
    }
    if (text === "") return;
    this.#fragments.push(text);
    this.length += text.length;
  }

  /** Returns its text, and begins another one. */
  take(): string {
    const text = this.text();
    this.#fragments = [];
    this.length = 0;
    return text;
  }

  text(): string {
    return this.#fragments.join("");
  }
}

/** Makes a function that returns text with `\n` as its only line end, and without a byte order mark at its start. */
function createNormalizer(): (text: string) => string {
  let wasReturn = false;
  let isStart = true;
  return (text) => {
    if (isStart && text !== "") {
      isStart = false;
      if (text.startsWith("\ufeff")) text = text.slice(1);
    }
    // A `\r` at its end counts; a `\n` that begins the next text belongs to it.
    const rest = wasReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") wasReturn = text.endsWith("\r");
    return rest.includes("\r") ? rest.replaceAll(/\r\n?/g, "\n") : rest;
  };
}

/** Returns where the next field `data` begins, with the line end before it, and not one whose name begins so; -1 if none does. */
function indexOfData(text: string, from: number): number {
  let at = text.indexOf("\ndata", from);
  while (at !== -1 && text[at + 5] !== ":" && text[at + 5] !== "\n") at = text.indexOf("\ndata", at + 5);
  return at;
}

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
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // Else Deno 2.9 drops every mark that arrives in pieces.
  let frames: Frame[] = [];
  let retry = 0;
  const normalized = createNormalizer();
  const begun = new Begun();
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      if (data !== "" || id !== undefined) frames.push(new SseBlock(event, id, data));
    },
    onRetry: (milliseconds) => retry = milliseconds / 1000,
  });

  /** Parses whole blocks; there is a `\n` before the first one, as there is before each of the others. */
  function parse(blocks: string): void {
    let text = "";
    let from = 0;
    let data = indexOfData(blocks, 0);
    for (let at = 0, end; (end = blocks.indexOf("\n\n", at)) !== -1; at = end + 1) {
      if (end - at > maxLineBytes) {
        parser.feed(text + blocks.slice(from, at + 1));
        frames.push(tooLong(maxLineBytes)); // It is the last frame.
        return;
      }
      if (data < at && data !== -1) data = indexOfData(blocks, at);
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
      const text = begun.afterComment(normalized(decoder.decode(chunk, { stream: true })));
      if (text === "") return frames;
      const last = text.lastIndexOf("\n\n");
      // Of the two line ends after a block the first may have arrived earlier.
      const end = last !== -1 ? last + 2 : begun.isLineEnd && text.startsWith("\n") ? 1 : 0;
      if (end > 0) {
        parse(`\n${begun.take()}${text.slice(0, end)}`);
      }
      if (end < text.length) begun.add(text.slice(end), end > 0 || begun.isLineEnd);
      if (begun.length > maxLineBytes) frames.push(tooLong(maxLineBytes));
      begun.isLineEnd = text.endsWith("\n");
      return frames;
    },
    rest: () => {
      const text = begun.text();
      return UNFINISHED.test(text) ? text : "";
    },
    // A line of it counts as soon as it has arrived, even if its block never ends (9.2.6).
    retry: () => {
      const last = [...`\n${begun.text()}`.matchAll(RETRY)].at(-1);
      return last === undefined ? retry : Number(last[1]) / 1000;
    },
  };
}
