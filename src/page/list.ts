/**
 * The list of events: it renders only the rows that fit on the screen, however many events there are.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, make, setText } from "./dom.ts";
import { subjectNodes, summaryNodes } from "./event_nodes.ts";
import type { EventRecord, Records } from "./records.ts";
import { placeInTime } from "./row_text.ts";

/** The least and the most pixels that the column of the types takes. */
const MIN_TYPE_WIDTH = 140;
const MAX_TYPE_WIDTH = 320;

/** The list. */
export interface List {
  /** Draws the records as they are now. */
  draw(): void;
  /** Scrolls to the newest record, and stays there. */
  follow(): void;
  /** Moves the keyboard cursor to a record, and scrolls to it; `undefined` for none. */
  select(record: EventRecord | undefined): void;
  /** Moves the keyboard cursor by this number of rows. */
  step(rows: number): void;
  /** Makes the column of the types wide enough for this one, as far as there is room. */
  fitType(type: string): void;
  /** Shows between which records the list was paused, and when; `undefined` for nowhere. */
  mark(text: string | undefined): void;
  /** The record at the keyboard cursor, or else the first one in sight if the list is scrolled away from the newest. */
  readonly anchor: EventRecord | undefined;
  readonly active: EventRecord | undefined;
  focus(): void;
}

/** Callbacks of the list. */
export interface ListListener {
  /** A record was chosen; by the keyboard if it is to get the focus. */
  onOpen(record: EventRecord, byKeyboard: boolean): void;
  /** The keyboard has moved to another record. */
  onMove(record: EventRecord): void;
  /** The subject of a record was clicked. */
  onSubject(subject: string): void;
  /** Escape was pressed; returns whether it closed something else. */
  onEscape(): boolean;
}

/** A row, and the record that it shows. */
interface Row {
  readonly element: HTMLElement;
  readonly time: HTMLElement;
  readonly type: HTMLElement;
  readonly summary: HTMLElement;
  readonly marker: HTMLElement;
  record: EventRecord | undefined;
}

