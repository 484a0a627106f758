/**
 * Lines of a byte stream, in the portions in which they come.
 *
 * @module
 */

/** A line that is not empty. */
export interface Line {
  /** Its number in the stream, from 1. */
  readonly number: number;
  /** It, without its end. */
  readonly text: string;
}

/** A line holds no more bytes than this. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
/**
 * A portion of more than one line holds no more characters than this: of the shortest events fewer than 10 000, and of
 * the longest characters less than 1 MiB, which is what a server takes at once. Bun reads far more at a time.
 */
const MAX_PORTION = 100_000;

/**
 * The lines of a stream; a portion is what one read brought, or a part of it where that is much, and the last may
 * end without a line end. Nothing more is read while a portion is dealt with, so what comes meanwhile makes the next
 * one larger.
 *
 * @throws {Error} if a line is too long or not UTF-8; the lines before it have been delivered
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true }); // It drops a byte order mark at the start.
  let number = 0;
  /** The beginning of a line, in pieces: joined once its end has come. */
  let begun: string[] = [];
  let length = 0;

  function decode(bytes?: Uint8Array): string {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new Error(`what follows line ${number} is not UTF-8`, { cause });
    }
  }

  function take(text: string): Line[] {
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0) {
      begun.push(text);
      length += text.length;
      if (length > MAX_LINE_BYTES) {
        throw new Error(`line ${number + 1} is longer than ${MAX_LINE_BYTES} bytes`);
      }
      return [];
    }
    const lines = (begun.join("") + text.slice(0, end - 1)).split("\n").map((text) => ({
      number: ++number,
      text,
    }));
    begun = [text.slice(end)];
    length = begun[0]!.length;
    return lines.filter(({ text }) => text.trim() !== "");
  }

  for await (const bytes of stream) {
    const lines = take(decode(bytes));
    yield* portionsOf(lines);
  }
  yield* portionsOf(take(`${decode()}\n`));
}

function* portionsOf(lines: readonly Line[]): Generator<readonly Line[]> {
  let portion: Line[] = [];
  let length = 0;
  for (const line of lines) {
    if (portion.length > 0 && length + line.text.length > MAX_PORTION) {
      yield portion;
      portion = [];
      length = 0;
    }
    portion.push(line);
    length += line.text.length + 1;
  }
  if (portion.length > 0) yield portion;
}
