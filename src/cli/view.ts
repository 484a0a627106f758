/**
 * The view of `tail` on a terminal: a row for each event, and below them the state of the connection and its rate. Keys
 * filter, pause, choose types, and fill the terminal with the events so far.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { clock, type DisplayEvent, timeOf } from "../text/event_text.ts";
import { parseFilter, subjectTerm, unclearTerms } from "../text/filter.ts";
import { printable } from "../text/printable.ts";
import { FullScreen } from "./full_screen.ts";
import { type HeldEvent, HeldEvents } from "./held_events.ts";
import { KeyList } from "./key_list.ts";
import { type Keyboard, openKeyboard } from "./keyboard.ts";
import type { Key } from "./keypress.ts";
import { lastLine } from "./last_line.ts";
import { EventList, type Panel, WholeEvent } from "./panels.ts";
import { Prompt, promptLine } from "./prompt.ts";
import { Rate } from "./rate.ts";
import { eventRow, fit, type TerminalStyle } from "./row.ts";
import { createScreen, type Screen, type Terminal } from "./screen.ts";
import { TypeChoice } from "./type_choice.ts";
import { TypeList } from "./type_list.ts";

/** A view of a stream of events. */
export interface View {
  /**
   * Shows an event; returns false if the terminal does not keep up, or a promise of when there can be another one.
   *
   * @param text its JSON, as it was received
   * @param onOut called when it is written out
   */
  event(event: DisplayEvent, text: string, onOut?: () => void): boolean | Promise<void>;
  /** The file that it writes, and its size, if it writes one. */
  readonly file?: { readonly path: string; readonly bytes: number };
  /** Shows the state of the connection. */
  status(status: Status): void;
  /** Shows a message in a row of its own. */
  note(text: string): void;
  /** Removes the last line, and leaves the rows above it. */
  close(): void;
}

/** Maximum number of messages that wait while the terminal is filled. */
const MAX_NOTES = 100;
const PROMPT_HINT = "  Enter apply  Esc cancel  as in name:sintel size:>1GB is:trouble";

/**
 * Makes a view.
 *
 * @param place the address to show
 * @param colours whether rows are coloured
 * @param onQuit called when the user wants to leave
 */
export function createView(terminal: Terminal, place: string, colours: boolean, onQuit: () => void): View {
  return new TerminalView(terminal, place, colours, onQuit);
}

class TerminalView implements View {
  readonly #screen: Screen;
  readonly #fullScreen: FullScreen;
  readonly #keyboard: Keyboard | undefined;
  readonly #place: string;
  readonly #colours: boolean;
  readonly #onQuit: () => void;
  readonly #held = new HeldEvents();
  readonly #rate = new Rate(performance.now());
  /** What fills the terminal; empty while rows are printed. */
  #panels: Panel[] = [];
  #prompt: Prompt | undefined;
  #filter = "";
  /** The filter that one for a subject alone has replaced; `undefined` if none has. */
  #filterBefore: string | undefined;
  /** The filter and the types for which the rows were printed. */
  #printed = { filter: "", choice: new TypeChoice() };
  #isPaused = false;
  /** The number of the first event that may have to be printed. */
  #next = 0;
  /** Messages that came while the terminal was filled. */
  #notes: string[] = [];
  #status: Status = { type: "connecting", attempt: 1 };
  /** When the next attempt begins, in milliseconds of a clock that is never set. */
  #retryAt = 0;
  /** When the connection began, by the clock of the server, in milliseconds since 1970. */
  #openedAt = 0;
  #day = new Date().toDateString();

