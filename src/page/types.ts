/**
 * The types that were seen, each with its count: a button that shows only this type, and others chosen so.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, make, setText } from "./dom.ts";
import type { EventRecord } from "./records.ts";

/** The list of types. */
export interface Types {
  /** Those that were chosen; none: all. */
  readonly chosen: ReadonlySet<string>;
  count(record: EventRecord): void;
  /** Shows the counts as they are now. */
  draw(): void;
  /** Forgets the counts. What was chosen stays. */
  clear(): void;
}

/** A type on the page. */
interface Entry {
  readonly item: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly figure: HTMLElement;
  count: number;
}

/** So many types are listed. A server has far fewer, but it may be one that somebody has made to have more. */
const MAX_TYPES = 500;

/** Makes the list in its place on the page. */
export function createTypes(onChange: () => void): Types {
  const list = byId("type-list");
  const all = byId<HTMLButtonElement>("all-types");
  const chosen = new Set<string>();
  const entries = new Map<string, Entry>();

  function change(): void {
    for (const [type, { button }] of entries) button.ariaPressed = `${chosen.has(type)}`;
    all.hidden = chosen.size === 0;
    setText(byId("types-chosen"), chosen.size === 0 ? "" : `${chosen.size} chosen`);
    onChange();
  }

  function add({ type, kind }: EventRecord): Entry | undefined {
    if (entries.size === MAX_TYPES) return undefined;
    const figure = make("b");
    const button = make(
      "button",
      { type: "button", ariaPressed: `${chosen.has(type)}` },
      make("span", { className: "dot" }),
      make("span", { className: "name", textContent: type }),
      figure,
    );
    button.onclick = () => {
      if (!chosen.delete(type)) chosen.add(type);
      change();
    };
    const item = make("li", {}, button);
    item.dataset["kind"] = kind;
    const entry = { item, button, figure, count: 0 };
    entries.set(type, entry);
    // In the order of the alphabet, so that types of one kind are together and none moves because of its count.
    const next = [...entries].filter(([other]) => other > type).sort(([a], [b]) => a < b ? -1 : 1)[0];
    list.insertBefore(item, next?.[1].item ?? null);
    return entry;
  }

  // Where there is little room it is for the events.
  if (matchMedia("(max-width: 63.99rem)").matches) byId("types").removeAttribute("open");
  all.onclick = () => {
    chosen.clear();
    change();
  };
  return {
    chosen,
    count: (record) => {
      const entry = entries.get(record.type) ?? add(record);
      if (entry !== undefined) entry.count++;
    },
    draw: () => {
      for (const { figure, count } of entries.values()) setText(figure, count.toLocaleString("en"));
    },
    clear: () => {
      for (const entry of entries.values()) entry.count = 0;
    },
  };
}
