/**
 * Subjects: under which name an event of a type stands in the stream.
 *
 * @module
 */

/**
 * The token of a type: its letters, digits, `_` and `-` as they are, all else as `%2E`, since `.`, `*`, `>` and spaces
 * mean something in a subject (NATS, Subject-Based Messaging).
 */
export function tokenOf(type: string): string {
  return type.replace(/[^\w-]/gu, (char) => encodeURIComponent(char).replace(/^[^%]/, escapeAscii));
}

/** The type that a token stands for; `undefined` where {@linkcode tokenOf} makes no such token. */
export function typeOf(token: string): string | undefined {
  try {
    const type = decodeURIComponent(token);
    return tokenOf(type) === token ? type : undefined;
  } catch {
    return undefined; // A `%` that begins no character.
  }
}

/** What `encodeURIComponent` leaves as it is. */
function escapeAscii(char: string): string {
  return "%" + char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
}
