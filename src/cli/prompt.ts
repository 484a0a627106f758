/**
 * A line of text that is typed below the rows. It is pure: keys in, text out.
 *
 * @module
 */
import { printable } from "../text/printable.ts";
import type { Key } from "./keypress.ts";
import { endOf, fit, type Span, type TerminalStyle } from "./row.ts";
import { widthOf } from "./width.ts";

/** Maximum number of columns that are kept for what stands behind the cursor. */
const AFTER_COLUMNS = 10;
/** Maximum number of UTF-16 code units of the line; what is pasted beyond is left out. */
const MAX_LENGTH = 4_000;
/** Maximum number of UTF-16 code units of a character that a key deletes or passes: to segment a long text takes long, and much memory. */
const MAX_CHARACTER_LENGTH = 100;
/** Maximum number of UTF-16 code units that are measured for a column. */
const LENGTH_PER_COLUMN = 8;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The line. */
export class Prompt {
  /** What stands before the cursor. */
  before: string;
  /** What stands behind it. */
  after = "";

  constructor(text: string) {
    this.before = text;
  }

  /** What has been typed. */
  get text(): string {
    return this.before + this.after;
  }

  /** Handles a key. Returns whether the line is done, and how. */
  key({ name, text, ctrl }: Key): "accepted" | "cancelled" | undefined {
    if (name === "return" || name === "enter") return "accepted";
    if (name === "escape" || (ctrl && name === "c")) return "cancelled";
    if (name === "backspace") this.before = this.before.slice(0, -lengthOfLast(this.before) || undefined);
    else if (name === "delete") this.after = this.after.slice(lengthOfFirst(this.after));
    else if (name === "left") this.#moveTo(this.before.length - lengthOfLast(this.before));
    else if (name === "right") this.#moveTo(this.before.length + lengthOfFirst(this.after));
    else if (name === "home" || (ctrl && name === "a")) this.#moveTo(0);
    else if (name === "end" || (ctrl && name === "e")) this.#moveTo(Infinity);
    else if (ctrl && name === "u") this.before = "";
    else if (ctrl && name === "k") this.after = "";
    else if (ctrl && name === "w") this.before = /^.*\s/s.exec(this.before.trimEnd())?.[0] ?? "";
    else if (!ctrl) this.before += text.slice(0, Math.max(0, MAX_LENGTH - this.text.length));
    return undefined;
  }

  #moveTo(place: number): void {
    const { text } = this;
    [this.before, this.after] = [text.slice(0, place), text.slice(place)];
  }
}

/** Shows the line with its cursor, which is in sight however long the line is, and a hint if there is room for it. */
export function promptLine({ before, after }: Prompt, hint: Span, style: TerminalStyle): string {
  const [left, right] = [printable(before), printable(after)];
  // Beside it stand the slash, two ellipses and the cursor.
  const room = Math.max(
    0,
    style.columns - 4 - Math.min(AFTER_COLUMNS, widthOf(right.slice(0, AFTER_COLUMNS * LENGTH_PER_COLUMN))),
  );
  const end = endOf(left.slice(-LENGTH_PER_COLUMN * (room + 1)), room);
  return fit([[`/${end === left ? "" : "…"}${end}▏${right}`, "bold"], hint], style);
}

function lengthOfFirst(text: string): number {
  const [first] = graphemes.segment(text.slice(0, MAX_CHARACTER_LENGTH));
  return first?.segment.length ?? 0;
}

function lengthOfLast(text: string): number {
  return [...graphemes.segment(text.slice(-MAX_CHARACTER_LENGTH))].at(-1)?.segment.length ?? 0;
}
