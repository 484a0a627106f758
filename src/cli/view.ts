/**
 * The view of `tail` on a terminal: a row for each event, and below them the state of the connection and its rate. Keys
 * filter, pause, choose types, and fill the terminal with the events so far.
 *
 * @module
 */
import type { Status } from "../client/mod.ts";
import { clock, type DisplayEvent, timeOf } from "../text/event_text.ts";
import { parseFilter } from "../text/filter.ts";
import { printable } from "../text/printable.ts";
import { FullScreen } from "./full_screen.ts";
import { HeldEvents } from "./held_events.ts";
import { type Key, type Keyboard, openKeyboard } from "./keyboard.ts";
import { EventList, KeyList, type Panel, TypeList, WholeEvent } from "./panels.ts";
import { Prompt } from "./prompt.ts";
import { eventRow, fit, type Span, type TerminalStyle } from "./row.ts";
import { createScreen, type Screen, type Terminal } from "./screen.ts";

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

/** Number of seconds over which the rate is averaged. */
const RATE_SECONDS = 5;
/** Maximum number of rows that are printed at once, after a pause or for a filter: a screen or two. */
const MAX_ROWS = 100;
const HINT = "? keys  / filter  space pause  q quit";
const PROMPT_HINT = "  Enter apply  Esc cancel  as in name:sintel size:>1GB -type:market_*";

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
  readonly #rate = createRate(RATE_SECONDS);
  /** What fills the terminal; empty while rows are printed. */
  #panels: Panel[] = [];
  #prompt: Prompt | undefined;
  #filter = "";
  #isPaused = false;
  /** The number of the first event that may have to be printed. */
  #next = 0;
  /** Messages that came while the terminal was filled. */
  #notes: string[] = [];
  #status: Status = { type: "connecting", attempt: 1 };
  /** When the next attempt begins, in milliseconds of a clock that is never set. */
  #retryAt = 0;
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
    this.#rate.count();
    const held = this.#held.add(event, text);
    onOut?.();
    if (this.#isHolding) {
      this.#fullScreen.refresh();
      return true;
    }
    this.#next = this.#held.count;
    return held === undefined || this.#print(event);
  }

  status(now: Status): void {
    this.#status = now;
    if (now.type === "waiting") this.#retryAt = performance.now() + now.delay * 1000;
    if (now.type === "open" && now.start !== undefined && !this.#isHolding) {
      this.#print(now.start as unknown as DisplayEvent);
    }
    this.#refresh();
  }

  note(text: string): void {
    const row = `${clock(new Date())}  ${text}`;
    if (this.#panels.length > 0) this.#notes = [...this.#notes, row].slice(-MAX_ROWS);
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

  get #style(): TerminalStyle {
    return { columns: this.#screen.columns, colours: this.#colours };
  }

  #key(key: Key): void {
    const { name, text, ctrl } = key;
    if (ctrl && name === "c") return this.#onQuit();
    if (ctrl && name === "z") return this.#keyboard?.suspend();
    if (this.#prompt !== undefined) this.#type(this.#prompt, key);
    else if (text === "q") this.#onQuit();
    else if (text === "?") this.#open(new KeyList());
    else if (text === "/") this.#prompt = new Prompt(this.#filter);
    else if (this.#panels.length > 0) this.#toPanel(key);
    else if (name === "space") this.#pause(!this.#isPaused);
    else if (text === "t") this.#open(new TypeList(this.#held));
    else if (["up", "pageup", "home", "return"].includes(name)) this.#openList(key);
    this.#refresh();
  }

  /** Opens the list of events, and moves in it by the key that opened it. */
  #openList(key: Key): void {
    const list = new EventList(this.#held);
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
      this.#panels.pop();
      if (panel instanceof TypeList) this.#applyFilter();
      if (this.#panels.length === 0) this.#uncover();
    } else if (next !== panel) this.#panels.push(next);
  }

  /** Goes back to the rows, and prints what came meanwhile. */
  #uncover(): void {
    this.#fullScreen.close();
    this.#screen.cover(false);
    for (const row of this.#notes.splice(0)) this.#say(row);
    if (!this.#isPaused) this.#catchUp();
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

  /** Prints the newest of the events that were not printed. */
  #catchUp(): void {
    const { shown } = this.#held;
    const waiting = shown.slice(this.#held.placeOf(this.#next));
    this.#next = this.#held.count;
    const skipped = waiting.length - MAX_ROWS;
    if (skipped > 0) this.#say(`-- ${skipped.toLocaleString("en")} more events: ↑ shows them --`);
    for (const { event } of waiting.slice(-MAX_ROWS)) this.#print(event);
  }

  #type(prompt: Prompt, key: Key): void {
    const outcome = prompt.key(key);
    if (outcome === undefined) return;
    this.#prompt = undefined;
    if (outcome === "cancelled") return;
    this.#filter = prompt.text.trim();
    this.#applyFilter();
  }

  /** Shows what the filter and the types accept now; above the next rows, the newest of them again. */
  #applyFilter(): void {
    this.#held.filter(parseFilter(this.#filter));
    this.#next = 0;
    if (this.#panels.length > 0) return;
    const { shown, count, hiddenTypes } = this.#held;
    const types = hiddenTypes.size === 0 ? "" : `, without ${hiddenTypes.size} types`;
    this.#say(`-- filter: ${printable(this.#filter) || "none"}${types} --`);
    const rows = shown.slice(-Math.min(MAX_ROWS, this.#rows));
    this.#next = count;
    for (const { event } of rows) this.#print(event);
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
      return fit([[`/${printable(this.#prompt.text)}▏`, "bold"], [PROMPT_HINT, "dim"]], style);
    }
    const { count, shown, hiddenTypes } = this.#held;
    const [sign, words] = stateOf(this.#status, this.#retryAt);
    const held = shown.length - this.#held.placeOf(this.#next);
    const isFiltered = this.#filter !== "" || hiddenTypes.size > 0;
    const panel = this.#panels.at(-1);
    if (panel !== undefined) {
      return fit([sign, [` ${count.toLocaleString("en")} events  `], [panel.hint, "dim"]], style);
    }
    const spans: Span[] = [
      sign,
      [` ${words}  `],
      [`${count.toLocaleString("en")} event${count === 1 ? "" : "s"}  ${
        this.#rate.perSecond().toFixed(1)
      }/s  `],
      [this.#isPaused ? `paused, ${held.toLocaleString("en")} new  ` : "", "yellow"],
      [isFiltered ? `${this.#filter === "" ? "types" : `/${printable(this.#filter)}`}  ` : "", "yellow"],
      [this.#keyboard === undefined ? "" : `${HINT}  `, "dim"],
      [this.#place, "dim"],
    ];
    return fit(spans, style);
  }
}

/** Returns a sign and words for the state of the connection. */
function stateOf(status: Status, retryAt: number): [sign: Span, words: string] {
  switch (status.type) {
    case "open":
      return [["●", "green"], "connected"];
    case "connecting":
      return [["○", "yellow"], `connecting${status.attempt > 1 ? `, attempt ${status.attempt}` : ""}`];
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
      return [["○", "red"], `not connected, attempt ${status.attempt} in ${seconds} s`];
    }
    default:
      return [["○", "red"], "not connected"];
  }
}

/** Counts occurrences, and returns their recent rate per second. */
function createRate(seconds: number) {
  const started = performance.now();
  /** The counts of the last seconds, by the second of a clock that is never set. */
  const counts = new Map<number, number>();
  const now = () => Math.floor(performance.now() / 1000);
  return {
    count(): void {
      counts.set(now(), (counts.get(now()) ?? 0) + 1);
    },
    perSecond(): number {
      const since = performance.now() / 1000 - seconds;
      let sum = 0;
      for (const [second, count] of counts) {
        if (second < since) counts.delete(second);
        else sum += count;
      }
      return sum / Math.min(seconds, Math.max(1, (performance.now() - started) / 1000));
    },
  };
}
