/**
 * Fields for a JSON Schema: their input becomes a value, and the issues that a server finds in it are shown at their fields.
 *
 * The input is not checked here. The server checks it against the schema, and reports what is wrong.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { button, make } from "./dom.ts";
import { fits, isDictionary, type Resolve, resolved, type Schema, type Shape, shapeOf } from "./schema.ts";

/** A field, with everything that belongs to it. */
export interface Field {
  readonly element: HTMLElement;
  /**
   * Returns the value; `undefined` if there is none.
   *
   * @throws {SyntaxError} if the input has to be JSON and is not; the field shows that
   */
  read(): unknown;
  /** Shows an issue at a place in the value: a path of keys separated by dots, empty for the value itself. */
  fault(path: string, message: string): void;
}

/** What a field is made of. */
interface Making {
  readonly resolve: Resolve;
  /** The field's name. */
  readonly name: string;
  /** The initial value; `undefined` for an empty field. */
  readonly value: unknown;
}

let ids = 0;

/**
 * Makes the field for a schema.
 *
 * @param name its name
 * @param value its initial value; one that does not fit is left out
 */
export function createField(schema: Schema, resolve: Resolve, name: string, value?: unknown): Field {
  const making = { resolve, name, value };
  const shape = shapeOf(schema, resolve);
  switch (shape.kind) {
    case "object":
      return objectField(shape, making);
    case "array":
      return arrayField(shape, making);
    case "union":
      return unionField(shape, making);
    default:
      return simpleField(shape, resolved(schema, resolve), making);
  }
}

/** Makes a field of one input. */
function simpleField(
  shape: Exclude<Shape, { kind: "object" | "array" | "union" }>,
  schema: Schema,
  { name, value }: Making,
): Field {
  const control = controlFor(shape, schema, value);
  const { element: input } = control;
  input.id = `field-${++ids}`;
  const label = make(
    "label",
    { htmlFor: input.id },
    name,
    " ",
    make("small", { textContent: hintOf(shape, schema) }),
  );
  const note = make("p", { className: "fault", id: `${input.id}-fault` });
  const fault = (path: string, message: string) => {
    addLine(note, path === "" ? message : `${path}: ${message}`);
    input.ariaInvalid = "true";
    input.setAttribute("aria-describedby", note.id);
  };
  input.addEventListener("input", () => {
    note.textContent = "";
    input.ariaInvalid = null;
  });
  return {
    element: make("div", { className: "field" }, label, input, note),
    fault,
    read: () => {
      try {
        return control.read();
      } catch (error) {
        fault("", `This is not JSON: ${(error as Error).message}`);
        throw error;
      }
    },
  };
}

/** An input, and the value it gives. */
interface Control {
  readonly element: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
  read(): unknown;
}

function controlFor(
  shape: Exclude<Shape, { kind: "object" | "array" | "union" }>,
  schema: Schema,
  value: unknown,
): Control {
  switch (shape.kind) {
    case "text": {
      const text = typeof value === "string" ? value : "";
      const isOneLine = schema.pattern !== undefined || schema.format !== undefined;
      const element = isOneLine ? make("input", { value: text }) : make("textarea", { value: text, rows: 1 });
      element.spellcheck = false;
      return { element, read: () => element.value };
    }
    case "integer":
    case "number": {
      const element = make("input", {
        value: typeof value === "number" ? `${value}` : "",
        inputMode: shape.kind === "integer" ? "numeric" : "decimal",
      });
      return { element, read: () => numberIn(element.value.trim()) };
    }
    case "boolean": {
      const element = make("input", { type: "checkbox", checked: value === true });
      return { element, read: () => element.checked };
    }
    case "null":
      return choiceOf([null], value);
    case "choice":
      return choiceOf(shape.values, value);
    case "json": {
      const text = value === undefined ? "" : JSON.stringify(value, null, 2);
      const element = make("textarea", { value: text, rows: 2, className: "json", spellcheck: false });
      return { element, read: () => element.value.trim() === "" ? undefined : JSON.parse(element.value) };
    }
  }
}

function choiceOf(values: readonly unknown[], value: unknown): Control {
  const options = values.map((one) =>
    make("option", { textContent: JSON.stringify(one), selected: one === value })
  );
  const element = make("select", {}, ...options);
  return { element, read: () => values[element.selectedIndex] };
}

/** Input that is not a number, or would become another one, goes to the server as text, which reports the issue. */
function numberIn(text: string): unknown {
  if (text === "") return undefined;
  const number = Number(text);
  const isExact = Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return isExact ? number : text;
}

function hintOf({ kind }: Shape, { description, pattern, contentEncoding }: Schema): string {
  if (description !== undefined) return description;
  if (pattern !== undefined) return pattern;
  if (contentEncoding !== undefined) return contentEncoding;
  return kind === "choice" || kind === "null" ? "" : kind === "json" ? "JSON" : kind;
}

