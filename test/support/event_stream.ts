/**
 * The algorithm by which the standard reads an event stream (WHATWG HTML, 9.2.6), written as plainly as it stands there: slow,
 * and without any of the shortcuts of what is tested against it.
 *
 * @module
 */

/** What a blank line ends. */
export interface StandardBlock {
  /** The event type; `undefined` if there is none, and a browser dispatches `message`. */
  readonly event: string | undefined;
  /** The value of the last `id` in it that counts; `undefined` if it has none, and the one before it persists. */
  readonly id: string | undefined;
  /** The data; `undefined` if it has none, and nothing is dispatched. */
  readonly data: string | undefined;
}

/** What a whole stream is. */
export interface StandardStream {
  readonly blocks: readonly StandardBlock[];
  /** The last valid `retry` in milliseconds; 0 if there was none. */
  readonly retry: number;
  /** The last event ID after all blocks. */
  readonly lastEventId: string;
}

/** Reads a whole stream. What follows its last blank line is discarded, but for `retry`. */
export function readEventStream(bytes: Uint8Array): StandardStream {
  const blocks: StandardBlock[] = [];
  let [retry, lastEventId] = [0, ""];
  let event: string | undefined;
  let id: string | undefined;
  let data: string | undefined;
  for (const line of linesOf(new TextDecoder().decode(bytes))) { // UTF-8 decode drops one byte order mark.
    if (line === "") {
      lastEventId = id ?? lastEventId;
      // The line feed after its last line is no part of the data.
      blocks.push({ event: event || undefined, id, data: data?.slice(0, -1) });
      event = id = data = undefined;
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) continue; // A comment.
    const field = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "event") event = value;
    else if (field === "data") data = `${data ?? ""}${value}\n`;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) retry = Number(value);
  }
  return { blocks, retry, lastEventId };
}

/** The lines that have ended: by LF, CR, or both together. */
function linesOf(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== "\n" && text[at] !== "\r") {
      line += text[at];
      continue;
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    lines.push(line);
    line = "";
  }
  return lines;
}
