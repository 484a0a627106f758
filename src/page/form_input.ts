/**
 * Fields of one input: text, numbers, checkboxes, choices and JSON.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { make } from "./dom.ts";
import { addIssue, type Field, type FieldContext, issueNote, newFieldId } from "./form_field.ts";
import type { Schema, Shape } from "./schema.ts";

/** The shapes that have one input. */
export type InputShape = Exclude<Shape, { kind: "object" | "array" | "union" }>;

/** An input, and its value. */
interface Control {
  readonly element: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
  read(): unknown;
}

/** Makes a field of one input. */
export function inputField(
  shape: InputShape,
  schema: Schema,
  { name, value }: Pick<FieldContext, "name" | "value">,
): Field {
  const control = createControl(shape, schema, value);
  const { element: input } = control;
  input.id = newFieldId();
  const hint = make("small", { textContent: hintOf(shape, schema) });
  const label = make("label", { htmlFor: input.id }, name, " ", hint);
  const note = issueNote(input.id);
  const showIssue = (path: string, message: string) => {
    addIssue(note, path, message);
    input.ariaInvalid = "true";
    input.setAttribute("aria-describedby", note.id);
  };
  input.addEventListener("input", () => {
    note.textContent = "";
    input.ariaInvalid = null;
  });
  return {
    element: make("div", { className: "field" }, label, input, note),
    showIssue,
    read: () => {
      try {
        return control.read();
      } catch (error) {
        showIssue("", `This is not JSON: ${(error as Error).message}`);
        throw error;
      }
    },
  };
}

function createControl(shape: InputShape, schema: Schema, value: unknown): Control {
  switch (shape.kind) {
    case "text":
      return textControl(schema, value);
    case "integer":
    case "number":
      return numberControl(shape.kind, value);
    case "boolean":
      return checkboxControl(value);
    case "null":
      return choiceControl([null], value);
    case "choice":
      return choiceControl(shape.values, value);
    case "json":
      return jsonControl(value);
  }
}

/**
 * Makes an input of one line if the schema has a pattern or a format, or else of as many as the text has. A blank text is one
 * if it was given or typed; a field that was left alone has no value.
 */
function textControl({ pattern, format }: Schema, value: unknown): Control {
  const text = typeof value === "string" ? value : "";
  const isOneLine = pattern !== undefined || format !== undefined;
  const element = isOneLine ? make("input", { value: text }) : make("textarea", { value: text, rows: 1 });
  element.spellcheck = false;
  let isTouched = typeof value === "string";
  element.addEventListener("input", () => isTouched = true);
  return { element, read: () => isTouched || element.value !== "" ? element.value : undefined };
}

function numberControl(kind: "integer" | "number", value: unknown): Control {
  const element = make("input", {
    value: typeof value === "number" ? `${value}` : "",
    inputMode: kind === "integer" ? "numeric" : "decimal",
  });
  return { element, read: () => numberIn(element.value.trim()) };
}

/** Returns the number in the text. Any other text, and a number that a double would change, is left for the server to reject. */
function numberIn(text: string): unknown {
  if (text === "") return undefined;
  const number = Number(text);
  const isExact = Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return isExact ? number : text;
}

function checkboxControl(value: unknown): Control {
  const element = make("input", { type: "checkbox", checked: value === true });
  return { element, read: () => element.checked };
}

function choiceControl(values: readonly unknown[], value: unknown): Control {
  const options = values.map((one) =>
    make("option", { textContent: JSON.stringify(one), selected: one === value })
  );
  const element = make("select", {}, ...options);
  return { element, read: () => values[element.selectedIndex] };
}

function jsonControl(value: unknown): Control {
  const text = value === undefined ? "" : JSON.stringify(value, null, 2);
  const element = make("textarea", { value: text, rows: 2, className: "json", spellcheck: false });
  return { element, read: () => element.value.trim() === "" ? undefined : JSON.parse(element.value) };
}

const HINTS: Readonly<Record<InputShape["kind"], string>> = {
  text: "text",
  integer: "whole number",
  number: "number",
  boolean: "yes or no",
  choice: "",
  null: "",
  json: "JSON",
};

/** Returns what is shown beside the name of a field. */
function hintOf({ kind }: InputShape, { description, pattern, contentEncoding }: Schema): string {
  if (description !== undefined) return description;
  if (pattern !== undefined) return pattern === "^[0-9a-f]*$" ? "digits 0 to 9 and letters a to f" : pattern;
  if (contentEncoding !== undefined) return contentEncoding;
  return HINTS[kind];
}
