/**
 * Fields of a form: what all kinds of them have in common, and how issues are shown at them.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { make } from "./dom.ts";
import type { Resolve, Schema } from "./schema.ts";

/** A field: an element, its value, and the issues in that value. */
export interface Field {
  readonly element: HTMLElement;
  /**
   * Returns the value; `undefined` if there is none.
   *
   * @throws {SyntaxError} if the input has to be JSON and is not; the field shows that
   */
  read(): unknown;
  /** Shows an issue at a place in the value: a path of keys separated by dots, empty for the value itself. */
  showIssue(path: string, message: string): void;
}

/** Makes the field for a schema. */
export type CreateField = (schema: Schema, resolve: Resolve, name: string, value?: unknown) => Field;

/** What a field is made from. */
export interface FieldContext {
  readonly resolve: Resolve;
  /** The field's name. */
  readonly name: string;
  /** The initial value; `undefined` for an empty field. */
  readonly value: unknown;
  /** Makes the fields inside it. */
  readonly createField: CreateField;
}

let ids = 0;

/** Returns an id that no other field of the page has. */
export function newFieldId(): string {
  return `field-${++ids}`;
}

/** Makes the note for the issues of a field. */
export function issueNote(fieldId: string): HTMLElement {
  return make("p", { className: "issues", id: `${fieldId}-issues` });
}

/** Adds an issue to a note, in a line of its own. */
export function addIssue(note: HTMLElement, path: string, message: string): void {
  const line = path === "" ? message : `${path}: ${message}`;
  note.textContent = [note.textContent, line].filter(Boolean).join("\n");
}

/** Removes all issues from the fields in an element. */
export function clearIssues(element: HTMLElement): void {
  for (const note of element.querySelectorAll(".issues")) note.replaceChildren();
  for (const input of element.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** Focuses the first field in an element. */
export function focusFirst(element: HTMLElement): void {
  element.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
}
