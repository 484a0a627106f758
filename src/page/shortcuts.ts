/**
 * Shortcut keys, and the help that lists them. They can be switched off: speech input types letters too (WCAG 2.1.4).
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, make } from "./dom.ts";
import { load, save } from "./storage.ts";

/** What the keys do. */
export interface Actions {
  pause(): void;
  follow(): void;
  pin(): void;
  copyLink(): void;
  askForAll(): void;
  switchTheme(): void;
}

/** Keys that the list itself handles, for the help. */
const LIST_KEYS: readonly (readonly [keys: readonly string[], label: string])[] = [
  [["↑", "↓", "Page Up", "Page Down", "Home", "End"], "walk through the events"],
  [["Enter"], "go to the details of the event"],
  [["Esc"], "close the details, then go back to the newest event"],
  [["Enter", "Esc"], "in the filter: go to the events; Esc clears it first"],
];

/** Makes the shortcut keys, and their list in the help. */
export function createShortcuts(actions: Actions): void {
  const help = byId<HTMLDialogElement>("help");
  const toggle = byId<HTMLInputElement>("use-shortcuts");
  const all: readonly (readonly [key: string, label: string, run: () => void])[] = [
    ["/", "filter", () => byId("filter").focus()],
    [" ", "pause, and resume", actions.pause],
    ["t", "choose types", focusTypes],
    ["f", "follow the subject of the event", actions.follow],
    ["p", "pin the event, or unpin it", actions.pin],
    ["l", "copy a link to the event", actions.copyLink],
    ["e", "everything that the server has", actions.askForAll],
    ["d", "light or dark colours", actions.switchTheme],
    ["?", "this help", () => help.showModal()],
  ];
  toggle.checked = load<boolean>("localStorage", "shortcuts") ?? true;
  toggle.onchange = () => save("localStorage", "shortcuts", toggle.checked);
  for (const id of ["open-help", "filter-help"]) byId(id).onclick = () => help.showModal();
  byId("help-close").onclick = () => help.close();
  const entries = [
    ...all.map(([key, label]) => [[key === " " ? "Space" : key], label] as const),
    ...LIST_KEYS,
  ];
  byId("shortcuts").replaceChildren(...entries.flatMap(([keys, label]) => [
    make("dt", {}, ...keys.flatMap((key) => [make("kbd", { textContent: key }), " "])),
    make("dd", { textContent: label }),
  ]));

  addEventListener("keydown", (event) => {
    if (!toggle.checked || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (target.closest("input, select, textarea") !== null) return;
    // A button has its own use of the space bar, and a modal dialog leaves the rest of the page alone.
    if (event.key === " " && target.closest("button, summary") !== null) return;
    if (document.querySelector("dialog:modal") !== null) return;
    const [, , run] = all.find(([key]) => key === event.key) ?? [];
    if (run === undefined) return;
    event.preventDefault();
    run();
  });
}

function focusTypes(): void {
  byId<HTMLDetailsElement>("types").open = true;
  byId("all-types").focus();
}
