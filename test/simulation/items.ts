/**
 * A plain reader of both wire formats, written without the code under test.
 *
 * @module
 */
import type { Item } from "./account.ts";

export interface ItemParser {
  /** Returns the items that end in these bytes. */
  push(bytes: Uint8Array): Item[];
  /** What has arrived of the next one. */
  rest(): string;
}

export function createItemParser(isSse: boolean): ItemParser {
  const decoder = new TextDecoder();
  const end = isSse ? "\n\n" : "\n";
  let text = "";
  return {
    push: (bytes) => {
      text += decoder.decode(bytes, { stream: true });
      const parts = text.split(end);
      text = parts.pop()!;
      return parts.map(isSse ? readBlock : readLine).filter((item) => item !== undefined);
    },
    // Comments and `retry` end with one line end.
    rest: () => isSse && /^(?:(?::|retry:).*\n)*$/.test(text) ? "" : text,
  };
}

function readLine(line: string): Item | undefined {
  return line === "" ? undefined : JSON.parse(line);
}

function readBlock(block: string): Item | undefined {
  const fields = new Map(
    block.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    }),
  );
  const [data, id] = [fields.get("data"), fields.get("id")];
  if (data === undefined) return id === undefined ? undefined : { id };
  const item: Item = JSON.parse(data);
  if (item.id !== id || item.type !== fields.get("event")) {
    throw new Error(`fields and data differ: ${block}`);
  }
  return item;
}
