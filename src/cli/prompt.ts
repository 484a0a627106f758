/**
 * A line of text that is typed below the rows. It is pure: keys in, text out.
 *
 * @module
 */
import type { Key } from "./keyboard.ts";

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The line. */
export class Prompt {
  /** What has been typed. */
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Handles a key. Returns whether the line is done, and how. */
  key({ name, text, ctrl }: Key): "accepted" | "cancelled" | undefined {
    if (name === "return" || name === "enter") return "accepted";
    if (name === "escape") return "cancelled";
    if (name === "backspace") {
      this.text = [...graphemes.segment(this.text)].slice(0, -1).map(({ segment }) => segment).join("");
    } else if (ctrl && name === "u") this.text = "";
    else if (ctrl && name === "w") this.text = this.text.replace(/\S*\s*$/, "");
    else if (!ctrl) this.text += text;
    return undefined;
  }
}
