/**
 * Keys out of the keypresses that `node:readline` makes of what a terminal sends. What is pasted is one key with the whole text.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";
import { oneLine } from "../text/printable.ts";

/** A key. */
export interface Key {
  /** Its name, such as `up`, `return`, `space` or `paste`; empty for a character without one. */
  readonly name: string;
  /** The text that it writes; empty if it writes none. */
  readonly text: string;
  readonly ctrl: boolean;
}

/** What `node:readline` says of a keypress. */
export interface Keypress {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly sequence?: string | undefined;
}

/** Has the terminal surround what is pasted by sequences; and the opposite. */
export const PASTES_ON = "\x1b[?2004h";
export const PASTES_OFF = "\x1b[?2004l";

/** What surrounds a paste. Deno makes two keypresses of it, of which the second is the tilde. */
// deno-lint-ignore no-control-regex
const PASTE_EDGE = /^\x1b\[20([01])(~?)$/;
const PASTE_END = "\x1b[201~";
/** Maximum number of characters of a paste that are kept, with the sequences in it. */
const MAX_PASTE_CHARACTERS = 16_000;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x1f\x7f]/g;

/** Returns a listener of keypresses that calls `onKey` for each key. */
export function keypressListener(
  onKey: (key: Key) => void,
): (text: string | undefined, key: Keypress) => void {
  let pasted: string | undefined;
  /** The last characters of what is pasted. */
  let tail = "";
  let isTildeDue = false;
  return (text = "", { name = "", ctrl = false, sequence = text }) => {
    const isRest = isTildeDue && text === "~";
    isTildeDue = false;
    if (isRest) return;
    const [, edge, tilde] = PASTE_EDGE.exec(sequence) ?? [];
    if (edge === "0" || (edge === "1" && pasted === undefined)) {
      isTildeDue = tilde === "";
      [pasted, tail] = [edge === "0" ? "" : undefined, ""];
    } else if (pasted === undefined || (ctrl && (name === "c" || name === "z"))) {
      pasted = undefined; // Ctrl-C and Ctrl-Z work also if the end of a paste never comes.
      onKey({ name, text: text.replaceAll(CONTROLS, "") === text ? text : "", ctrl });
    } else {
      if (pasted.length < MAX_PASTE_CHARACTERS) pasted += sequence;
      // An escape at the end of the text and the sequence behind it are one keypress, and two escapes divide the sequence.
      tail = (tail + sequence).slice(-PASTE_END.length);
      if (tail !== PASTE_END) return;
      onKey({ name: "paste", text: lineOf(pasted), ctrl: false });
      pasted = undefined;
    }
  };
}

/** Returns a pasted text as one line, without the sequence at its end and others in it. */
function lineOf(text: string): string {
  return oneLine(stripVTControlCharacters(text)).replaceAll(CONTROLS, "");
}
