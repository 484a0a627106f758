/**
 * The width of text in a terminal.
 *
 * @module
 */
import stringWidth from "string-width";

/** Latin text with ellipses: each character takes one column, and to look at each of them would take most of the time of `tail`. */
const PLAIN = /^[\x20-\x7e\u00c0-\u024f\u2026]*$/;

/** Returns the number of columns that a text takes. */
export function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}