  constructor(terminal: Terminal, place: string, colours: boolean, onQuit: () => void) {
    this.#place = place;
    this.#colours = colours;
    this.#onQuit = onQuit;
    this.#screen = createScreen(terminal, (columns) => this.#lastLine(columns));
    this.#fullScreen = new FullScreen(terminal, (rows, columns) => this.#fill(rows, columns));
    this.#keyboard = openKeyboard(
      (key) => this.#key(key),
      () => this.#fullScreen.close(),
      () => this.#goOn(),
    );
    this.#screen.refresh();
  }

  event(event: DisplayEvent, text: string, onOut?: () => void): boolean {
    // What was published before is replayed, as fast as it can be.
    if (timeOf(event).getTime() >= this.#openedAt) this.#rate.count(performance.now());
    const held = this.#held.add(event, text);
    onOut?.();
    if (this.#isHolding) {
      this.#fullScreen.refresh();
      return true;
    }
    this.#next = this.#held.next;
    return held === undefined || this.#print(event);
  }

  status(now: Status): void {
    this.#status = now;
    if (now.type === "waiting") this.#retryAt = performance.now() + now.delay * 1000;
    if (now.type === "open") this.#openedAt = timeOf((now.start ?? {}) as unknown as DisplayEvent).getTime();
    if (now.type === "open" && now.start !== undefined && !this.#isHolding) {
      this.#print(now.start as unknown as DisplayEvent);
    }
    this.#refresh();
  }

  note(text: string): void {
    const row = `${clock(new Date())}  ${text}`;
    if (this.#panels.length > 0) this.#notes = [...this.#notes, row].slice(-MAX_NOTES);
    else this.#say(row);
  }

  close(): void {
    this.#keyboard?.close();
    this.#fullScreen.close();
    this.#screen.close();
  }

  /** Whether events are held and not printed. */
  get #isHolding(): boolean {
    return this.#isPaused || this.#panels.length > 0;
  }

  /** Whether it waits for an answer that Ctrl-C cancels. */
  get #isAsking(): boolean {
    return this.#prompt !== undefined || this.#panels.at(-1) instanceof TypeList;
  }

  get #style(): TerminalStyle {
    return { columns: this.#screen.columns, colours: this.#colours };
  }

  #key(key: Key): void {
    const { name, text, ctrl } = key;
    if (ctrl && name === "c" && !this.#isAsking) return this.#onQuit();
    if (ctrl && name === "z") return this.#keyboard?.suspend();
    if (this.#prompt !== undefined) this.#type(this.#prompt, key);
    else if (name === "paste") return; // It is text, and presses no keys.
    else if (text === "q") this.#onQuit();
    else if (text === "?" && !(this.#panels.at(-1) instanceof KeyList)) this.#open(new KeyList());
    else if (text === "/") this.#prompt = new Prompt(this.#filter);
    else if (this.#panels.length > 0) this.#toPanel(key);
    else if (name === "space") this.#pause(!this.#isPaused);
    else if (text === "t") this.#open(new TypeList(this.#held));
    else if (["up", "pageup", "home", "return"].includes(name)) this.#openList(key);
    this.#refresh();
  }

  /** Opens the list of events, and moves in it by the key that opened it. */
  #openList(key: Key): void {
    const list = new EventList(this.#held, (event) => this.#followSubject(event));
    this.#open(list);
    list.lines(this.#rows, this.#style);
    const next = list.key(key);
    if (next instanceof WholeEvent) this.#panels.push(next);
  }

  #open(panel: Panel): void {
    this.#panels.push(panel);
    this.#screen.cover(true);
    this.#fullScreen.open();
  }

  #toPanel(key: Key): void {
    const panel = this.#panels.at(-1)!;
    if (key.text === "t" && !(panel instanceof TypeList)) return this.#open(new TypeList(this.#held));
    const next = panel.key(key);
    if (next === undefined) {
      if (panel instanceof TypeList) this.#applyFilter();
      this.#panels.pop();
      if (this.#panels.length === 0) this.#uncover();
    } else if (next !== panel) this.#panels.push(next);
  }

  /** Goes back to the rows, and prints what came meanwhile, or everything that a new filter accepts. */
  #uncover(): void {
    this.#fullScreen.close();
    this.#screen.cover(false);
    for (const row of this.#notes.splice(0)) this.#say(row);
    if (this.#isRefiltered) this.#printAgain();
    else if (!this.#isPaused) this.#catchUp();
  }

  /** Shows what it showed before the process was stopped. */
  #goOn(): void {
    if (this.#panels.length > 0) this.#fullScreen.open();
    this.#refresh();
  }

  #pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    if (!isPaused) this.#catchUp();
  }

  /** Prints the events that were not printed. */
  #catchUp(): void {
    const waiting = this.#held.shown.slice(this.#held.placeOf(this.#next));
    this.#printNewest(
      waiting,
      (others) => others === 0 ? "" : `-- ${others.toLocaleString("en")} more events: ↑ shows them --`,
    );
  }

  /** Prints the events that the filter accepts, below a line that names it. */
  #printAgain(): void {
    const { shown, choice } = this.#held;
    const types = choice.isAll ? "" : `, ${choice.words}`;
    this.#printNewest(shown, () => `-- filter: ${printable(this.#filter) || "none"}${types} --`);
    this.#printed = { filter: this.#filter, choice: choice.copy() };
  }

  /** Prints the newest of these events, and above them a line that stays in sight; it may depend on how many others there are. */
  #printNewest(events: readonly HeldEvent[], lineOf: (others: number) => string): void {
    const room = Math.max(1, this.#screen.rows - 2);
    let newest = events.slice(-room);
    while (newest.length > 1 && newest.length + this.#daysIn(newest) > room) newest = newest.slice(1);
    const line = lineOf(events.length - newest.length);
    if (line !== "") this.#say(line);
    for (const { event } of newest) this.#print(event);
    this.#next = this.#held.next;
  }

  /** The number of days that begin in these events: each has a row. */
  #daysIn(events: readonly HeldEvent[]): number {
    const days = [this.#day, ...events.map(({ event }) => timeOf(event).toDateString())];
    return days.filter((day, index) => index > 0 && day !== days[index - 1]).length;
  }

  #type(prompt: Prompt, key: Key): void {
    const outcome = prompt.key(key);
    if (outcome === undefined) return;
    this.#prompt = undefined;
    if (outcome === "cancelled") return;
    const filter = prompt.text.trim();
    if (filter === this.#filter) return;
    this.#filter = filter;
    this.#filterBefore = undefined;
    this.#applyFilter();
  }

  /** Shows only what is about the subject of this event; if it does that already, what was shown before. */
  #followSubject(held: HeldEvent | undefined): void {
    const subject = held?.event.subject;
    const term = typeof subject === "string" ? subjectTerm(subject) : undefined;
    const before = this.#filterBefore ?? (this.#filter === term ? "" : undefined);
    if (before === undefined && term === undefined) return;
    this.#filterBefore = before === undefined ? this.#filter : undefined;
    this.#filter = before ?? term!;
    this.#applyFilter();
  }

  /** Shows what the filter and the types accept now; if they have changed, it is printed again above the next rows. */
  #applyFilter(): void {
    this.#held.filter(parseFilter(this.#filter));
    if (this.#panels.length === 0 && this.#isRefiltered) this.#printAgain();
  }

  /** Whether the filter or the types have changed since rows were printed. */
  get #isRefiltered(): boolean {
    return this.#filter !== this.#printed.filter || !this.#held.choice.equals(this.#printed.choice);
  }

  #print(event: DisplayEvent): boolean {
    const date = timeOf(event);
    if (this.#day !== date.toDateString()) {
      this.#day = date.toDateString();
      this.#screen.print(fit([[`-- ${this.#day} --`, "dim"]], this.#style));
    }
    return this.#screen.print(eventRow(event, this.#style));
  }

  /** Prints a message. */
  #say(row: string): void {
    this.#screen.print(fit([[row, "yellow"]], this.#style));
  }

  #refresh(): void {
    this.#screen.refresh();
    this.#fullScreen.refresh();
  }

  get #rows(): number {
    return this.#screen.rows - 1;
  }

  #fill(rows: number, columns: number): string[] {
    const lines = this.#panels.at(-1)?.lines(rows - 1, { columns, colours: this.#colours }) ?? [];
    return [...lines, ...new Array<string>(rows - 1 - lines.length).fill(""), this.#lastLine(columns - 1)];
  }

  #lastLine(columns: number): string {
    const style = { columns, colours: this.#colours };
    if (this.#prompt !== undefined) {
      return promptLine(this.#prompt, [PROMPT_HINT, "dim"], style);
    }
    const { count, size, matching, shown, choice } = this.#held;
    return lastLine({
      status: this.#status,
      retryAt: this.#retryAt,
      count,
      held: size,
      matching,
      perSecond: this.#rate.perSecond(performance.now()),
      filter: this.#filter,
      unclear: unclearTerms(this.#filter),
      types: choice.words,
      paused: this.#isPaused ? shown.length - this.#held.placeOf(this.#next) : undefined,
      panelHint: this.#panels.at(-1)?.hint,
      hasKeyboard: this.#keyboard !== undefined,
      place: this.#place,
    }, style);
  }
}
