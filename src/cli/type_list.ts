/**
 * The choice of types, as a panel.
 *
 * @module
 */
import { printable } from "../text/printable.ts";
import type { HeldEvents } from "./held_events.ts";
import type { Key } from "./keypress.ts";
import { Cursor, marked, type Panel } from "./panels.ts";
import { fit, type Span, type TerminalStyle } from "./row.ts";
import type { TypeChoice } from "./type_choice.ts";

/** The types, and which of them are shown, which changes at once. `events_lost` is not among them: it is always shown. */
export class TypeList implements Panel {
  readonly #held: HeldEvents;
  readonly #cursor = new Cursor();
  /** The name of the selected type: its place changes when a new type arrives. */
  #selected: string | undefined;
  /** What was chosen before, for Ctrl-C. */
  readonly #before: TypeChoice;
  /** Where the list goes on beyond the screen. */
  #more = "";

  constructor(held: HeldEvents) {
    this.#held = held;
    this.#before = held.choice.copy();
  }

  get hint(): string {
    return `${this.#more}Enter done, space on or off, o only this, a all or none`;
  }

  lines(rows: number, style: TerminalStyle): string[] {
    const { types: counts, choice } = this.#held;
    const types = this.#types();
    if (types.length === 0) return ["No event yet, so no types to choose from."];
    const place = this.#place(types);
    const first = this.#cursor.first(place, types.length, rows);
    const below = types.length - first - rows;
    this.#more = `${first > 0 ? `↑${first} ` : ""}${below > 0 ? `↓${below} ` : ""}`;
    return types.slice(first, first + rows).map((type, index) => {
      const isSelected = first + index === place;
      const count = counts.get(type)!.toLocaleString("en").padStart(9);
      const spans: Span[] = [
        [choice.shows(type) ? "[x] " : "[ ] "],
        [`${count}  `, "dim"],
        [printable(type)],
      ];
      return marked(
        fit(spans, { columns: style.columns, colours: style.colours && !isSelected }),
        isSelected,
      );
    });
  }

  key(key: Key): Panel | undefined {
    if (key.name === "escape" || key.name === "return" || key.text === "t") return undefined;
    if (key.ctrl && key.name === "c") {
      this.#held.choose(this.#before);
      return undefined;
    }
    const types = this.#types();
    const place = this.#place(types);
    this.#change(key, types[place]);
    this.#selected = types[this.#cursor.move(key, place, types.length) ?? place];
    return this;
  }

  /** Changes what is shown, if the key does. */
  #change({ name, text }: Key, type: string | undefined): void {
    const choice = this.#held.choice.copy();
    if (text === "a") {
      if (choice.isAll) choice.showOnly();
      else choice.showAll();
    } else if (type === undefined) return;
    else if (name === "space") choice.toggle(type);
    else if (text === "o") choice.showOnly(type);
    if (!choice.equals(this.#held.choice)) this.#held.choose(choice);
  }

  #place(types: readonly string[]): number {
    this.#selected ??= types[0];
    return Math.max(0, types.indexOf(this.#selected!));
  }

  #types(): string[] {
    return [...this.#held.types.keys()].filter((type) => type !== "events_lost").sort();
  }
}
