/**
 * The types of the server, each with its count, as buttons that limit the question to the chosen types.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, make, setText } from "./dom.ts";
import { typeNodes } from "./event_nodes.ts";
import { eventGroup } from "./event_groups.ts";
import { asksForType } from "./view.ts";

/** The list of types. */
export interface Types {
  /** The names of the types listed. */
  readonly names: readonly string[];
  /** Lists types of which no event has arrived yet. */
  add(names: readonly string[]): void;
  count(type: string): void;
  /** Marks the chosen types; none for all. */
  choose(chosen: readonly string[]): void;
  /** Draws the counts as they are now. */
  draw(): void;
  /** Resets the counts. */
  clear(): void;
}

/** A type in the list. */
interface Entry {
  readonly button: HTMLButtonElement;
  readonly figure: HTMLElement;
  readonly item: HTMLElement;
  count: number;
}

/** Maximum number of types listed. Servers have far fewer; without a limit, one could flood the page. */
const MAX_TYPES = 500;

/**
 * Makes the list in its place on the page.
 *
 * @param onChoose called with the types that a person chose; none for all
 */
export function createTypes(onChoose: (types: readonly string[]) => void): Types {
  const list = byId("type-list");
  const all = byId<HTMLButtonElement>("all-types");
  const place = byId<HTMLDetailsElement>("types");
  const entries = new Map<string, Entry>();
  let chosen: readonly string[] = [];
  let isSeen = false;

  const isChosen = (type: string) => chosen.length > 0 && asksForType({ types: chosen }, type);

  function toggle(type: string): void {
    // A pattern of the address becomes the types that it stands for.
    const names = [...entries.keys()].filter(isChosen);
    const others = chosen.filter((one) => !one.endsWith("*") && !entries.has(one));
    onChoose([...others, ...(isChosen(type) ? names.filter((one) => one !== type) : [...names, type])]);
  }

  function mark(): void {
    for (const [type, { button }] of entries) button.ariaPressed = `${isChosen(type)}`;
    all.ariaPressed = `${chosen.length === 0}`;
    setText(byId("types-chosen"), chosen.length === 0 ? "" : `${chosen.length} chosen`);
  }

  function add(type: string): Entry | undefined {
    if (entries.size === MAX_TYPES) return undefined;
    const figure = make("b");
    const button = make(
      "button",
      { type: "button", ariaPressed: `${isChosen(type)}` },
      make("span", { className: "dot" }),
      make("span", { className: "name" }, ...typeNodes(type)),
      figure,
    );
    button.onclick = () => toggle(type);
    const item = make("li", {}, button);
    item.dataset["group"] = eventGroup(type);
    const entry = { item, button, figure, count: 0 };
    entries.set(type, entry);
    // In alphabetical order, so that types of one group are together and none moves because of its count. One that comes
    // when they have been seen stands last, and takes no room: the others stay at the pointer.
    const later = isSeen ? [] : [...entries].filter(([other]) => other > type);
    const next = later.sort(([a], [b]) => a < b ? -1 : 1)[0];
    if (isSeen && place.open) list.style.setProperty("--held", `${list.clientHeight}px`);
    list.insertBefore(item, next?.[1].item ?? null);
    return entry;
  }

  openWhereThereIsRoom(place);
  const release = () => list.style.removeProperty("--held");
  place.ontoggle = release;
  addEventListener("resize", release);
  all.onclick = () => onChoose([]);
  return {
    get names() {
      return [...entries.keys()];
    },
    add: (names) => {
      for (const name of names) if (!entries.has(name)) add(name);
    },
    count: (type) => {
      const entry = entries.get(type) ?? add(type);
      if (entry !== undefined) entry.count++;
    },
    choose: (types) => {
      chosen = types;
      mark();
    },
    draw: () => {
      isSeen ||= entries.size > 0;
      for (const { figure, count } of entries.values()) {
        setText(figure, count === 0 ? "" : count.toLocaleString("en"));
      }
    },
    clear: () => {
      for (const entry of entries.values()) entry.count = 0;
    },
  };
}

/** Opens the list. On a narrow or low screen the room belongs to the events, until a person chooses. */
function openWhereThereIsRoom(place: HTMLDetailsElement): void {
  const small = matchMedia("(max-width: 63.99rem), (max-height: 36rem)");
  const fit = () => place.open = !small.matches;
  small.onchange = fit;
  fit();
  place.querySelector("summary")!.onclick = () => small.onchange = null;
}
