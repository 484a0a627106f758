/**
 * The list of events: it has as many rows as fit on the screen, however many events there are.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, make, setText } from "./dom.ts";
import type { EventRecord, Records } from "./records.ts";

/** The list. */
export interface List {
  /** Draws the records as they are now. */
  draw(): void;
  /** Scrolls to the newest record, and stays there. */
  follow(): void;
  focus(): void;
}

/** Callbacks of the list. */
export interface ListListener {
  /** A record was chosen, by the keyboard if it is to be focused. */
  onOpen(record: EventRecord, byKeyboard: boolean): void;
  /** The keyboard has moved to another record. */
  onMove(record: EventRecord): void;
  /** Escape was pressed; returns whether it closed something else. */
  onEscape(): boolean;
}

/** A row and what it shows. */
interface Row {
  readonly element: HTMLElement;
  readonly time: HTMLElement;
  readonly type: HTMLElement;
  readonly summary: HTMLElement;
  record: EventRecord | undefined;
}

/** Makes the list in its place on the page. */
export function createList(records: Records, { onOpen, onMove, onEscape }: ListListener): List {
  const scroller = byId("list");
  const body = byId("rows");
  const newer = byId<HTMLButtonElement>("newer");
  const empty = byId("empty");
  const rows: Row[] = [];
  /** The record at the keyboard cursor. */
  let active: EventRecord | undefined;
  /** The number of records added when it was last drawn. */
  let drawn = 0;

  const rowHeight = () => parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
  let height = rowHeight();
  new ResizeObserver(() => {
    height = rowHeight();
    draw();
  }).observe(scroller);

  /** Returns the record at this place, counted from the newest. */
  const fromNewest = (index: number) => records.shown.at(records.shown.length - 1 - index);

  /** Returns the place of a record, counted from the newest; -1 if it is not shown. */
  function placeOf(record: EventRecord): number {
    let [low, high] = [0, records.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (records.shown.at(middle)!.n < record.n) low = middle + 1;
      else high = middle;
    }
    return records.shown.at(low) === record ? records.shown.length - 1 - low : -1;
  }

  function draw(): void {
    const { length } = records.shown;
    const added = records.added - drawn;
    drawn = records.added;
    let top = scroller.scrollTop;
    body.style.height = `${length * height}px`;
    // What a person looks at stays in place when rows are added above it.
    if (added > 0 && (top > 0 || active !== undefined)) {
      scroller.scrollTop = top + added * height;
      top = scroller.scrollTop; // It may not go as far.
    }
    const room = scroller.clientHeight;
    const first = Math.max(0, Math.min(Math.floor(top / height), length - 1));
    const count = Math.min(length - first, Math.ceil(room / height) + 1);
    while (rows.length < count) rows.push(addRow());
    while (rows.length > count) rows.pop()!.element.remove();
    body.style.paddingTop = `${first * height}px`;
    for (const [i, row] of rows.entries()) fill(row, fromNewest(first + i)!, first + i);
    if (active !== undefined && placeOf(active) < 0) active = undefined;
    const isInSight = active !== undefined && rows.some(({ record }) => record === active);
    if (isInSight) scroller.setAttribute("aria-activedescendant", `event-${active!.n}`);
    else scroller.removeAttribute("aria-activedescendant");
    scroller.setAttribute("aria-rowcount", `${length}`);
    newer.hidden = first === 0;
    setText(newer, `↑ ${first.toLocaleString("en")} newer`);
    empty.hidden = length > 0;
  }

  function addRow(): Row {
    const cell = (className: string) => {
      const element = make("span", { className });
      element.setAttribute("role", "gridcell");
      return element;
    };
    const [time, type, summary] = [cell("time"), cell("type"), cell("summary")];
    const element = make("div", { className: "row" }, time, type, summary);
    element.setAttribute("role", "row");
    body.append(element);
    return { element, time, type, summary, record: undefined };
  }

  function fill(row: Row, record: EventRecord, index: number): void {
    row.element.ariaRowIndex = `${index + 1}`;
    row.element.ariaSelected = `${record === active}`;
    if (row.record === record) return;
    row.record = record;
    row.element.id = `event-${record.n}`;
    row.element.dataset["kind"] = record.kind;
    row.time.textContent = record.clock;
    row.type.textContent = record.type;
    row.summary.textContent = record.summary;
  }

  function moveTo(place: number): void {
    draw(); // What came since the last frame has its place before anything is reckoned from it.
    const record = fromNewest(Math.max(0, Math.min(place, records.shown.length - 1)));
    if (record === undefined) return;
    active = record;
    const top = placeOf(record) * height;
    const room = scroller.clientHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + height > scroller.scrollTop + room) scroller.scrollTop = top + height - room;
    draw();
    onMove(record);
  }

  function follow(): void {
    active = undefined;
    scroller.scrollTop = 0;
    draw();
  }

  scroller.onscroll = draw;
  scroller.onclick = ({ target }) => {
    const row = rows.find(({ element }) => element.contains(target as Node));
    if (row?.record === undefined) return;
    active = row.record;
    draw();
    onOpen(row.record, false);
  };
  scroller.onkeydown = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const at = active === undefined ? -1 : placeOf(active);
    const page = Math.max(1, Math.floor(scroller.clientHeight / height) - 1);
    const places: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: records.shown.length - 1,
    };
    const place = places[event.key];
    if (place !== undefined) moveTo(place);
    else if ((event.key === "Enter" || event.key === " ") && active !== undefined) onOpen(active, true);
    else if (event.key !== "Escape") return;
    else if (!onEscape()) follow();
    event.preventDefault();
  };
  newer.onclick = () => {
    follow();
    scroller.focus();
  };
  return { draw, follow, focus: () => scroller.focus() };
}
