/**
 * Notices: events that were lost, and why the list is empty.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Dictionary } from "../client/mod.ts";
import { byId, setText } from "./dom.ts";
import { type Emptiness, emptyText, type Remedy } from "./empty_text.ts";
import { timeOf } from "../text/event_text.ts";
import { type Loss, lossesText } from "./status_text.ts";

/** The notice of events that were lost. */
export interface LossNotice {
  /** Whether the server reported since the last {@linkcode clear} that it no longer keeps what was asked for. */
  readonly isExpired: boolean;
  /** Adds the loss that an event reports. */
  add(event: Dictionary): void;
  clear(): void;
}

/** Makes the notice of events that were lost. */
export function createLossNotice(): LossNotice {
  let losses: readonly Loss[] = [];
  let isExpired = false;

  function show(now: readonly Loss[]): void {
    losses = now;
    const text = lossesText(losses);
    setText(byId("lost"), text);
    byId("lost").title = text;
    byId("losses").hidden = losses.length === 0;
  }

  byId("lost-dismiss").onclick = () => show([]);
  return {
    get isExpired() {
      return isExpired;
    },
    add: (event) => {
      const { count, reason } = event.event as { count: number | null; reason: string };
      isExpired ||= reason === "history_expired";
      show([...losses, { count: count ?? undefined, reason, time: timeOf(event).getTime() }]);
    },
    clear: () => {
      isExpired = false;
      show([]);
    },
  };
}

/** Makes the buttons below an empty list. */
export function createRemedies(run: (remedy: Remedy) => void): void {
  for (const button of remedyButtons()) button.onclick = () => run(button.dataset["remedy"] as Remedy);
}

/** Explains why the list is empty; `undefined` if it is not. */
export function showEmptiness(emptiness: Emptiness | undefined): void {
  const empty = byId("empty");
  empty.hidden = emptiness === undefined;
  if (emptiness === undefined) return;
  const { why, what, remedies } = emptyText(emptiness);
  empty.style.top = `min(${byId("rows").style.height}, 50%)`; // Below the rows of lost events.
  setText(byId("empty-why"), why);
  setText(byId("empty-what"), what);
  for (const button of remedyButtons()) {
    button.hidden = !remedies.includes(button.dataset["remedy"] as Remedy);
  }
}

function remedyButtons(): NodeListOf<HTMLButtonElement> {
  return document.querySelectorAll<HTMLButtonElement>("#empty [data-remedy]");
}
