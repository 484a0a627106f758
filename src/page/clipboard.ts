/**
 * Copies text, also on pages that have no clipboard in a browser: those loaded by plain HTTP from another machine.
 *
 * @module
 */
/// <reference lib="dom" />
import { make } from "./dom.ts";

/**
 * Copies the text.
 *
 * @param near an element of the page; in an open dialog one inside it, as nothing else can be selected then
 * @returns whether it was copied
 */
export async function copy(text: string, near: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { value: text, className: "unseen", ariaHidden: "true" });
    near.after(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    near.focus();
    return isCopied;
  }
}
