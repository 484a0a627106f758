/**
 * A terminal with rows that scroll, and below them one line that does not.
 *
 * @module
 */
import { widthOf } from "./width.ts";

/** The part of a terminal that is used here. */
export interface Terminal {
  /** Number of columns; `undefined` if it is not known. */
  readonly columns?: number;
  /** Number of rows; `undefined` if it is not known. */
  readonly rows?: number;
  write(text: string): boolean;
  on(event: "resize" | "drain", listener: () => void): unknown;
  off(event: "resize" | "drain", listener: () => void): unknown;
}

/** The screen. */
export interface Screen {
  /** Number of columns of a row. */
  readonly columns: number;
  /** Number of rows of the terminal. */
  readonly rows: number;
  /**
   * Adds a row. Rows are written together, some 60 times a second.
   *
   * @returns false if the terminal does not keep up
   */
  print(row: string): boolean;
  /** Redraws the last line. */
  refresh(): void;
  /** Draws nothing until it is called with `false`: something else fills the terminal. */
  cover(isCovered: boolean): void;
  /** Removes the last line for good. */
  close(): void;
}

/** Minimum number of milliseconds between two writes: no terminal shows more, and each draws the last line again. */
const FRAME_MS = 16;
/** Number of milliseconds after which the size of a terminal has settled. */
const SETTLE_MS = 50;
/** Maximum number of characters that wait for a write. */
const MAX_WAITING_CHARACTERS = 64 * 1024;
/** Number of milliseconds between two updates of the last line, which counts down to the next attempt. */
const REFRESH_MS = 1000;

/**
 * Returns lines that the terminal cuts where it ends, and does not wrap. Terminals do not agree on the width of emoji, so a line
 * may be wider than it was measured. The same write lets it wrap again, so that it does however the process ends.
 */
export function unwrapped(lines: string): string {
  return `\x1b[?7l${lines}\x1b[?7h`;
}

/**
 * Makes a screen.
 *
 * @param lastLine returns the last line for a number of columns; called whenever it is drawn
 */
export function createScreen(terminal: Terminal, lastLine: (columns: number) => string): Screen {
  let rows = "";
  /** Number of columns of the last line when it was drawn. */
  let drawn = 0;
  let due: ReturnType<typeof setTimeout> | undefined;
  let drawnAt = -Infinity;
  let isOver = false;
  let isCovered = false;
  let keepsUp = true;
  const timer = setInterval(draw, REFRESH_MS);
  const onDrain = () => keepsUp = true;
  terminal.on("resize", onResize);
  terminal.on("drain", onDrain);

  const columns = () => terminal.columns || 80;

  /**
   * Returns the sequence that erases the last line, at whose beginning the cursor stands. A terminal that became narrower may have
   * wrapped it into the rows below, or have cut it: the rows above are not touched. It erases row by row: when all is erased from
   * the top row on, tmux keeps a copy of the screen each time.
   */
  function erase(): string {
    const below = Math.max(0, Math.ceil(drawn / columns()) - 1);
    return `\r\x1b[K${below === 0 ? "" : `\x1b7${"\x1b[B\x1b[K".repeat(below)}\x1b8`}`;
  }

  function draw(): void {
    clearTimeout(due);
    due = undefined;
    if (isOver || isCovered) return;
    // Most terminals wrap a line that fills the last column.
    const line = lastLine(columns() - 1);
    const text = `${erase()}${unwrapped(rows + line)}\r`;
    rows = "";
    drawn = widthOf(line);
    drawnAt = performance.now();
    keepsUp = terminal.write(text) && keepsUp;
  }

  /** Draws when the size has settled: the terminal may have another one by now, in which the last line is wrapped otherwise. */
  function onResize(): void {
    clearTimeout(due);
    due = setTimeout(draw, SETTLE_MS);
  }

  function refresh(): void {
    due ??= setTimeout(draw, Math.max(0, drawnAt + FRAME_MS - performance.now()));
  }

  return {
    get columns() {
      return columns();
    },
    get rows() {
      return terminal.rows || 24;
    },
    print: (row) => {
      rows += `${row}\r\n`; // While keys are read, Deno and Bun do not make this of a line feed.
      if (rows.length > MAX_WAITING_CHARACTERS) draw();
      else refresh();
      return keepsUp;
    },
    refresh,
    cover: (is) => {
      isCovered = is;
      refresh();
    },
    close: () => {
      isOver = true;
      clearInterval(timer);
      clearTimeout(due);
      terminal.off("resize", onResize);
      terminal.off("drain", onDrain);
      terminal.write(erase() + (rows === "" ? "" : unwrapped(rows)));
    },
  };
}
