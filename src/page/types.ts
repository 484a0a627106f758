/**
 * The types received so far, each with its count, as buttons that limit the list to the chosen types.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, make, setText } from "./dom.ts";
import type { EventRecord } from "./records.ts";

/** The list of types. */
export interface Types {
  /** The chosen types; empty for all. */
  readonly chosen: ReadonlySet<string>;
  count(record: EventRecord): void;
  /** Draws the counts as they are now. */
  draw(): void;
  /** Resets the counts, and keeps the choice. */
  clear(): void;
}

/** A type in the list. */
interface Entry {
  readonly item: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly figure: HTMLElement;
  count: number;
}

/** Maximum number of types listed. Servers have far fewer; without a limit, one could flood the page. */
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

  function add({ type, group }: EventRecord): Entry | undefined {
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
    item.dataset["group"] = group;
    const entry = { item, button, figure, count: 0 };
    entries.set(type, entry);
    // In alphabetical order, so that types of one group are together and none moves because of its count.
    const next = [...entries].filter(([other]) => other > type).sort(([a], [b]) => a < b ? -1 : 1)[0];
    list.insertBefore(item, next?.[1].item ?? null);
    return entry;
  }

  // On a narrow screen the room belongs to the events.
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
