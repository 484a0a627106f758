/**
 * The list of events: it renders only the rows that fit on the screen, however many events there are.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, make, setText } from "./dom.ts";
import { inOneLine, subjectNodes, summaryNodes, typeLine } from "./event_nodes.ts";
import type { EventRecord, Records } from "./records.ts";
import { placeInTime } from "./row_text.ts";

/** The list. */
export interface List {
  /** Draws the records as they are now. */
  draw(): void;
  /** Scrolls to the newest record, and stays there. */
  follow(): void;
  /** Moves the keyboard cursor to a record, and scrolls to it; `undefined` for none. */
  select(record: EventRecord | undefined): void;
  /** Moves the keyboard cursor by this number of rows; the page scrolls to it only if `scrollsPage`. */
  step(rows: number, scrollsPage: boolean): void;
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
  /** What the summary says, before its subject. */
  readonly says: HTMLElement;
  readonly marker: HTMLElement;
  record: EventRecord | undefined;
}

/** Makes the list in its place on the page. */
export function createList(records: Records, listener: ListListener): List {
  return new EventList(records, listener);
}

class EventList implements List {
  readonly #records: Records;
  readonly #listener: ListListener;
  readonly #scroller = byId("list");
  readonly #body = byId("rows");
  readonly #newer = byId<HTMLButtonElement>("newer");
  readonly #rows: Row[] = [];
  /** The number of records added when the list was last drawn, and which list that was. */
  #drawn = 0;
  #generation: number;
  #markText: string | undefined;
  /** The height of a row, in pixels. */
  #height: number;
  active: EventRecord | undefined = undefined;

