/**
 * The address of the page, in which the view stands; and for a reload, where the page was in that view.
 *
 * @module
 */
/// <reference lib="dom" />
import { load, save } from "./storage.ts";
import { formatView, parseView, startingAtItsTime, type View } from "./view.ts";

/** Where the page was when it was left. */
export interface Place {
  /** The query of its address. */
  readonly search: string;
  /** When the oldest event that it had was published, as text. */
  readonly since: string | undefined;
  /** The id of the event that the list was at; `undefined` for the newest. */
  readonly anchor: string | undefined;
}

/** Number of milliseconds between two changes of the address: WebKit allows 100 in 30 seconds. */
const INTERVAL_MS = 350;

let timer: ReturnType<typeof setTimeout> | undefined;

/** Whether two views ask the server the same question. */
export function isSameQuestion(one: View, other: View): boolean {
  const asked = ({ types, subjects, since, last }: View) => JSON.stringify([types, subjects, since, last]);
  return asked(one) === asked(other);
}

/** The state of a step of the history that opened the sheet with the details. */
const SHEET = "sheet";

/** Whether the browser goes back from here by closing the sheet. */
export function isAtSheet(): boolean {
  return history.state === SHEET;
}

/**
 * Adds the view to the history of the tab: a step to go back from.
 *
 * @param before the view to go back to, which may not be in the address yet
 * @param opensSheet whether the step opens the sheet, and asks for nothing
 */
export function pushView(view: View, before: View, opensSheet: boolean = false): void {
  if (timer !== undefined) history.replaceState(history.state, "", addressOf(before));
  forgetTimer();
  history.pushState(opensSheet ? SHEET : null, "", addressOf(view));
}

/**
 * Writes the view into the address, soon: the current one at that time.
 *
 * @param current returns the view
 */
export function replaceView(current: () => View): void {
  timer ??= setTimeout(() => {
    forgetTimer();
    history.replaceState(history.state, "", addressOf(current()));
  }, INTERVAL_MS);
}

function forgetTimer(): void {
  clearTimeout(timer);
  timer = undefined;
}

function addressOf(view: View): string {
  return `${location.pathname}${formatView(view, location.search)}`;
}

/** Keeps the place for a reload. A change of the address would come too late for one. */
export function keepPlace(view: View, place: Omit<Place, "search">): void {
  save("sessionStorage", "place", { ...place, search: formatView(view, location.search) });
}

/** Returns the view to begin with, and the place in it if the page was reloaded. */
export function firstView(): { readonly view: View; readonly place: Place | undefined } {
  const view = parseView(location.search);
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const place = navigation?.type === "navigate" ? undefined : load<Place>("sessionStorage", "place");
  const before = typeof place?.search === "string" ? parseView(place.search) : undefined;
  if (before !== undefined && isSameQuestion(view, before)) return { view: before, place };
  return { view: startingAtItsTime(view), place: undefined };
}
