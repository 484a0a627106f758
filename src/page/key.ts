/**
 * The API key: asked for when the server requires one, and kept for this tab. It is sent in a header and never put into an
 * address.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId, setText } from "./dom.ts";

/** The key of this tab. */
export interface Key {
  /** The key, if there is one. */
  readonly value: string | undefined;
  /** Asks the person for it. */
  ask(): void;
}

const PLACE = "events-endpoint key";

/**
 * Makes the key.
 *
 * @param onGiven called when a new one was entered
 */
export function createKey(onGiven: () => void): Key {
  const dialog = byId<HTMLDialogElement>("asking");
  const input = byId<HTMLInputElement>("key");
  const stored = () => sessionStorage.getItem(PLACE) ?? undefined;

  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    if (input.value === "") return;
    sessionStorage.setItem(PLACE, input.value);
    dialog.close();
    onGiven();
  };
  byId("key-cancel").onclick = () => dialog.close();
  dialog.onclose = () => input.value = "";

  return {
    get value() {
      return stored();
    },
    ask: () => {
      if (dialog.open) return;
      const why = stored() === undefined
        ? "Whoever started it has set one (--api-key)."
        : "The key that was given is not the one it wants.";
      setText(byId("asking-why"), why);
      dialog.showModal();
    },
  };
}
