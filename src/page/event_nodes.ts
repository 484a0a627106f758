/**
 * Events as elements of the page.
 *
 * @module
 */
/// <reference lib="dom" />
import { make } from "./dom.ts";
import type { EventRecord } from "./records.ts";
import { shortened, textParts } from "./row_text.ts";

/** Writes a type, which may break between its words, and nowhere else. */
export function typeNodes(type: string): (Node | string)[] {
  return type.split(/(?<=[_.:/-])/).flatMap((word) => [word, make("wbr")]);
}

/** Writes what a record says. Its parts are isolated: text from right to left leaves the rest of the row alone. */
export function summaryNodes({ json }: EventRecord): Node[] {
  return textParts(JSON.parse(json)).map(({ kind, text }) => {
    const part = make("bdi", { textContent: text });
    if (kind !== "text") part.className = kind;
    return part;
  });
}

/** Writes the subject of a record, which follows the subject on a click; nothing if it has none. */
export function subjectNodes({ subject }: EventRecord): (Node | string)[] {
  if (subject === undefined) return [];
  const textContent = shortened(subject);
  return [" ", make("bdi", { className: "subject", textContent, title: `Follow ${subject}` })];
}