/** Makes the list in its place on the page. */
export function createList(records: Records, { onOpen, onMove, onSubject, onEscape }: ListListener): List {
  const scroller = byId("list");
  const body = byId("rows");
  const newer = byId<HTMLButtonElement>("newer");
  const rows: Row[] = [];
  /** The record at the keyboard cursor. */
  let active: EventRecord | undefined;
  /** The number of records added when the list was last drawn, and which list that was. */
  let drawn = 0;
  let generation = records.generation;
  let markText: string | undefined;
  let typeWidth = MIN_TYPE_WIDTH;
  let height = rowHeight(scroller);
  new ResizeObserver(() => {
    const top = scroller.scrollTop / height;
    height = rowHeight(scroller);
    scroller.scrollTop = top * height;
    draw();
  }).observe(scroller);

  function draw(): void {
    const { length } = records.matching;
    const isNew = records.generation !== generation;
    const added = isNew ? 0 : records.added - drawn;
    [generation, drawn] = [records.generation, records.added];
    body.style.height = `${length * height}px`;
    if (active !== undefined && placeOf(active, records) < 0) active = undefined;
    if (isNew) scroller.scrollTop = active === undefined ? 0 : placeOf(active, records) * height;
    let top = scroller.scrollTop;
    // The rows in sight stay in place when others are added above them.
    if (added > 0 && (top > 0 || active !== undefined)) {
      scroller.scrollTop = top + added * height;
      top = scroller.scrollTop; // It may not go as far.
    }
    const first = Math.max(0, Math.min(Math.floor(top / height), length - 1));
    const count = Math.min(length - first, Math.ceil(scroller.clientHeight / height) + 1);
    setRowCount(rows, count, body);
    body.style.paddingTop = `${first * height}px`;
    for (const [i, row] of rows.entries()) {
      const record = recordAt(first + i, records)!;
      fillRow(row, record, first + i, active);
      const isMarked = markText !== undefined && record.n <= records.mark &&
        (recordAt(first + i - 1, records)?.n ?? 0) > records.mark;
      row.element.classList.toggle("marked", isMarked);
      setText(row.marker, isMarked ? markText! : "");
    }
    markActive(scroller, rows, active);
    scroller.setAttribute("aria-rowcount", `${length}`);
    newer.hidden = first === 0;
    setText(newer, `↑ ${first.toLocaleString("en")} newer`);
  }

  function moveTo(place: number): void {
    draw(); // Records that arrived since the last frame change the places.
    const record = recordAt(Math.max(0, Math.min(place, records.matching.length - 1)), records);
    if (record === undefined) return;
    select(record);
    onMove(record);
  }

  function select(record: EventRecord | undefined): void {
    active = record;
    if (record !== undefined) {
      draw();
      scrollTo(scroller, placeOf(record, records) * height, height);
    }
    draw();
  }

  function follow(): void {
    active = undefined;
    scroller.scrollTop = 0;
    draw();
  }

  const currentPlace = () => active === undefined ? -1 : placeOf(active, records);

  scroller.onscroll = draw;
  scroller.onclick = ({ target }) => {
    const record = rows.find(({ element }) => element.contains(target as Node))?.record;
    if (record === undefined) return;
    if ((target as HTMLElement).classList.contains("subject")) return onSubject(record.subject!);
    active = record;
    draw();
    onOpen(record, false);
  };
  scroller.onkeydown = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const rowsPerPage = Math.max(1, Math.floor(scroller.clientHeight / height) - 1);
    const place = placeForKey(event.key, currentPlace(), rowsPerPage, records.matching.length - 1);
    if (place !== undefined) moveTo(place);
    else if (event.key === "Enter" && active !== undefined) onOpen(active, true);
    else if (event.key !== "Escape") return;
    else if (!onEscape()) follow();
    event.preventDefault();
  };
  newer.onclick = () => {
    follow();
    scroller.focus();
  };
  return {
    draw,
    follow,
    select,
    fitType: (type) => {
      const width = widthOf(type, body);
      if (width <= typeWidth) return;
      typeWidth = width;
      scroller.style.setProperty("--type-width", `${typeWidth}px`);
    },
    step: (by) => moveTo(currentPlace() + by),
    mark: (text) => {
      markText = text;
      draw();
    },
    get anchor() {
      return active ??
        (scroller.scrollTop > 0 ? recordAt(Math.floor(scroller.scrollTop / height), records) : undefined);
    },
    get active() {
      return active;
    },
    focus: () => scroller.focus(),
  };
}

/** Returns how wide the column of the types has to be for a type, in pixels. */
function widthOf(type: string, body: HTMLElement): number {
  const probe = make("span", { className: "type probe", textContent: type });
  body.append(probe);
  const width = probe.offsetWidth + 1;
  probe.remove();
  return Math.min(MAX_TYPE_WIDTH, width);
}

/** Returns the height of a row in pixels, which the style sheet sets. */
function rowHeight(scroller: HTMLElement): number {
  return parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
}

/** Returns the record at a place; 0 is the newest. */
function recordAt(place: number, { matching }: Records): EventRecord | undefined {
  return place < 0 ? undefined : matching.at(matching.length - 1 - place);
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
  const marker = make("span", { className: "marker" });
  const element = make("div", { className: "row" }, time, type, summary, marker);
  marker.setAttribute("role", "gridcell");
  element.setAttribute("role", "row");
  body.append(element);
  return { element, time, type, summary, marker, record: undefined };
}

function fillRow(row: Row, record: EventRecord, place: number, active: EventRecord | undefined): void {
  row.element.ariaRowIndex = `${place + 1}`;
  row.element.ariaSelected = `${record === active}`;
  if (row.record === record) return;
  row.record = record;
  row.element.id = `event-${record.n}`;
  row.element.dataset["group"] = record.group;
  row.time.textContent = placeInTime(record.time);
  row.type.textContent = record.type;
  row.type.title = record.type;
  row.summary.replaceChildren(...summaryNodes(record), ...subjectNodes(record));
}

/** Points screen readers to the active row, if it is in sight. */
function markActive(scroller: HTMLElement, rows: readonly Row[], active: EventRecord | undefined): void {
  const isInSight = active !== undefined && rows.some(({ record }) => record === active);
  if (isInSight) scroller.setAttribute("aria-activedescendant", `event-${active.n}`);
  else scroller.removeAttribute("aria-activedescendant");
}
