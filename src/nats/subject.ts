/**
 * Subjects: the names under which the stream stores events of a type.
 *
 * @module
 */
import { isTypeName } from "../events/catalogue.ts";

/** The subjects of a channel's events. */
export interface Subjects {
  /** Returns the subject of a type. */
  subjectOf(type: string): string;
  /** Returns the type of a subject, which another catalogue may have; `undefined` if it is the subject of no type. */
  typeOf(subject: string): string | undefined;
}

/** Makes the subjects of a catalogue's types in advance, because every event needs one. */
export function createSubjects(prefix: string, types: readonly string[]): Subjects {
  const subjects = new Map(types.map((type) => [type, `${prefix}.${tokenOf(type)}`]));
  const typesBySubject = new Map([...subjects].map(([type, subject]) => [subject, type]));
  return {
    // A catalogue may be open, or have got more types since.
    subjectOf: (type) => subjects.get(type) ?? `${prefix}.${tokenOf(type)}`,
    typeOf: (subject) => typesBySubject.get(subject) ?? typeOf(subject.slice(prefix.length + 1)),
  };
}

/**
 * Returns the token of a type: letters, digits, `_` and `-` are kept, other characters become `%2E`, because `.`, `*`, `>` and
 * spaces have a meaning in subjects (NATS, Subject-Based Messaging).
 */
function tokenOf(type: string): string {
  return type.replace(/[^\w-]/gu, (char) => encodeURIComponent(char).replace(/^[^%]/, escapeAscii));
}

/** Returns the type of a token; `undefined` if {@linkcode tokenOf} never returns that token. */
function typeOf(token: string): string | undefined {
  try {
    const type = decodeURIComponent(token);
    return isTypeName(type) && tokenOf(type) === token ? type : undefined;
  } catch {
    return undefined; // A `%` without a character.
  }
}

/** Escapes a character that `encodeURIComponent` keeps. */
function escapeAscii(char: string): string {
  return "%" + char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
}
