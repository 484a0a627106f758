/**
 * Fields made of other fields: objects, arrays, and unions of several schemas.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { button, make } from "./dom.ts";
import { addIssue, type Field, type FieldContext, focusFirst, issueNote, newFieldId } from "./form_field.ts";
import { fits, isDictionary, type Resolve, resolved, type Schema, type Shape, shapeOf } from "./schema.ts";

/** A frame around several fields, with a note for the issues that belong to none of them. */
interface Frame {
  readonly element: HTMLElement;
  /** Shows an issue at the field whose key the path begins with, or else in the note. */
  showIssueAmong(fields: Iterable<readonly [key: string, field: Field]>, path: string, message: string): void;
}

function createFrame(name: string, hint: string): Frame {
  const note = issueNote(newFieldId());
  const legend = make("legend", {}, name, " ", make("small", { textContent: hint }));
  const element = make("fieldset", {}, legend, note);
  element.setAttribute("aria-describedby", note.id);
  element.oninput = () => note.textContent = "";
  return {
    element,
    showIssueAmong: (fields, path, message) => {
      for (const [key, field] of fields) {
        if (path === key) return field.showIssue("", message);
        if (path.startsWith(`${key}.`)) return field.showIssue(path.slice(key.length + 1), message);
      }
      addIssue(note, path, message);
    },
  };
}

/** Makes a field for each property. Keys of the value that the schema does not name are kept. */
export function objectField(
  { properties }: Extract<Shape, { kind: "object" }>,
  { resolve, name, value, createField }: FieldContext,
): Field {
  const given = isDictionary(value) ? value : {};
  const { element, showIssueAmong } = createFrame(name, "");
  const named = new Set(properties.map(([key]) => key));
  const others = Object.entries(given).filter(([key]) => !named.has(key));
  const fields = properties.map(([key, schema, isRequired]): [key: string, field: Field] => {
    const create = (value: unknown) => createField(schema, resolve, key, value);
    return [key, isRequired ? create(given[key]) : optionalField(key, create, given[key])];
  });
  element.append(...fields.map(([, field]) => field.element));
  return {
    element,
    showIssue: (path, message) => showIssueAmong(fields, path, message),
    read: () => {
      const entries = fields.map(([key, field]) => [key, field.read()]);
      return Object.fromEntries([...entries.filter(([, value]) => value !== undefined), ...others]);
    },
  };
}

/** Makes a field that may be absent: one button adds it, another one removes it. */
function optionalField(name: string, create: (value: unknown) => Field, value: unknown): Field {
  const element = make("div", { className: "optional" });
  let field: Field | undefined;

  function add(value: unknown): Field {
    field = create(value);
    element.replaceChildren(field.element, button(`Leave out ${name}`, remove));
    return field;
  }

  function remove(): void {
    field = undefined;
    element.replaceChildren(button(`Add ${name}`, () => {
      add(undefined);
      focusFirst(element);
    }));
  }

  if (value === undefined) remove();
  else add(value);
  return {
    element,
    read: () => field?.read(),
    showIssue: (path, message) => (field ?? add(undefined)).showIssue(path, message),
  };
}

/** The names of the parts of a list that have a schema each and no title. */
const ORDINALS = ["1st", "2nd", "3rd"];

/** Makes a field for each item that has a schema of its own, and buttons that add and remove the others. */
export function arrayField(
  { items, rest }: Extract<Shape, { kind: "array" }>,
  { resolve, name, value, createField }: FieldContext,
): Field {
  const given: readonly unknown[] = Array.isArray(value) ? value : [];
  const { element, showIssueAmong } = createFrame(name, rest === undefined ? "" : "list");
  const first = items.map((schema, i) => {
    const label = resolved(schema, resolve).title ?? `${name}, ${ORDINALS[i] ?? `${i + 1}th`} part`;
    return createField(schema, resolve, label, given[i]);
  });
  element.append(...first.map((field) => field.element));
  let others: { readonly field: Field; readonly element: HTMLElement }[] = [];
  const place = make("div", { className: "items" });

  function add(schema: Schema, value?: unknown): void {
    const label = `${resolved(schema, resolve).title ?? name} ${items.length + others.length + 1}`;
    const field = createField(schema, resolve, label, value);
    const item = { field, element: make("div", { className: "item" }, field.element) };
    const remove = button("Remove", () => {
      others = others.filter((one) => one !== item);
      item.element.remove();
      adding?.focus();
    });
    remove.ariaLabel = `Remove ${label}`;
    item.element.append(remove);
    others.push(item);
    place.append(item.element);
  }

  const adding = rest && button(`Add to ${name}`, () => {
    add(rest);
    focusFirst(others.at(-1)!.element);
  });
  if (rest !== undefined) {
    for (const one of given.slice(items.length)) add(rest, one);
    element.append(place, adding!);
  }
  const all = () => [...first, ...others.map(({ field }) => field)];
  return {
    element,
    read: () => all().map((field) => field.read() ?? null),
    showIssue: (path, message) => showIssueAmong(all().map((field, i) => [`${i}`, field]), path, message),
  };
}

/** Makes a selection among the variants, and the field for the selected one. */
export function unionField(
  { variants }: Extract<Shape, { kind: "union" }>,
  { resolve, name, value, createField }: FieldContext,
): Field {
  const element = make("div", { className: "union" });
  const options = variants.map((variant, i) =>
    make("option", { textContent: variantLabel(variant, i, resolve) })
  );
  const select = make("select", { ariaLabel: `${name}: which kind` }, ...options);
  const fitting = variants.findIndex((variant) => value !== undefined && fits(value, variant, resolve));
  select.selectedIndex = Math.max(0, fitting);
  let field: Field;

  function choose(value?: unknown): void {
    field = createField(variants[select.selectedIndex]!, resolve, name, value);
    element.replaceChildren(select, field.element);
  }

  select.onchange = () => choose();
  choose(fitting < 0 ? undefined : value);
  return { element, read: () => field.read(), showIssue: (path, message) => field.showIssue(path, message) };
}

/** Returns the label of a variant: its title, its values, its type, or else its number. */
function variantLabel(variant: Schema, index: number, resolve: Resolve): string {
  const { title, type } = resolved(variant, resolve);
  const shape = shapeOf(variant, resolve);
  if (title !== undefined) return title;
  return shape.kind === "choice"
    ? shape.values.map((one) => JSON.stringify(one)).join(", ")
    : `${type ?? `variant ${index + 1}`}`;
}
