/**
 * The details of one event: beside the list if there is room, or else in a dialog above it.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { clock } from "../text/event_text.ts";
import { eventsUrl } from "./events_url.ts";
import { copy } from "./clipboard.ts";
import { curlCommand } from "./commands.ts";
import { byId, make, setText } from "./dom.ts";
import type { EventRecord } from "./records.ts";

/** The details of an event. */
export interface Details {
  readonly isOpen: boolean;
  /** Shows a record; `takesFocus` moves the keyboard there. */
  show(record: EventRecord, takesFocus: boolean): void;
  close(): void;
}

/** Maximum number of characters of JSON that are coloured. */
const MAX_COLOURED = 50_000;
/** Number of milliseconds for which a button confirms that it has copied. */
const CONFIRMATION_MS = 1500;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;

/**
 * Makes the details in their place on the page.
 *
 * @param hasKey returns whether the server requires a key
 * @param onClose called when they are closed
 */
export function createDetails(hasKey: () => boolean, onClose: () => void): Details {
  const dialog = byId<HTMLDialogElement>("details");
  const heading = byId("details-type");
  const copyJson = byId<HTMLButtonElement>("copy-json");
  const copyCurl = byId<HTMLButtonElement>("copy-curl");
  const isWide = matchMedia("(min-width: 64rem)");
  let shown: EventRecord | undefined;

  /** Copies a text, and confirms it on the button for a moment. */
  async function copyFor(button: HTMLButtonElement, text: string): Promise<void> {
    const label = button.dataset["label"] ??= button.textContent!;
    button.textContent = await copy(text, button) ? "Copied" : "Cannot copy";
    setTimeout(() => button.textContent = label, CONFIRMATION_MS);
  }

  copyJson.onclick = () => void copyFor(copyJson, shown!.json);
  copyCurl.onclick = () => void copyFor(copyCurl, curlCommand(shown!.json, eventsUrl(), hasKey()));
  byId("details-close").onclick = () => dialog.close();
  dialog.onclose = onClose;
  // The browser closes only modal dialogs at Escape.
  dialog.onkeydown = (event) => {
    if (event.key === "Escape") dialog.close();
  };
  isWide.onchange = () => {
    if (dialog.open) dialog.close();
  };

  return {
    get isOpen() {
      return dialog.open;
    },
    close: () => dialog.close(),
    show: (record, takesFocus) => {
      shown = record;
      dialog.dataset["group"] = record.group;
      setText(heading, record.type);
      setText(byId("details-time"), timeText(new Date(record.time)));
      setText(byId("details-summary"), record.summary);
      copyCurl.hidden = record.type === "events_lost"; // Only the server can send it.
      byId("details-json").replaceChildren(...coloured(JSON.stringify(JSON.parse(record.json), null, 2)));
      const before = document.activeElement as HTMLElement | null;
      if (!dialog.open && isWide.matches) dialog.show();
      else if (!dialog.open) dialog.showModal();
      if (takesFocus || !isWide.matches) heading.focus();
      else before?.focus();
    },
  };
}

/** Formats the time, to the millisecond. */
function timeText(time: Date): string {
  const day = time.toLocaleDateString("en", { dateStyle: "long" });
  return `${day}, ${clock(time)}.${`${time.getMilliseconds()}`.padStart(3, "0")}`;
}

/** Colours JSON by keys, texts and other values. */
function coloured(json: string): (Node | string)[] {
  if (json.length > MAX_COLOURED) return [json];
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of json.matchAll(TOKEN)) {
    const [token, text, colon] = match;
    parts.push(json.slice(end, match.index));
    const className = text === undefined ? "value" : colon === undefined ? "text" : "name";
    const textContent = text ?? token;
    parts.push(make("span", { className, textContent }));
    end = match.index + textContent.length;
  }
  parts.push(json.slice(end));
  return parts;
}
