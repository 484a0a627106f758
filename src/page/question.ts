/**
 * The controls for where the events start, and what else limits the list: a subject, a range of time.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, make } from "./dom.ts";
import { placeInTime, shortened } from "./row_text.ts";
import { lastTimeAt, type View } from "./view.ts";

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
    custom.textContent = Number.isNaN(time)
      ? /^-\d+[smhd]$/.test(since ?? "") ? `Last ${since!.slice(1)}` : "Since an event"
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
    } else if (value === "noon") onChoose(lastTimeAt(12));
    else if (value === "midnight") onChoose(lastTimeAt(0));
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

/** Shows what limits the list, each with a button that ends it. */
export function showChips(
  { subjects, range }: View,
  onChange: (change: Partial<Pick<View, "subjects" | "range">>) => void,
): void {
  const chip = (text: string, title: string, onclick: () => void) => {
    const end = make(
      "button",
      { type: "button", title, ariaLabel: title },
      make("bdi", { textContent: text }),
      " ✕",
    );
    end.onclick = onclick;
    return make("li", {}, end);
  };
  const chips = subjects.map((subject) =>
    chip(shortened(subject), `Stop following ${subject}`, () => {
      onChange({ subjects: subjects.filter((one) => one !== subject) });
    })
  );
  if (range !== undefined) {
    const text = `${placeInTime(range.from)} – ${placeInTime(range.to)}`;
    chips.push(chip(text, "Show all times", () => onChange({ range: undefined })));
  }
  byId("chips").replaceChildren(...chips);
}
