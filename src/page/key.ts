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
  /** Opens the dialog that asks for it. */
  ask(): void;
}

/** The name under which the session storage has it. */
const STORAGE_NAME = "events-endpoint key";

/**
 * Makes the key.
 *
 * @param onEntered called when a new one was entered
 */
export function createKey(onEntered: () => void): Key {
  const dialog = byId<HTMLDialogElement>("asking");
  const input = byId<HTMLInputElement>("key");
  const stored = () => sessionStorage.getItem(STORAGE_NAME) ?? undefined;

  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    if (input.value === "") return;
    sessionStorage.setItem(STORAGE_NAME, input.value);
    dialog.close();
    onEntered();
  };
  byId("key-cancel").onclick = () => dialog.close();
  dialog.onclose = () => input.value = "";

  return {
    get value() {
      return stored();
    },
    ask: () => {
      if (dialog.open) return;
      const why = stored() === undefined ? "Ask its operator for one." : "The server rejected the key.";
      setText(byId("asking-why"), why);
      dialog.showModal();
    },
  };
}
