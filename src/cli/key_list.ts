/**
 * What each key does, as a panel.
 *
 * @module
 */
import type { Key } from "./keypress.ts";
import { Pager, type Panel } from "./panels.ts";
import { fit, type TerminalStyle } from "./row.ts";

const KEYS: readonly (readonly [keys: string, text: string])[] = [
  [
    "/",
    "filter: words, fields like name:sintel size:>1GB subject:order/42 time:>14:00, and is:trouble for failures; - before a term excludes, * stands for any text",
  ],
  ["t", "choose the types that are shown"],
  [
    "",
    "/ and t look at the newest 5,000 events and at all that follow: for older ones, start with --types, --subject and --since, which ask the server",
  ],
  ["space", "pause, and go on with what came meanwhile"],
  ["↑ PgUp Home", "the events so far: they stay where they are while others arrive"],
  ["Enter", "the whole of an event; ← and → for those beside it"],
  ["f", "in these two: only what is about the same subject; again: as before"],
  ["Esc", "back"],
  ["Ctrl-C", "cancel a filter or a choice of types; else quit"],
  ["q", "quit"],
  ["Ctrl-Z", "stop until fg"],
];

/** Number of columns of the keys. */
const KEY_COLUMNS = 13;
/** Minimum number of columns of the text beside them. */
const MIN_TEXT_COLUMNS = 10;

/** What each key does. */
export class KeyList implements Panel {
  readonly #pager = new Pager();
  #isLong = false;

  get hint(): string {
    return this.#isLong ? "Esc back, ↑↓ more" : "Esc back";
  }

  lines(rows: number, style: TerminalStyle): string[] {
    const columns = Math.max(MIN_TEXT_COLUMNS, style.columns - KEY_COLUMNS);
    const lines = KEYS.flatMap(([keys, text]) =>
      atWords(text, columns).map((line, index) =>
        fit([[(index === 0 ? keys : "").padEnd(KEY_COLUMNS), "bold"], [line]], style)
      )
    );
    this.#isLong = lines.length > rows;
    return this.#pager.part(lines, rows);
  }

  key(key: Key): Panel | undefined {
    this.#pager.move(key);
    return key.text === "?" || ["escape", "return", "backspace"].includes(key.name) ? undefined : this;
  }
}

/** Breaks a text of ASCII between its words. */
function atWords(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
