/**
 * What fills a terminal: the events so far, and one of them as a whole. Panels are pure: keys in, lines out.
 *
 * @module
 */
import { jsonTextLine } from "../text/printable.ts";
import { indentJson } from "./indent_json.ts";
import type { HeldEvent, HeldEvents } from "./held_events.ts";
import type { Key } from "./keypress.ts";
import { beginningOf, eventRow, type TerminalStyle } from "./row.ts";

/** Something that fills a terminal. */
export interface Panel {
  /** What its keys do, for the last line: first the one that leaves it, and a comma. */
  readonly hint: string;
  /** Returns its lines, at most this number of them. */
  lines(rows: number, style: TerminalStyle): string[];
  /** Handles a key. Returns the panel that is shown next, which may be itself; `undefined` for the one before it. */
  key(key: Key): Panel | undefined;
}

/** Maximum number of characters of an event that are shown as a whole. */
const MAX_JSON = 200_000;

/** Marks a row as the selected one. */
export function marked(row: string, isMarked: boolean): string {
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
export class Cursor {
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

/** A text of which a part is in sight. */
export class Pager {
  #top = 0;
  #page = 1;

  /** Returns the part that is in sight. */
  part(lines: readonly string[], rows: number): string[] {
    this.#page = Math.max(1, rows - 1);
    this.#top = Math.max(0, Math.min(this.#top, lines.length - rows));
    return lines.slice(this.#top, this.#top + rows);
  }

  /** Moves it, if the key does. */
  move(key: Key): void {
    this.#top += stepOf(key, this.#page) ?? 0;
  }
}

/** The events so far. */
export class EventList implements Panel {
  readonly #held: HeldEvents;
  readonly #cursor = new Cursor();
  /** The number of the selected event; infinity for the newest one, whichever that is. */
  #selected = Infinity;
  readonly #onFollow: (event: HeldEvent | undefined) => void;

  /**
   * Makes a list; `onFollow` is called to show only what has the subject of an event, and again to show what was shown before, also
   * if there is no event.
   */
  constructor(held: HeldEvents, onFollow: (event: HeldEvent | undefined) => void) {
    this.#held = held;
    this.#onFollow = onFollow;
  }

  get hint(): string {
    return `Esc back, Enter whole event, ${followHint(this.#held.shown[this.#place()])}↑↓ PgUp PgDn Home End`;
  }

  lines(rows: number, style: TerminalStyle): string[] {
    const { shown, isLimited } = this.#held;
    if (shown.length === 0) return [isLimited ? "No event so far matches." : "No event so far."];
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
    if (key.text === "f") this.follow(shown[place]);
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

  /** Follows the subject of an event, which is selected. */
  follow(event: HeldEvent | undefined): void {
    if (event !== undefined) this.#selected = event.number;
    this.#onFollow(event);
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
  #event: HeldEvent;
  readonly #list: EventList;
  #pager = new Pager();

  constructor(event: HeldEvent, list: EventList) {
    this.#event = event;
    this.#list = list;
    list.hold();
  }

  get hint(): string {
    return `Esc back, ← → other events, ${followHint(this.#event)}↑↓ PgUp PgDn`;
  }

  lines(rows: number, { columns }: TerminalStyle): string[] {
    const { json } = this.#event;
    const text = indentJson(jsonTextLine(json.slice(0, MAX_JSON)));
    if (json.length > MAX_JSON) {
      text.push(`… ${(json.length - MAX_JSON).toLocaleString("en")} more characters`);
    }
    const lines = text.flatMap((line) => wrapped(line, columns));
    return this.#pager.part(lines, rows);
  }

  key(key: Key): Panel | undefined {
    const { name } = key;
    if (name === "escape" || name === "return" || name === "backspace") return undefined;
    if (name === "left" || name === "right") {
      this.#event = this.#list.step(name === "left" ? -1 : 1) ?? this.#event;
      this.#pager = new Pager();
    }
    if (key.text === "f") this.#list.follow(this.#event);
    this.#pager.move(key);
    return this;
  }
}

/** Names the key for the subject of an event, if it has one. */
function followHint(held: HeldEvent | undefined): string {
  return typeof held?.event.subject === "string" ? "f its subject, " : "";
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
