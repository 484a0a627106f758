/**
 * The list of events: it renders only the rows that fit on the screen, however many events there are.
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
  /** A record was chosen; by the keyboard if it is to get the focus. */
  onOpen(record: EventRecord, byKeyboard: boolean): void;
  /** The keyboard has moved to another record. */
  onMove(record: EventRecord): void;
  /** Escape was pressed; returns whether it closed something else. */
  onEscape(): boolean;
}

/** A row, and the record that it shows. */
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
  const rows: Row[] = [];
  /** The record at the keyboard cursor. */
  let active: EventRecord | undefined;
  /** The number of records added when the list was last drawn. */
  let drawn = 0;
  let height = rowHeight(scroller);
  new ResizeObserver(() => {
    height = rowHeight(scroller);
    draw();
  }).observe(scroller);

  function draw(): void {
    const { length } = records.matching;
    const added = records.added - drawn;
    drawn = records.added;
    let top = scroller.scrollTop;
    body.style.height = `${length * height}px`;
    // The rows in sight stay in place when others are added above them.
    if (added > 0 && (top > 0 || active !== undefined)) {
      scroller.scrollTop = top + added * height;
      top = scroller.scrollTop; // It may not go as far.
    }
    const first = Math.max(0, Math.min(Math.floor(top / height), length - 1));
    const count = Math.min(length - first, Math.ceil(scroller.clientHeight / height) + 1);
    setRowCount(rows, count, body);
    body.style.paddingTop = `${first * height}px`;
    if (active !== undefined && placeOf(active, records) < 0) active = undefined;
    for (const [i, row] of rows.entries()) fillRow(row, recordAt(first + i, records)!, first + i, active);
    markActive(scroller, rows, active);
    scroller.setAttribute("aria-rowcount", `${length}`);
    newer.hidden = first === 0;
    setText(newer, `↑ ${first.toLocaleString("en")} newer`);
    byId("empty").hidden = length > 0;
  }

  function moveTo(place: number): void {
    draw(); // Records that arrived since the last frame change the places.
    const record = recordAt(Math.max(0, Math.min(place, records.matching.length - 1)), records);
    if (record === undefined) return;
    active = record;
    scrollTo(scroller, placeOf(record, records) * height, height);
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
    const current = active === undefined ? -1 : placeOf(active, records);
    const rowsPerPage = Math.max(1, Math.floor(scroller.clientHeight / height) - 1);
    const place = placeForKey(event.key, current, rowsPerPage, records.matching.length - 1);
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

/** Returns the height of a row in pixels, which the style sheet sets. */
function rowHeight(scroller: HTMLElement): number {
  return parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
}

/** Returns the record at a place; 0 is the newest. */
function recordAt(place: number, { matching }: Records): EventRecord | undefined {
  return matching.at(matching.length - 1 - place);
}

/** Returns the place of a record; 0 is the newest, and -1 means that the filter hides it. */
function placeOf(record: EventRecord, { matching }: Records): number {
  let [low, high] = [0, matching.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (matching.at(middle)!.n < record.n) low = middle + 1;
    else high = middle;
  }
  return matching.at(low) === record ? matching.length - 1 - low : -1;
}

/** Returns the place to which a key moves; `undefined` for other keys. */
function placeForKey(key: string, current: number, rowsPerPage: number, last: number): number | undefined {
  const places: Readonly<Record<string, number>> = {
    ArrowDown: current + 1,
    ArrowUp: current - 1,
    PageDown: current + rowsPerPage,
    PageUp: current - rowsPerPage,
    Home: 0,
    End: last,
  };
  return places[key];
}

/** Scrolls no further than it takes to show the row at `top`. */
function scrollTo(scroller: HTMLElement, top: number, height: number): void {
  const room = scroller.clientHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + height > scroller.scrollTop + room) scroller.scrollTop = top + height - room;
}

function setRowCount(rows: Row[], count: number, body: HTMLElement): void {
  while (rows.length < count) rows.push(addRow(body));
  while (rows.length > count) rows.pop()!.element.remove();
}

function addRow(body: HTMLElement): Row {
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

function fillRow(row: Row, record: EventRecord, place: number, active: EventRecord | undefined): void {
  row.element.ariaRowIndex = `${place + 1}`;
  row.element.ariaSelected = `${record === active}`;
  if (row.record === record) return;
  row.record = record;
  row.element.id = `event-${record.n}`;
  row.element.dataset["group"] = record.group;
  row.time.textContent = record.clock;
  row.type.textContent = record.type;
  row.summary.textContent = record.summary;
}

/** Points screen readers to the active row, if it is in sight. */
function markActive(scroller: HTMLElement, rows: readonly Row[], active: EventRecord | undefined): void {
  const isInSight = active !== undefined && rows.some(({ record }) => record === active);
  if (isInSight) scroller.setAttribute("aria-activedescendant", `event-${active.n}`);
  else scroller.removeAttribute("aria-activedescendant");
}
