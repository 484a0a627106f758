/**
 * A terminal with rows that scroll, and below them one line that does not.
 *
 * @module
 */
import stringWidth from "string-width";

/** As much of a terminal as is used here. */
export interface Terminal {
  /** How many columns it has, where it knows. */
  readonly columns?: number;
  write(text: string): boolean;
  on(event: "resize" | "drain", listener: () => void): unknown;
  off(event: "resize" | "drain", listener: () => void): unknown;
}

/** The screen. */
export interface Screen {
  /** How many columns a row has. */
  readonly columns: number;
  /** Adds a row; false where the terminal does not keep up. Rows of one turn of the event loop are written together. */
  print(row: string): boolean;
  /** Draws the last line anew. */
  refresh(): void;
  /** Clears the last line away, for good. */
  close(): void;
}

/** Longest interval between two updates of the last line, which shows the time. */
const REFRESH = 1000;

/**
 * Makes a screen.
 *
 * @param lastLine returns the last line for a number of columns; called whenever it is drawn
 */
export function createScreen(terminal: Terminal, lastLine: (columns: number) => string): Screen {
  let rows = "";
  /** The columns that the last line took when it was drawn. */
  let drawn = 0;
  let isDue = false;
  let isOver = false;
  let keepsUp = true;
  const timer = setInterval(draw, REFRESH);
  const onDrain = () => keepsUp = true;
  terminal.on("resize", draw);
  terminal.on("drain", onDrain);

  const columns = () => terminal.columns || 80;

  /** What takes the last line away; a terminal that became narrower may have broken it into several. */
  function erase(): string {
    const above = Math.max(0, Math.ceil(drawn / columns()) - 1);
    return `\r${above > 0 ? `\x1b[${above}A` : ""}\x1b[J`;
  }

  function draw(): void {
    isDue = false;
    if (isOver) return;
    // Beyond the last column most terminals would begin another line.
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
    print: (row) => {
      rows += `${row}\n`;
      refresh();
      return keepsUp;
    },
    refresh,
    close: () => {
      isOver = true;
      clearInterval(timer);
      terminal.off("resize", draw);
      terminal.off("drain", onDrain);
      terminal.write(erase() + rows);
    },
  };
}
