/**
 * Events as elements of the page.
 *
 * @module
 */
/// <reference lib="dom" />
import { make } from "./dom.ts";
import type { EventRecord } from "./records.ts";
import { shortened, textParts } from "./row_text.ts";

/** The letters of scripts that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Writes a type, which may break between its words, and nowhere else. */
export function typeNodes(type: string): (Node | string)[] {
  return type.split(/(?<=[_.:/-])/).flatMap((word) => [word, make("wbr")]);
}

/** Writes a type in one line. Where that is too narrow, its middle is cut out: types differ at both ends. */
export function typeLine(type: string): Node[] {
  const ends = RIGHT_TO_LEFT.test(type) ? undefined : /^(.{8,})(.{12})$/su.exec(type)?.slice(1);
  return (ends ?? [type]).map((textContent) => make("bdi", { textContent }));
}

/**
 * Keeps parts in one line. Where that is too narrow, a text from right to left has to be cut in a box of its own: in the line
 * of a text from left to right, its beginning would be cut off.
 */
export function inOneLine(parts: readonly Node[]): readonly Node[] {
  if (!parts.some(({ textContent }) => RIGHT_TO_LEFT.test(textContent!))) return parts;
  return parts.reduceRight<Node[]>((rest, part) => [make("span", { className: "parts" }, part, ...rest)], []);
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
export function subjectNodes({ subject }: EventRecord): Node[] {
  if (subject === undefined) return [];
  const textContent = shortened(subject);
  return [new Text(" "), make("bdi", { className: "subject", textContent, title: `Follow ${subject}` })];
}
