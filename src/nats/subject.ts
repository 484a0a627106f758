/**
 * Subjects: under which name an event of a type stands in the stream.
 *
 * @module
 */
import { isTypeName } from "../events/catalogue.ts";

/** The subjects of a channel's events. */
export interface Subjects {
  /** The subject of a type of the catalogue. */
  subjectOf(type: string): string;
  /** The type that a subject stands for, of whatever catalogue; `undefined` where it stands for none. */
  typeOf(subject: string): string | undefined;
}

/** Makes the subjects of a catalogue's types, all with the same prefix, once: every event has one. */
export function createSubjects(prefix: string, types: readonly string[]): Subjects {
  const subjects = new Map(types.map((type) => [type, `${prefix}.${tokenOf(type)}`]));
  const known = new Map([...subjects].map(([type, subject]) => [subject, type]));
  return {
    subjectOf: (type) => subjects.get(type)!,
    typeOf: (subject) => known.get(subject) ?? typeOf(subject.slice(prefix.length + 1)),
  };
}

/**
 * The token of a type: its letters, digits, `_` and `-` as they are, all else as `%2E`, since `.`, `*`, `>` and spaces
 * mean something in a subject (NATS, Subject-Based Messaging).
 */
function tokenOf(type: string): string {
  return type.replace(/[^\w-]/gu, (char) => encodeURIComponent(char).replace(/^[^%]/, escapeAscii));
}

/** The type that a token stands for; `undefined` where {@linkcode tokenOf} makes no such token. */
function typeOf(token: string): string | undefined {
  try {
    const type = decodeURIComponent(token);
    return isTypeName(type) && tokenOf(type) === token ? type : undefined;
  } catch {
    return undefined; // A `%` that begins no character.
  }
}

/** What `encodeURIComponent` leaves as it is. */
function escapeAscii(char: string): string {
  return "%" + char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
}
