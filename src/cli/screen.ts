/**
 * A terminal with rows that scroll, and below them one line that does not.
 *
 * @module
 */
import stringWidth from "string-width";

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
   * Adds a row. Rows of one turn of the event loop are written together.
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

/** Number of milliseconds between two updates of the last line, which counts down to the next attempt. */
const REFRESH_MS = 1000;

/**
 * Makes a screen.
 *
 * @param lastLine returns the last line for a number of columns; called whenever it is drawn
 */
export function createScreen(terminal: Terminal, lastLine: (columns: number) => string): Screen {
  let rows = "";
  /** Number of columns of the last line when it was drawn. */
  let drawn = 0;
  let isDue = false;
  let isOver = false;
  let isCovered = false;
  let keepsUp = true;
  const timer = setInterval(draw, REFRESH_MS);
  const onDrain = () => keepsUp = true;
  terminal.on("resize", draw);
  terminal.on("drain", onDrain);

  const columns = () => terminal.columns || 80;

  /** Returns the sequence that erases the last line; a terminal that became narrower may have wrapped it. */
  function erase(): string {
    const above = Math.max(0, Math.ceil(drawn / columns()) - 1);
    return `\r${above > 0 ? `\x1b[${above}A` : ""}\x1b[J`;
  }

  function draw(): void {
    isDue = false;
    if (isOver || isCovered) return;
    // Most terminals wrap a line that fills the last column.
    const line = lastLine(columns() - 1);
    const text = erase() + rows + line;
    rows = "";
    drawn = stringWidth(line);
    keepsUp = terminal.write(text) && keepsUp;
  }

  function refresh(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(draw);
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
      refresh();
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
      terminal.off("resize", draw);
      terminal.off("drain", onDrain);
      terminal.write(erase() + rows);
    },
  };
}
