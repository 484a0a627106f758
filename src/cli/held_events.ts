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
  #count = 0;

  /** The number of events that have arrived. */
  get count(): number {
    return this.#count;
  }

  /** The number of events that are held. */
  get size(): number {
    return this.#all.length;
  }

  /** Holds an event. Returns it if it is shown. */
  add(event: DisplayEvent, json: string): HeldEvent | undefined {
    const held = { number: this.#count++, event, json };
    const known = this.types.get(event.type);
    if (known !== undefined || this.types.size < MAX_TYPES) this.types.set(event.type, (known ?? 0) + 1);
    this.#all.push(held);
    this.#characters += json.length;
    const isShown = this.#accepts(held);
    if (isShown) (this.shown as HeldEvent[]).push(held);
    if (this.#all.length > MAX_EVENTS * SLACK || this.#characters > MAX_CHARACTERS * SLACK) this.#trim();
    return isShown ? held : undefined;
  }

  /** Shows what this filter accepts, of the types that are chosen now. */
  filter(filter: Accepts | undefined): void {
    this.#filter = filter;
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

  #accepts({ event, json }: HeldEvent): boolean {
    const { type, subject } = event;
    if (type === "events_lost") return true; // No filter hides that something is missing.
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
    this.#characters = characters;
    this.shown = this.shown.slice(this.placeOf(this.#all[0]!.number));
  }
}
