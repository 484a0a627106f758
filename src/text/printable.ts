/**
 * Makes text from elsewhere safe to show: a payload must not move the cursor of a terminal, clear its screen, or change the
 * direction of the text beside it.
 *
 * @module
 */

/** Control characters (C0, DEL, C1), Unicode line ends, and characters that change the direction of writing. */
// deno-lint-ignore no-control-regex
const UNFIT = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Returns the text in one line: each run of tabs and line ends becomes a space, and control characters are escaped. */
export function printable(text: string): string {
  return oneLine(text).replaceAll(UNFIT, escapeOf);
}

/** Replaces each run of tabs and line ends by a space. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\t\n\v\f\r\x85\u2028\u2029]+/g, " ");
}

/** Returns the value as one line of JSON, in which these characters are escaped; it parses to the same value. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replaceAll(UNFIT, escapeOf);
}

/** Replaces the line ends in a JSON text, which are only white space there, by spaces. */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, " ");
}

/** Returns a JSON text in one line with every such character escaped, which is the same JSON. */
export function jsonTextLine(text: string): string {
  // White space stands between values only, where an escape would be a fault.
  return text.replaceAll(/[\t\r\n]/g, " ").replaceAll(UNFIT, escapeOf);
}

function escapeOf(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
