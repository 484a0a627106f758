/**
 * The events that a terminal can still show: the newest of them, and those that its filter accepts.
 *
 * @module
 */
import type { DisplayEvent } from "../text/event_text.ts";
import { timeOf } from "../text/event_text.ts";
import type { Accepts } from "../text/filter.ts";
import { summaryOf } from "../tribler/summary.ts";
import { TypeChoice } from "./type_choice.ts";

/** An event that is held. */
export interface HeldEvent {
  /** Its place in the order of arrival. */
  readonly number: number;
  readonly event: DisplayEvent;
  /** Its JSON, as it was received. */
  readonly json: string;
}

/** Maximum number of events that are held. */
const MAX_EVENTS = 5_000;
/** Maximum number of characters of JSON that are held. */
const MAX_CHARACTERS = 16 * 1024 * 1024;
/** Part of the limits by which they may be exceeded: an array moves all that stand behind what is removed. */
const SLACK = 1.2;
/** Maximum number of types that are counted. */
const MAX_TYPES = 1_000;

/** The newest events. */
export class HeldEvents {
  /** The number of events of each type that have arrived. */
  readonly types: Map<string, number> = new Map();
  /** Which types are shown. */
  choice: TypeChoice = new TypeChoice();
  /** The events that are shown, the oldest first. */
  shown: readonly HeldEvent[] = [];
  #filter: Accepts | undefined;
  #all: HeldEvent[] = [];
  #characters = 0;
  #next = 0;
  /** The number of losses that have arrived. */
  #lost = 0;
  /** The number of losses that are held, all of which are shown. */
  #losses = 0;

  /** The number that the next event gets. */
  get next(): number {
    return this.#next;
  }

  /** The number of events that have arrived, without losses, which are no events of a server. */
  get count(): number {
    return this.#next - this.#lost;
  }

  /** The number of events that are held, without losses, about which nobody is asked. */
  get size(): number {
    return this.#all.length - this.#losses;
  }

  /** The number of them that are shown. */
  get matching(): number {
    return this.shown.length - this.#losses;
  }

  /** Whether a filter or the choice of types may hide some. */
  get isLimited(): boolean {
    return this.#filter !== undefined || !this.choice.isAll;
  }

  /** Holds an event. Returns it if it is shown. */
  add(event: DisplayEvent, json: string): HeldEvent | undefined {
    const held = { number: this.#next++, event, json };
    const known = this.types.get(event.type);
    if (known !== undefined || this.types.size < MAX_TYPES) this.types.set(event.type, (known ?? 0) + 1);
    this.#all.push(held);
    this.#characters += json.length;
    if (isLoss(held)) {
      this.#losses++;
      this.#lost++;
    }
    const isShown = this.#accepts(held);
    if (isShown) (this.shown as HeldEvent[]).push(held);
    if (this.#all.length > MAX_EVENTS * SLACK || this.#characters > MAX_CHARACTERS * SLACK) this.#trim();
    return isShown ? held : undefined;
  }

  /** Shows what this filter accepts, of the types that are chosen. */
  filter(filter: Accepts | undefined): void {
    this.#filter = filter;
    this.choose(this.choice);
  }

  /** Shows these types, as far as the filter accepts them. */
  choose(choice: TypeChoice): void {
    this.choice = choice;
    this.shown = this.#all.filter((held) => this.#accepts(held));
  }

  /** Returns the place in {@linkcode HeldEvents.shown} of the first event from this one on. */
  placeOf(number: number): number {
    let [from, to] = [0, this.shown.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.shown[middle]!.number < number) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #accepts(held: HeldEvent): boolean {
    if (isLoss(held)) return true; // No filter hides that something is missing.
    const { event, json } = held;
    const { type, subject } = event;
    if (!this.choice.shows(type)) return false;
    if (this.#filter === undefined) return true;
    return this.#filter({
      type,
      json,
      subject: typeof subject === "string" ? subject : undefined,
      time: timeOf(event).getTime(),
      summary: summaryOf(event),
    });
  }

  #trim(): void {
    let first = Math.max(0, this.#all.length - MAX_EVENTS);
    let characters = this.#all.slice(first).reduce((sum, { json }) => sum + json.length, 0);
    while (characters > MAX_CHARACTERS && first < this.#all.length - 1) {
      characters -= this.#all[first++]!.json.length;
    }
    this.#all = this.#all.slice(first);
    this.#losses = this.#all.filter(isLoss).length;
    this.#characters = characters;
    this.shown = this.shown.slice(this.placeOf(this.#all[0]!.number));
  }
}

function isLoss({ event }: HeldEvent): boolean {
  return event.type === "events_lost";
}