  constructor(records: Records, listener: ListListener) {
    this.#records = records;
    this.#listener = listener;
    this.#generation = records.generation;
    const scroller = this.#scroller;
    this.#height = rowHeight(scroller);
    new ResizeObserver(() => {
      const top = scroller.scrollTop / this.#height;
      this.#height = rowHeight(scroller);
      scroller.scrollTop = top * this.#height;
      this.draw();
    }).observe(scroller);
    scroller.onscroll = () => this.draw();
    scroller.onclick = ({ target }) => this.#click(target as HTMLElement);
    scroller.onkeydown = (event) => this.#press(event);
    this.#newer.onclick = () => {
      this.follow();
      scroller.focus();
    };
  }

  get anchor(): EventRecord | undefined {
    const { scrollTop } = this.#scroller;
    return this.active ??
      (scrollTop > 0 ? recordAt(Math.floor(scrollTop / this.#height), this.#records) : undefined);
  }

  draw(): void {
    const { matching: { length } } = this.#records;
    this.#body.style.height = `${length * this.#height}px`;
    const top = this.#hold();
    const first = Math.max(0, Math.min(Math.floor(top / this.#height), length - 1));
    const inSight = Math.ceil(this.#scroller.clientHeight / this.#height) + 1;
    setRowCount(this.#rows, Math.min(length - first, inSight), this.#body);
    this.#body.style.paddingTop = `${first * this.#height}px`;
    for (const [i, row] of this.#rows.entries()) {
      const record = recordAt(first + i, this.#records)!;
      fillRow(row, record, first + i, this.active);
      const isMarked = this.#isMarked(record, first + i);
      row.element.classList.toggle("marked", isMarked);
      setText(row.marker, isMarked ? this.#markText! : "");
    }
    markActive(this.#scroller, this.#rows, this.active);
    this.#scroller.setAttribute("aria-rowcount", `${length}`);
    this.#newer.hidden = first === 0;
    setText(byId("newer-count"), `↑ ${first.toLocaleString("en")}`);
  }

  /** Keeps the rows in sight in place when others are added above them. Returns where the list is scrolled to. */
  #hold(): number {
    const { generation, added: all } = this.#records;
    const isNew = generation !== this.#generation;
    const added = isNew ? 0 : all - this.#drawn;
    this.#generation = generation;
    this.#drawn = all;
    const place = this.#place;
    if (place < 0) this.active = undefined;
    if (isNew) this.#scroller.scrollTop = Math.max(0, place) * this.#height;
    const { scrollTop } = this.#scroller;
    if (added === 0 || (scrollTop === 0 && place < 0)) return scrollTop;
    this.#scroller.scrollTop = scrollTop + added * this.#height;
    return this.#scroller.scrollTop; // It may not go as far.
  }

  /** The place of the keyboard cursor; -1 if there is none. */
  get #place(): number {
    return this.active === undefined ? -1 : placeOf(this.active, this.#records);
  }

  /** Whether the list was paused between a record and the next newer one. */
  #isMarked(record: EventRecord, place: number): boolean {
    const { mark } = this.#records;
    if (this.#markText === undefined || record.n > mark) return false;
    return (recordAt(place - 1, this.#records)?.n ?? 0) > mark;
  }

  follow(): void {
    this.active = undefined;
    this.#scroller.scrollTop = 0;
    this.draw();
  }

  select(record: EventRecord | undefined): void {
    this.draw(); // Records that arrived since the last frame change the places.
    const place = record === undefined ? -1 : placeOf(record, this.#records);
    this.active = place < 0 ? undefined : record;
    if (place >= 0) scrollTo(this.#scroller, place * this.#height, this.#height);
    this.draw();
  }

  step(rows: number, scrollsPage: boolean): void {
    this.#moveTo(this.#place + rows, scrollsPage);
  }

  mark(text: string | undefined): void {
    this.#markText = text;
    this.draw();
  }

  focus(): void {
    this.#scroller.focus({ preventScroll: true });
  }

  #moveTo(place: number, scrollsPage: boolean): void {
    this.draw();
    const last = this.#records.matching.length - 1;
    const target = Math.max(0, Math.min(place, last));
    const record = recordAt(target, this.#records);
    if (record === undefined) return;
    this.select(record);
    const [above, below] = hiddenParts(this.#scroller, this.#height);
    scrollTo(this.#scroller, target * this.#height, this.#height, above, below);
    this.draw();
    // A row that was clicked stays where it is: the page scrolls for those to which keys move, if the list cannot.
    if (scrollsPage) {
      this.#rows.find((row) => row.record === record)?.element.scrollIntoView({ block: "nearest" });
    }
    this.#listener.onMove(record);
  }

  #click(target: HTMLElement): void {
    const record = this.#rows.find(({ element }) => element.contains(target))?.record;
    if (record === undefined) return;
    if (target.classList.contains("subject")) return this.#listener.onSubject(record.subject!);
    this.active = record;
    this.draw();
    this.#listener.onOpen(record, false);
  }

  #press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const rowsPerPage = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height) - 1);
    const place = placeForKey(event.key, this.#place, rowsPerPage, this.#records.matching.length - 1);
    if (place !== undefined) this.#moveTo(place, true);
    else if (event.key === "Enter" && this.active !== undefined) this.#listener.onOpen(this.active, true);
    else if (event.key !== "Escape") return;
    else if (!this.#listener.onEscape()) this.follow();
    event.preventDefault();
  }
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

/** Scrolls no further than it takes to show the row at `top` between the parts of the list that are out of sight. */
function scrollTo(scroller: HTMLElement, top: number, height: number, above = 0, below = 0): void {
  const { scrollTop, clientHeight } = scroller;
  if (top < scrollTop + above) scroller.scrollTop = top - above;
  else if (top + height > scrollTop + clientHeight - below) {
    scroller.scrollTop = top + height + below - clientHeight;
  }
}

/**
 * Returns how many pixels of the list are above the window, and how many below it or covered by the sheet. They are 0 if no
 * row has room between: then the page has to scroll.
 */
function hiddenParts(scroller: HTMLElement, rowHeight: number): [above: number, below: number] {
  const { top, bottom } = scroller.getBoundingClientRect();
  const covered = parseFloat(getComputedStyle(document.documentElement).scrollPaddingBottom) || 0;
  const above = Math.max(0, -top);
  const below = Math.max(0, bottom - innerHeight + covered);
  return scroller.clientHeight - above - below < rowHeight ? [0, 0] : [above, below];
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
  const says = make("span", { className: "says" });
  const marker = make("span", { className: "marker" });
  const element = make("div", { className: "row" }, time, type, summary, marker);
  marker.setAttribute("role", "gridcell");
  element.setAttribute("role", "row");
  body.append(element);
  return { element, time, type, summary, says, marker, record: undefined };
}

function fillRow(row: Row, record: EventRecord, place: number, active: EventRecord | undefined): void {
  row.element.ariaRowIndex = `${place + 1}`;
  row.element.ariaSelected = `${record === active}`;
  if (row.record === record) return;
  row.record = record;
  row.element.id = `event-${record.n}`;
  row.element.dataset["group"] = record.group;
  row.time.textContent = placeInTime(record.time);
  row.type.replaceChildren(...typeLine(record.type));
  row.type.title = record.type;
  row.says.replaceChildren(...inOneLine(summaryNodes(record)));
  row.summary.replaceChildren(row.says, ...subjectNodes(record));
}

/** Points screen readers to the active row, if it is in sight. */
function markActive(scroller: HTMLElement, rows: readonly Row[], active: EventRecord | undefined): void {
  const isInSight = active !== undefined && rows.some(({ record }) => record === active);
  if (isInSight) scroller.setAttribute("aria-activedescendant", `event-${active.n}`);
  else scroller.removeAttribute("aria-activedescendant");
}
