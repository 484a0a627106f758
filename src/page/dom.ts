/**
 * Finds elements, and makes them.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** Finds the element of the page with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element "${id}"`);
  return element as E;
}

/** Makes an element. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Partial<HTMLElementTagNameMap[Tag]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Makes a button, which never submits a form that it stands in. */
export function button(textContent: string, onclick: () => void): HTMLButtonElement {
  return make("button", { type: "button", textContent, onclick });
}

/** Sets the text if it differs: screen readers would read unchanged text again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
