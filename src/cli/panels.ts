/**
 * What fills a terminal: the events so far, one of them as a whole, and the choice of types. They are pure: keys in, lines out.
 *
 * @module
 */
import { jsonTextLine, printable } from "../text/printable.ts";
import { indentJson } from "./indent_json.ts";
import type { HeldEvent, HeldEvents } from "./held_events.ts";
import type { Key } from "./keyboard.ts";
import { beginningOf, eventRow, fit, type Span, type TerminalStyle } from "./row.ts";

/** Something that fills a terminal. */
export interface Panel {
  /** What its keys do, for the last line. */
  readonly hint: string;
  /** Returns its lines, at most this number of them. */
  lines(rows: number, style: TerminalStyle): string[];
  /** Handles a key. Returns the panel that is shown next, which may be itself; `undefined` for the one before it. */
  key(key: Key): Panel | undefined;
}

/** Maximum number of characters of an event that are shown as a whole. */
const MAX_JSON = 200_000;

/** Marks a row as the selected one. */
function marked(row: string, isMarked: boolean): string {
  return isMarked ? `\x1b[7m${row}\x1b[27m` : row;
}

/** Returns by how many lines a key moves; `undefined` for one that does not. */
function stepOf({ name, text }: Key, page: number): number | undefined {
  if (text === "G" || name === "end") return Infinity;
  if (text === "g" || name === "home") return -Infinity;
  if (name === "pageup") return -page;
  if (name === "pagedown") return page;
  if (name === "up" || text === "k") return -1;
  return name === "down" || text === "j" ? 1 : undefined;
}

/** A list with a selected row, which stays where it is on the screen while others are added below. */
class Cursor {
  /** The row of the screen that the selected item is in. */
  #row = Infinity;
  #page = 1;

