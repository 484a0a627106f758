/**
 * Reads lines from a byte stream, in the portions in which they arrive.
 *
 * @module
 */

/** A line that is not empty. */
export interface Line {
  /** Its number in the stream, from 1. */
  readonly number: number;
  /** Its text, without the line end. */
  readonly text: string;
}

/** Maximum number of characters in a line. */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;
/**
 * Maximum number of characters in a portion of more than one line. A server accepts 10 000 events and 1 MiB in a request
 * by default; this stays below both, with the shortest events and with characters of 4 bytes. One read of Bun has far more.
 */
const MAX_PORTION_CHARACTERS = 100_000;

/**
 * Reads the lines of a stream. A portion holds the lines of one read, or a part of them if there are many. The last line
 * needs no line end. Nothing is read while the caller works on a portion, so the next read is larger.
 *
 * @throws {Error} if a line is too long or not UTF-8; the lines before it have been delivered
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true }); // It drops a byte order mark at the start.
  let number = 0;
  /** The pieces of an unfinished line, joined once its end arrives: appending to one string would be quadratic. */
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
      if (length > MAX_LINE_CHARACTERS) {
        throw new Error(`line ${number + 1} is longer than ${MAX_LINE_CHARACTERS} characters`);
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
    if (portion.length > 0 && length + line.text.length > MAX_PORTION_CHARACTERS) {
      yield portion;
      portion = [];
      length = 0;
    }
    portion.push(line);
    length += line.text.length + 1;
  }
  if (portion.length > 0) yield portion;
}
