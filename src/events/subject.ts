/**
 * Subjects: what an event is about, such as one order, and the patterns that select events by it.
 *
 * @module
 */

/** What a subject is, in words. */
export const SUBJECT_TEXT = "1 to 256 characters without white space and controls";

const VISIBLE_ASCII = /^[!-~]{1,256}$/;
const SUBJECT = /^[^\s\p{Cc}\p{Cs}]{1,256}$/u;

/** Whether a value is a subject. */
export function isSubject(value: unknown): value is string {
  return typeof value === "string" && (VISIBLE_ASCII.test(value) || SUBJECT.test(value));
}

/**
 * Makes a function that matches subjects. A pattern is a subject; `*` at its end matches a prefix. An event without a subject
 * matches none.
 */
export function subjectMatcher(patterns: readonly string[]): (subject: string | undefined) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (subject) => {
    if (subject === undefined) return false;
    return exact.has(subject) || prefixes.some((prefix) => subject.startsWith(prefix));
  };
}
