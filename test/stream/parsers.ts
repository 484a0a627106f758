/**
 * Parsers that accept only what the protocol promises, to the byte.
 *
 * @module
 */
import * as assert from "uvu/assert";
import type { Dictionary } from "../support/harness.ts";

/** An item of a stream. */
export type Item =
  | { readonly is: "event"; readonly event: Dictionary; readonly text: string }
  | { readonly is: "move"; readonly id: string }
  | { readonly is: "heartbeat" };

export type Format = "ndjson" | "sse";
export const FORMATS: readonly Format[] = ["ndjson", "sse"];

export interface Parser {
  /** Returns the items that the bytes complete. */
  push(bytes: Uint8Array): Item[];
  /** Returns the text that has begun and is not complete. */
  rest(): string;
}

export function parserOf(format: Format): Parser {
  return format === "ndjson" ? ndjsonParser() : sseParser();
}

function ndjsonParser(): Parser {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = "";
  return {
    push: (bytes) => {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      return lines.map(ndjsonItem);
    },
    rest: () => rest,
  };
}

/** Lines that belong to no event: a heartbeat, and the delay before a reconnect when the channel is closed. */
const BETWEEN_BLOCKS = /^(?::|retry: [2-4]\d{3})\n/;

function sseParser(): Parser {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const opening = "retry: 2000\n";
  let rest = "";
  let isOpen = false;
  return {
    push: (bytes) => {
      rest += decoder.decode(bytes, { stream: true });
      if (!isOpen) {
        if (rest.length < opening.length) return [];
        assert.ok(rest.startsWith(opening), "a stream of server-sent events opens with its retry");
        rest = rest.slice(opening.length);
        isOpen = true;
      }
      const items: Item[] = [];
      for (;;) {
        const between = BETWEEN_BLOCKS.exec(rest)?.[0];
        const end = rest.indexOf("\n\n");
        if (between === ":\n") items.push({ is: "heartbeat" });
        else if (between === undefined && end === -1) return items;
        else if (between === undefined) items.push(sseItem(rest.slice(0, end)));
        rest = rest.slice(between?.length ?? end + 2);
      }
    },
    rest: () => rest,
  };
}

function ndjsonItem(line: string): Item {
  return line === "" ? { is: "heartbeat" } : { is: "event", event: JSON.parse(line), text: line };
}

function sseItem(block: string): Item {
  const [, , type, text, id] = /^(event: (.+)\ndata: (.+)\n)?id: (.+)$/.exec(block) ?? [];
  if (id === undefined) throw new Error(`no block of server-sent events: ${JSON.stringify(block)}`);
  if (text === undefined) return { is: "move", id };
  const event = JSON.parse(text);
  assert.is(event.id, id, "the id of the block is that of its dictionary");
  assert.is(event.type, type, "the name of the block is the type in its dictionary");
  return { is: "event", event, text };
}
