/**
 * A terminal as xterm is one: it remembers what is written to it, and what it shows then.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import stringWidth from "string-width";

// deno-lint-ignore no-control-regex
const PARTS = /\x1b\[\??([\d;]*)([A-Za-z])|\x1b()([78])|[^]/gu;

/** Options of a terminal. */
export interface TerminalModelOptions {
  readonly columns?: number;
  readonly rows?: number;
  /** The number of columns that a character takes in this terminal. */
  readonly widthOf?: (character: string) => number;
}

/** The terminal. */
export class TerminalModel extends EventEmitter {
  columns: number;
  rows: number;
  /** Everything that was written. */
  written = "";
  /** Rows that have scrolled off the screen. */
  readonly scrolledOff: string[] = [];
  readonly #widthOf: (character: string) => number;
  #cells: string[][] = [[]];
  /** The screen that is not shown. */
  #other: string[][] = [[]];
  #row = 0;
  #column = 0;
  #saved = { row: 0, column: 0 };
  #wraps = true;
  /** Whether the last column was written, behind which there is no place for the cursor. */
  #isFull = false;

  constructor({ columns = 80, rows = 24, widthOf = stringWidth }: TerminalModelOptions = {}) {
    super();
    this.columns = columns;
    this.rows = rows;
    this.#widthOf = widthOf;
  }

  /** Whether a line that is too long goes on in the next row. */
  get wraps(): boolean {
    return this.#wraps;
  }

  /** What it shows, without blanks at the ends. */
  get lines(): string[] {
    return this.#cells.map((cells) => Array.from(cells, (cell) => cell ?? " ").join("").trimEnd());
  }

  /** Gets another width. It cuts its rows, as xterm does, or wraps them anew, as most others do. */
  resize(columns: number, reflows: boolean): void {
    const reflowed: string[][] = [];
    let row = 0;
    for (const [index, cells] of this.#cells.entries()) {
      if (index === this.#row) row = reflowed.length;
      do reflowed.push(cells.splice(0, columns)); while (reflows && cells.length > 0);
    }
    this.columns = columns;
    this.#cells = reflowed;
    while (this.#cells.length > this.rows) this.scrolledOff.push(this.lines[0]!), this.#cells.shift(), row--;
    this.#move(Math.max(0, row), Math.min(this.#column, columns - 1));
    this.emit("resize");
  }

  write(text: string): boolean {
    this.written += text;
    for (const [part, parameter = "", letter, , digit] of text.matchAll(PARTS)) {
      const command = letter ?? digit;
      if (command !== undefined) this.#obey(part, parameter, command);
      else if (part === "\r") this.#move(this.#row, 0);
      else if (part === "\n") this.#feed();
      else if (part >= " ") this.#put(part);
    }
    return true;
  }

  #obey(whole: string, parameter: string, command: string): void {
    const cells = this.#cells[this.#row]!;
    if (whole === "\x1b[?7l" || whole === "\x1b[?7h") this.#wraps = command === "h";
    else if (parameter === "1049") {
      [this.#cells, this.#other] = [this.#other, this.#cells];
      if (command === "h") this.#cells = [[]];
      this.#move(command === "h" ? 0 : this.#cells.length - 1, 0);
    } else if (command === "H") this.#move(0, 0);
    else if (command === "7") this.#saved = { row: this.#row, column: this.#column };
    else if (command === "8") this.#move(this.#saved.row, this.#saved.column);
    else if (command === "B") {
      this.#move(Math.min(this.#cells.length - 1, this.#row + Number(parameter || 1)), this.#column);
    } else if (command === "A") this.#move(Math.max(0, this.#row - Number(parameter || 1)), this.#column);
    else if (command === "K" || command === "J") {
      // As tmux does when all of its screen is erased.
      if (command === "J" && this.#row === 0 && this.#column === 0) this.scrolledOff.push(...this.lines);
      cells.length = Math.min(cells.length, this.#column);
      if (command === "J") this.#cells.length = this.#row + 1;
    }
  }

  #put(character: string): void {
    const width = this.#widthOf(character);
    const cells = this.#cells[this.#row]!;
    if (width === 0) return void (cells[Math.max(0, this.#column - 1)] += character);
    if (this.#wraps && (this.#isFull || this.#column + width > this.columns)) {
      this.#feed();
      this.#move(this.#row, 0);
      return this.#put(character);
    }
    const column = Math.min(this.#column, this.columns - width);
    cells[column] = character;
    for (let n = 1; n < width; n++) cells[column + n] = "";
    this.#column = Math.min(this.columns - 1, column + width);
    this.#isFull = column + width >= this.columns;
  }

  #feed(): void {
    this.#move(this.#row + 1, this.#column);
    this.#cells[this.#row] ??= [];
    if (this.#row < this.rows) return;
    this.scrolledOff.push(this.lines[0]!);
    this.#cells.shift();
    this.#row--;
  }

  #move(row: number, column: number): void {
    while (this.#cells.length <= row && row < this.rows) this.#cells.push([]);
    [this.#row, this.#column, this.#isFull] = [row, column, false];
  }
}
