/**
 * Copies text, also if the browser denies the page its clipboard: one loaded by plain HTTP from another machine.
 *
 * @module
 */
/// <reference lib="dom" />
import { make } from "./dom.ts";

/**
 * Copies the text.
 *
 * @param near an element beside which text can be selected; while a modal dialog is open, one inside it
 * @returns whether the text was copied
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
