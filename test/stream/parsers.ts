/**
 * Parsers that accept only what the contract promises, to the byte.
 *
 * @module
 */
import * as assert from "uvu/assert";
import type { Dictionary } from "../support/harness.ts";

/** What a stream may carry. */
export type Item =
  | { readonly is: "event"; readonly event: Dictionary; readonly text: string }
  | { readonly is: "move"; readonly id: string }
  | { readonly is: "heartbeat" };

export type Format = "ndjson" | "sse";
export const FORMATS: readonly Format[] = ["ndjson", "sse"];

export interface Parser {
  /** The items that the bytes complete. */
  push(bytes: Uint8Array): Item[];
  /** What was begun and is not complete. */
  rest(): string;
}

export function parserOf(format: Format): Parser {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const separator = format === "sse" ? "\n\n" : "\n";
  let rest = "";
  let opened = format === "ndjson";
  return {
    push: (bytes) => {
      const blocks = (rest + decoder.decode(bytes, { stream: true })).split(separator);
      rest = blocks.pop()!;
      if (!opened && blocks.length > 0) {
        assert.is(blocks.shift(), "retry: 2000", "a stream of server-sent events opens with its retry");
        opened = true;
      }
      if (format === "ndjson") return blocks.map(ndjsonItem);
      const isFarewell = (block: string) => /^retry: [2-4]\d{3}$/.test(block); // When the channel is closed.
      return blocks.filter((block) => !isFarewell(block)).map(sseItem);
    },
    rest: () => rest,
  };
}

function ndjsonItem(line: string): Item {
  return line === "" ? { is: "heartbeat" } : { is: "event", event: JSON.parse(line), text: line };
}

function sseItem(block: string): Item {
  if (block === ":") return { is: "heartbeat" };
  const [, id, , type, text] = /^id: (.+)(\nevent: (.+)\ndata: (.+))?$/.exec(block) ?? [];
  if (id === undefined) throw new Error(`no block of server-sent events: ${JSON.stringify(block)}`);
  if (text === undefined) return { is: "move", id };
  const event = JSON.parse(text);
  assert.is(event.id, id, "the id of the block is that of its dictionary");
  assert.is(event.type, type, "the name of the block is the type in its dictionary");
  return { is: "event", event, text };
}
