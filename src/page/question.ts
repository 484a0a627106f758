/**
 * The controls for where the events start, and what else limits the list: a subject, a range of time.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Dictionary } from "../client/mod.ts";
import { button, byId, make } from "./dom.ts";
import { placeInTime, shortened, subjectName } from "./row_text.ts";
import { durationText, lastTimeAt, type View } from "./view.ts";

/** Makes the choice of where the events start. */
export interface SinceChoice {
  /** Shows what is chosen. */
  show(view: View): void;
}

/**
 * Makes the choice in its place on the page.
 *
 * @param onChoose called with a time, a duration back, `earliest` or `latest`; `undefined` for the last events
 */
export function createSinceChoice(onChoose: (since: string | undefined) => void): SinceChoice {
  const select = byId<HTMLSelectElement>("since");
  const dialog = byId<HTMLDialogElement>("asking-time");
  const input = byId<HTMLInputElement>("since-time");
  const custom = select.querySelector<HTMLOptionElement>("[value=custom]")!;
  let shown: View | undefined;

  function show(view: View): void {
    shown = view;
    const { since, last } = view;
    select.options[0]!.textContent = `Last ${last.toLocaleString("en")} events`;
    const known = [...select.options].find(({ value }) => value === (since ?? "") && value !== "custom");
    custom.hidden = known !== undefined;
    const time = Date.parse(since ?? "");
    const duration = durationText(since ?? "");
    custom.textContent = duration !== undefined
      ? `Last ${duration}`
      : Number.isNaN(time)
      ? "Since an event"
      : `Since ${placeInTime(time)}`;
    select.value = known?.value ?? "custom";
  }

  select.onchange = () => {
    const { value } = select;
    if (value === "time") {
      show(shown!);
      const hourAgo = Date.now() - 3_600_000;
      const local = new Date(hourAgo - new Date(hourAgo).getTimezoneOffset() * 60_000);
      if (input.value === "") input.value = local.toISOString().slice(0, "2026-11-28T12:00".length);
      dialog.showModal();
    } else if (value === "noon") onChoose(lastTimeAt("noon"));
    else if (value === "midnight") onChoose(lastTimeAt("midnight"));
    else onChoose(value === "" ? undefined : value);
  };
  byId("time-form").onsubmit = (event) => {
    event.preventDefault();
    const time = new Date(input.value); // Without a zone it is the local one.
    dialog.close();
    if (!Number.isNaN(time.getTime())) onChoose(time.toISOString());
  };
  byId("time-cancel").onclick = () => dialog.close();
  return { show };
}

/** What limits the list. */
export interface Chips {
  /** Shows what limits it, each with a button that ends it. */
  show(view: View): void;
  /** Notes an event, which may name the subject that is followed. */
  note(event: Dictionary): void;
}

/** Callbacks of the chips. */
export interface ChipsListener {
  /** A subject is no longer to be followed. */
  onUnfollow(subject: string): void;
  /** The range of time is to end. */
  onAllTimes(): void;
}

/** Makes the chips in their place on the page. */
export function createChips({ onUnfollow, onAllTimes }: ChipsListener): Chips {
  /** The names of the subjects that are hashes. */
  const names = new Map<string, string>();
  let shown: Pick<View, "subjects" | "range"> = { subjects: [], range: undefined };

  function chip(text: string, title: string, onclick: () => void): HTMLElement {
    const end = button("", onclick);
    Object.assign(end, { title, ariaLabel: title });
    end.append("✕ ", make("bdi", { textContent: text }));
    return make("li", {}, end);
  }

  function draw(): void {
    const { subjects, range } = shown;
    const chips = subjects.map((subject) => {
      const name = names.get(subject) ?? shortened(subject);
      return chip(name, `Stop following ${name}`, () => onUnfollow(subject));
    });
    if (range !== undefined) {
      const text = `${placeInTime(range.from)} – ${placeInTime(range.to)}`;
      const ofRange = chip(text, "Show all times", onAllTimes);
      ofRange.className = "range";
      chips.push(ofRange);
    }
    byId("chips").replaceChildren(...chips);
  }

  return {
    show: (view) => {
      shown = view;
      draw();
    },
    note: (event) => {
      const subject = shown.subjects.find((one) => one === event["subject"]);
      if (subject === undefined || names.has(subject) || shortened(subject) === subject) return;
      const name = subjectName(event);
      if (name === undefined) return;
      names.set(subject, name);
      draw();
    },
  };
}