/** Makes several fields in a frame, found by their keys. */
function frame(name: string, hint: string) {
  const note = make("p", { className: "fault", id: `field-${++ids}-fault` });
  const legend = make("legend", {}, name, " ", make("small", { textContent: hint }));
  const element = make("fieldset", {}, legend, note);
  element.setAttribute("aria-describedby", note.id);
  element.oninput = () => note.textContent = "";
  return {
    element,
    /** Shows an issue at the field whose key the path begins with, or else here. */
    faultAmong(
      fields: Iterable<readonly [key: string, field: Field | undefined]>,
      path: string,
      message: string,
    ): void {
      for (const [key, field] of fields) {
        if (path === key) return field ? field.fault("", message) : addLine(note, `${key}: ${message}`);
        if (field !== undefined && path.startsWith(`${key}.`)) {
          return field.fault(path.slice(key.length + 1), message);
        }
      }
      addLine(note, path === "" ? message : `${path}: ${message}`);
    },
  };
}

function objectField(
  { properties }: Extract<Shape, { kind: "object" }>,
  { resolve, name, value }: Making,
): Field {
  const given = isDictionary(value) ? value : {};
  const { element, faultAmong } = frame(name, "");
  const named = new Set(properties.map(([key]) => key));
  /** Keeps the keys that the schema does not name. */
  const others = Object.entries(given).filter(([key]) => !named.has(key));
  const fields = properties.map(([key, schema, isRequired]): [key: string, field: Field] => {
    const create = (value: unknown) => createField(schema, resolve, key, value);
    return [key, isRequired ? create(given[key]) : optionalField(key, create, given[key])];
  });
  element.append(...fields.map(([, field]) => field.element));
  return {
    element,
    fault: (path, message) => faultAmong(fields, path, message),
    read: () => {
      const entries = fields.map(([key, field]) => [key, field.read()]);
      return Object.fromEntries([...entries.filter(([, value]) => value !== undefined), ...others]);
    },
  };
}

/** Makes a field that may be absent: a button adds it, another one removes it. */
function optionalField(name: string, create: (value: unknown) => Field, value: unknown): Field {
  const element = make("div", { className: "optional" });
  let field: Field | undefined;

  function add(value: unknown): void {
    field = create(value);
    element.replaceChildren(field.element, button(`Leave out ${name}`, remove));
  }

  function remove(): void {
    field = undefined;
    element.replaceChildren(button(`Add ${name}`, () => {
      add(undefined);
      focusIn(element);
    }));
  }

  if (value === undefined) remove();
  else add(value);
  return {
    element,
    read: () => field?.read(),
    fault: (path, message) => {
      if (field === undefined) add(undefined);
      field!.fault(path, message);
    },
  };
}

function arrayField(
  { items, rest }: Extract<Shape, { kind: "array" }>,
  { resolve, name, value }: Making,
): Field {
  const given: readonly unknown[] = Array.isArray(value) ? value : [];
  const { element, faultAmong } = frame(name, rest === undefined ? "" : "list");
  const first = items.map((schema, i) => createField(schema, resolve, `${i}`, given[i]));
  element.append(...first.map((field) => field.element));
  let others: { readonly field: Field; readonly element: HTMLElement }[] = [];
  const place = make("div", { className: "items" });

  function add(schema: Schema, value?: unknown): void {
    const field = createField(schema, resolve, "item", value);
    const item = { field, element: make("div", { className: "item" }, field.element) };
    item.element.append(button("Remove", () => {
      others = others.filter((one) => one !== item);
      item.element.remove();
      adding?.focus();
    }));
    others.push(item);
    place.append(item.element);
  }

  const adding = rest && button(`Add to ${name}`, () => {
    add(rest);
    focusIn(others.at(-1)!.element);
  });
  if (rest !== undefined) {
    for (const one of given.slice(items.length)) add(rest, one);
    element.append(place, adding!);
  }
  const all = () => [...first, ...others.map(({ field }) => field)];
  return {
    element,
    read: () => all().map((field) => field.read() ?? null),
    fault: (path, message) => faultAmong(all().map((field, i) => [`${i}`, field]), path, message),
  };
}

function unionField(
  { variants }: Extract<Shape, { kind: "union" }>,
  { resolve, name, value }: Making,
): Field {
  const element = make("div", { className: "union" });
  const labels = variants.map((variant, i) => {
    const { title, type } = resolved(variant, resolve);
    const shape = shapeOf(variant, resolve);
    if (title !== undefined) return title;
    return shape.kind === "choice"
      ? shape.values.map((one) => JSON.stringify(one)).join(", ")
      : `${type ?? `variant ${i + 1}`}`;
  });
  const select = make(
    "select",
    { ariaLabel: `${name}: which kind` },
    ...labels.map((label) => make("option", { textContent: label })),
  );
  const isAt = variants.findIndex((variant) => value !== undefined && fits(value, variant, resolve));
  select.selectedIndex = Math.max(0, isAt);
  let field: Field;

  function choose(value?: unknown): void {
    field = createField(variants[select.selectedIndex]!, resolve, name, value);
    element.replaceChildren(select, field.element);
  }

  select.onchange = () => choose();
  choose(isAt < 0 ? undefined : value);
  return { element, read: () => field.read(), fault: (path, message) => field.fault(path, message) };
}

function addLine(note: HTMLElement, line: string): void {
  note.textContent = [note.textContent, line].filter(Boolean).join("\n");
}

/** Removes all issues from the fields in an element. */
export function clearFaults(element: HTMLElement): void {
  for (const note of element.querySelectorAll(".fault")) note.replaceChildren();
  for (const input of element.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** Focuses the first field. */
function focusIn(element: HTMLElement): void {
  element.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
}
