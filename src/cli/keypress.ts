/**
 * Keys out of the keypresses that `node:readline` makes of what a terminal sends. What is pasted is one key with the whole text.
 *
 * @module
 */
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
const PASTE_END = /^\x1b\[20([01])(~?)$/;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x1f\x7f]/g;

/** Returns a listener of keypresses that calls `onKey` for each key. */
export function keypressListener(
  onKey: (key: Key) => void,
): (text: string | undefined, key: Keypress) => void {
  let pasted: string | undefined;
  let isTildeDue = false;
  return (text = "", { name = "", ctrl = false, sequence = "" }) => {
    const isRest = isTildeDue && text === "~";
    isTildeDue = false;
    if (isRest) return;
    const [, end, tilde] = PASTE_END.exec(sequence) ?? [];
    if (end !== undefined) {
      isTildeDue = tilde === "";
      if (end === "1" && pasted !== undefined) onKey({ name: "paste", text: lineOf(pasted), ctrl: false });
      pasted = end === "0" ? "" : undefined;
    } else if (pasted === undefined || (ctrl && name === "c")) {
      pasted = undefined; // Ctrl-C works also if the end of a paste never comes.
      onKey({ name, text: text.replaceAll(CONTROLS, "") === text ? text : "", ctrl });
    } else pasted += text;
  };
}

/** Returns a pasted text as one line. */
function lineOf(text: string): string {
  return oneLine(text).replaceAll(CONTROLS, "");
}
