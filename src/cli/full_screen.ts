/**
 * The whole of a terminal, for as long as it is open; what was there before comes back after it.
 *
 * @module
 */
import { type Terminal, unwrapped } from "./screen.ts";

/** Minimum number of milliseconds between two drawings. */
const REDRAW_MS = 50;
/** Changes to the other screen and hides the cursor; and the opposite. */
const OPEN = "\x1b[?1049h\x1b[?25l";
const CLOSE = "\x1b[?25h\x1b[?1049l";

/** The screen. */
export class FullScreen {
  readonly #terminal: Terminal;
  readonly #lines: (rows: number, columns: number) => readonly string[];
  #isOpen = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #onResize = () => this.draw();

  /** Makes one that is closed; `lines` returns what it shows: a line for each row, at most as wide as the terminal. */
  constructor(terminal: Terminal, lines: (rows: number, columns: number) => readonly string[]) {
    this.#terminal = terminal;
    this.#lines = lines;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#terminal.write(OPEN);
    this.#terminal.on("resize", this.#onResize);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#terminal.off("resize", this.#onResize);
    this.#terminal.write(CLOSE);
  }

  /** Draws it soon: what changes in the meantime is drawn together. */
  refresh(): void {
    if (!this.#isOpen) return;
    this.#timer ??= setTimeout(() => this.draw(), REDRAW_MS);
  }

  /** Draws it now. */
  draw(): void {
    if (!this.#isOpen) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { rows = 24, columns = 80 } = this.#terminal;
    // Erased before it is written: after a full line the cursor still stands in the last column, which would be erased too.
    const lines = this.#lines(rows, columns).map((line) => `\x1b[K${line}`);
    this.#terminal.write(`\x1b[H${unwrapped(lines.join("\r\n"))}`);
  }
}