  /** Returns the first item that is shown. */
  first(place: number, count: number, rows: number): number {
    this.#page = Math.max(1, rows - 1);
    this.#row = Math.max(0, Math.min(this.#row, rows - 1, place));
    const first = Math.max(0, Math.min(place - this.#row, count - rows));
    this.#row = place - first;
    return first;
  }

  /** Returns the place after a key; `undefined` for a key that does not move. */
  move(key: Key, place: number, count: number): number | undefined {
    const step = stepOf(key, this.#page);
    if (step === undefined) return undefined;
    const next = Math.max(0, Math.min(count - 1, place + step));
    this.#row += next - place;
    return next;
  }
}

/** The events so far. */
export class EventList implements Panel {
  readonly hint = "↑↓ PgUp PgDn Home End, Enter whole event, Esc back";
  readonly #held: HeldEvents;
  readonly #cursor = new Cursor();
  /** The number of the selected event; infinity for the newest one, whichever that is. */
  #selected = Infinity;

  constructor(held: HeldEvents) {
    this.#held = held;
  }

  lines(rows: number, style: TerminalStyle): string[] {
    const { shown } = this.#held;
    if (shown.length === 0) return ["No event yet that the filter accepts."];
    const place = this.#place();
    const first = this.#cursor.first(place, shown.length, rows);
    return shown.slice(first, first + rows).map(({ event }, index) => {
      const isSelected = first + index === place;
      const row = eventRow(event, { columns: style.columns, colours: style.colours && !isSelected });
      return marked(row, isSelected);
    });
  }

  key(key: Key): Panel | undefined {
    if (key.name === "escape") return undefined;
    const { shown } = this.#held;
    const place = this.#place();
    if (key.name === "return" && shown.length > 0) return new WholeEvent(shown[place]!, this);
    const next = this.#cursor.move(key, place, shown.length);
    if (next !== undefined && shown.length > 0) {
      this.#selected = next === shown.length - 1 ? Infinity : shown[next]!.number;
    }
    return this;
  }

  /** Selects the event before or after, and returns it. */
  step(by: number): HeldEvent | undefined {
    const { shown } = this.#held;
    const place = Math.max(0, Math.min(shown.length - 1, this.#place() + by));
    this.#selected = shown[place]?.number ?? Infinity;
    return shown[place];
  }

  /** Keeps the selected event selected, also if it is the newest one and others follow. */
  hold(): void {
    this.#selected = this.#held.shown[this.#place()]?.number ?? Infinity;
  }

  #place(): number {
    const { shown } = this.#held;
    return Math.max(0, Math.min(shown.length - 1, this.#held.placeOf(this.#selected)));
  }
}

/** One event as a whole. */
export class WholeEvent implements Panel {
  readonly hint = "↑↓ PgUp PgDn, ← → other events, Esc back";
  #event: HeldEvent;
  readonly #list: EventList;
  #top = 0;
  #page = 1;

  constructor(event: HeldEvent, list: EventList) {
    this.#event = event;
    this.#list = list;
    list.hold();
  }

  lines(rows: number, { columns }: TerminalStyle): string[] {
    const { json } = this.#event;
    const text = indentJson(jsonTextLine(json.slice(0, MAX_JSON)));
    if (json.length > MAX_JSON) {
      text.push(`… ${(json.length - MAX_JSON).toLocaleString("en")} more characters`);
    }
    const lines = text.flatMap((line) => wrapped(line, columns));
    this.#page = Math.max(1, rows - 1);
    this.#top = Math.max(0, Math.min(this.#top, lines.length - rows));
    return lines.slice(this.#top, this.#top + rows);
  }

  key(key: Key): Panel | undefined {
    const { name } = key;
    if (name === "escape" || name === "return" || name === "backspace") return undefined;
    if (name === "left" || name === "right") {
      this.#event = this.#list.step(name === "left" ? -1 : 1) ?? this.#event;
      this.#top = 0;
    }
    this.#top += stepOf(key, this.#page) ?? 0;
    return this;
  }
}

/** The types, and which of them are shown. */
export class TypeList implements Panel {
  readonly hint = "space show or hide, a all or none, Enter done";
  readonly #held: HeldEvents;
  readonly #cursor = new Cursor();
  #place = 0;

  constructor(held: HeldEvents) {
    this.#held = held;
  }

  lines(rows: number, style: TerminalStyle): string[] {
    const types = this.#types();
    if (types.length === 0) return ["No event yet, so no types to choose from."];
    const first = this.#cursor.first(this.#place, types.length, rows);
    return types.slice(first, first + rows).map((type, index) => {
      const isSelected = first + index === this.#place;
      const count = this.#held.types.get(type)!.toLocaleString("en").padStart(9);
      const spans: Span[] = [
        [this.#held.hiddenTypes.has(type) ? "[ ] " : "[x] "],
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
    const types = this.#types();
    if (key.name === "escape" || key.name === "return" || key.text === "t") return undefined;
    const { hiddenTypes } = this.#held;
    const type = types[this.#place];
    if (key.name === "space" && type !== undefined && !hiddenTypes.delete(type)) hiddenTypes.add(type);
    if (key.text === "a") {
      const isAll = hiddenTypes.size === 0;
      hiddenTypes.clear();
      if (isAll) { for (const one of types) hiddenTypes.add(one); }
    }
    this.#place = this.#cursor.move(key, this.#place, types.length) ?? this.#place;
    return this;
  }

  #types(): string[] {
    return [...this.#held.types.keys()].sort();
  }
}

const KEYS: readonly (readonly [keys: string, text: string])[] = [
  ["/", "filter: words, fields like name:sintel size:>1GB subject:order/42,"],
  ["", "time:>14:00; - before a term excludes, * stands for any text"],
  ["t", "choose the types that are shown"],
  ["", "both look at the newest 5,000 events and at all that follow: for older ones,"],
  ["", "start with --types, --subject and --since, which ask the server"],
  ["space", "pause, and go on with what came meanwhile"],
  ["↑ PgUp Home", "the events so far: they stay where they are while others arrive"],
  ["Enter", "the whole of an event; ← and → for those beside it"],
  ["Esc", "back"],
  ["q Ctrl-C", "quit"],
];

/** What each key does. */
export class KeyList implements Panel {
  readonly hint = "Esc back";

  lines(rows: number, style: TerminalStyle): string[] {
    return KEYS.slice(0, rows).map(([keys, text]) => fit([[keys.padEnd(13), "bold"], [text]], style));
  }

  key({ name }: Key): Panel | undefined {
    return ["escape", "return", "backspace"].includes(name) ? undefined : this;
  }
}

/** Breaks a line where the terminal ends. */
function wrapped(line: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = line;
  do {
    const shown = beginningOf(rest, columns) || rest.slice(0, 1);
    lines.push(shown);
    rest = rest.slice(shown.length);
  } while (rest !== "");
  return lines;
}
