/**
 * The details of one event: beside the list if there is room, or else in a sheet at the bottom of the window. Neither is modal:
 * the list goes on to take keys and clicks.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { clock } from "../text/event_text.ts";
import { jsonTextLine } from "../text/printable.ts";
import { eventsUrl } from "./events_url.ts";
import { copy } from "./clipboard.ts";
import { curlCommand } from "./commands.ts";
import { byId, make, setText } from "./dom.ts";
import { summaryNodes, typeNodes } from "./event_nodes.ts";
import type { EventRecord } from "./records.ts";
import { shortened } from "./row_text.ts";
import { linkTo } from "./view.ts";

/** The details of an event. */
export interface Details {
  readonly isOpen: boolean;
  /** Whether they stand beside the list, in a place of their own. */
  readonly isBeside: boolean;
  /** The record that is shown. */
  readonly shown: EventRecord | undefined;
  /** Shows a record; `takesFocus` moves the keyboard there. */
  show(record: EventRecord, takesFocus: boolean): void;
  close(): void;
  /** Copies a link to the event that is shown. */
  copyLink(): void;
  /** Says whether the subject of the record is followed. */
  mark(): void;
}

/** Callbacks of the details. */
export interface DetailsListener {
  /** Whether the server requires a key. */
  hasKey(): boolean;
  onClose(): void;
  /** The next older or newer event was asked for. */
  onStep(rows: number): void;
  isFollowed(subject: string): boolean;
  /** The subject is to be followed, or no longer. */
  onFollow(subject: string): void;
}

/** Maximum number of characters of JSON that are coloured. */
const MAX_COLOURED = 50_000;
/** Number of milliseconds for which a button confirms that it has copied. */
const CONFIRMATION_MS = 1500;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;

/** Makes the details in their place on the page. */
export function createDetails(listener: DetailsListener): Details {
  const { hasKey, onClose, onStep, isFollowed, onFollow } = listener;
  const dialog = byId<HTMLDialogElement>("details");
  const heading = byId("details-type");
  const copyJson = byId<HTMLButtonElement>("copy-json");
  const copyCurl = byId<HTMLButtonElement>("copy-curl");
  const copyLinkButton = byId<HTMLButtonElement>("copy-link");
  const follow = byId<HTMLButtonElement>("follow");
  const wide = matchMedia("(min-width: 44rem)");
  let shown: EventRecord | undefined;
  /** What had the focus when they were opened. */
  let opener: HTMLElement | undefined;

  function copyLink(): void {
    if (shown?.id === undefined) return;
    const { origin, pathname, search } = location;
    void copyFor(copyLinkButton, `${origin}${pathname}${linkTo(shown.id, shown.time, search)}`);
  }

  function mark(): void {
    setText(follow, isFollowed(shown?.subject ?? "") ? "Unfollow" : "Follow");
  }

  copyJson.onclick = () => void copyFor(copyJson, shown!.json);
  copyCurl.onclick = () => void copyFor(copyCurl, curlCommand(shown!.json, eventsUrl(), hasKey()));
  copyLinkButton.onclick = copyLink;
  follow.onclick = () => {
    const { subject } = shown!;
    if (!wide.matches) dialog.close();
    onFollow(subject!);
  };
  byId("details-older").onclick = () => onStep(1);
  byId("details-newer").onclick = () => onStep(-1);
  byId("details-close").onclick = () => dialog.close();
  dialog.onclose = () => {
    const { activeElement } = document;
    if (activeElement === document.body || dialog.contains(activeElement)) {
      opener?.focus({ preventScroll: true });
    }
    onClose();
  };
  // A tap elsewhere closes the sheet, and does what it does there. A row or a pin is the next one to show, or is
  // taken away.
  addEventListener("click", ({ target }) => {
    if (wide.matches || !dialog.open || (target as Element).closest("#details, .row, #pins") !== null) {
      return;
    }
    dialog.close();
  }, true);
  listenToKeys(dialog, onStep);
  return {
    get isOpen() {
      return dialog.open;
    },
    get isBeside() {
      return wide.matches;
    },
    get shown() {
      return dialog.open ? shown : undefined;
    },
    copyLink,
    mark,
    close: () => dialog.close(),
    show: (record, takesFocus) => {
      shown = record;
      fill(dialog, record);
      mark();
      const wasOpen = dialog.open;
      if (!wasOpen) {
        opener = document.activeElement as HTMLElement;
        dialog.open = true; // show() would move the focus to a button, and WebKit would scroll the page to it.
      }
      if (takesFocus || (!wide.matches && !wasOpen)) heading.focus({ preventScroll: true });
    },
  };
}

/** Lets Escape close the details, and the arrow keys walk through the events. */
function listenToKeys(dialog: HTMLDialogElement, onStep: (rows: number) => void): void {
  dialog.onkeydown = (event) => {
    // The browser closes only modal dialogs at Escape.
    if (event.key === "Escape") dialog.close();
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    // The arrows scroll the JSON where that has the focus.
    if (step === 0 || (event.target as HTMLElement).id === "details-json") return;
    event.preventDefault();
    onStep(step);
  };
}

/** Copies a text, and confirms it on the button for a moment. */
async function copyFor(button: HTMLButtonElement, text: string): Promise<void> {
  const label = button.dataset["label"] ??= button.textContent!;
  button.style.minWidth = getComputedStyle(button).width; // The buttons after it stay where they are.
  button.textContent = await copy(text, button) ? "Copied" : "Failed";
  setTimeout(() => button.textContent = label, CONFIRMATION_MS);
}

/** Fills the details with a record. */
function fill(dialog: HTMLElement, record: EventRecord): void {
  const { type, subject, group, time, id, json } = record;
  dialog.dataset["group"] = group;
  const heading = byId("details-type");
  heading.replaceChildren(...typeNodes(type));
  heading.title = type;
  setText(byId("details-time"), timeText(new Date(time)));
  byId("details-summary").replaceChildren(...summaryNodes(record));
  byId("details-about").hidden = byId("follow").hidden = subject === undefined;
  const about = byId("details-subject");
  setText(about, shortened(subject ?? ""));
  about.title = subject ?? "";
  const isLoss = type === "events_lost"; // Only the server can send it.
  byId("copy-curl").hidden = isLoss;
  byId("copy-link").hidden = isLoss || id === undefined;
  byId("details-json").replaceChildren(...coloured(shownJson(json)));
}

/** Formats the time, to the millisecond. */
function timeText(time: Date): string {
  const day = time.toLocaleDateString("en", { dateStyle: "long" });
  return `${day}, ${clock(time)}.${`${time.getMilliseconds()}`.padStart(3, "0")}`;
}

/** Indents JSON, and escapes in it what would change the direction of the text after it. */
function shownJson(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 2).split("\n").map(jsonTextLine).join("\n");
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
    parts.push(make("bdi", { className }, ...typeNodes(text ?? token)));
    end = match.index + (text ?? token).length;
  }
  parts.push(json.slice(end));
  return parts;
}
