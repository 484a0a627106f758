/**
 * A plain reader of both wire formats, written without the code under test.
 *
 * @module
 */
import type { Item } from "./account.ts";
import type { DialectName } from "./plan.ts";

export interface ItemParser {
  /** Returns the items that end in these bytes. */
  push(bytes: Uint8Array): Item[];
  /** What has arrived of the next one. */
  rest(): string;
}

/** Whether a dialect has neither cursors nor `events_lost`. */
export function isBlind(dialect: DialectName): boolean {
  return dialect === "7.5" || dialect === "7.12";
}

/** Makes a parser of NDJSON or server-sent events, as a dialect writes them. */
export function createItemParser(isSse: boolean, dialect: DialectName): ItemParser {
  const readBlock = BLOCKS[dialect];
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

/** Reads the events of a dialect. */
const BLOCKS: Readonly<Record<DialectName, (block: string) => Item | undefined>> = {
  "7.1": (block) => {
    const { data, id, event } = fieldsOf(block);
    if (data === undefined) return id === undefined ? undefined : { id };
    const item: Item = JSON.parse(data);
    if (item.id !== id || item.type !== event) throw new Error(`fields and data differ: ${block}`);
    return item;
  },
  "7.4": () => undefined,
  "7.5": (block) => ({ ...JSON.parse(fieldsOf(block).data!), id: undefined, isBare: true }),
  "7.12": (block) => {
    const { topic, kwargs } = JSON.parse(fieldsOf(block).data!);
    return { type: topic, event: kwargs, id: undefined, isBare: true };
  },
  "8": (block) => {
    const { data, id, event } = fieldsOf(block);
    if (data === undefined) return id === undefined ? undefined : { id };
    return { type: event!, event: JSON.parse(data), id, isBare: true };
  },
};

function fieldsOf(block: string): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    block.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    }),
  );
}
