/**
 * The events that the page keeps: the newest up to a limit, and which of them match the filter.
 *
 * @module
 */
import type { Dictionary } from "../client/mod.ts";
import { timeOf } from "../text/event_text.ts";
import { type EventGroup, eventGroup } from "./event_groups.ts";
import type { Accepts } from "../text/filter.ts";
import { createQueue, type Queue } from "./queue.ts";
import { summaryText } from "./row_text.ts";

/** Maximum number of events kept; older ones are only counted. */
export const MAX_RECORDS = 100_000;
/** Maximum number of characters of JSON kept: an event may have a megabyte. */
export const MAX_CHARACTERS: number = 64 * 1024 * 1024;
/** Number of milliseconds after a pause in which an answer that was on its way may arrive. */
const ANSWER_MS = 2000;
/** Number of milliseconds for which events are filtered before the browser gets to draw. */
const MAX_SCAN_MS = 8;

/** An event as it is kept: as JSON, which is smaller than objects. */
export class EventRecord {
  /** Number of the event in order of arrival, from 1. */
  readonly n: number;
  readonly type: string;
  readonly subject: string | undefined;
  /** Its cursor; `undefined` if the server sends none. */
  readonly id: string | undefined;
  readonly group: EventGroup;
  /** When it was published, in milliseconds since 1970. */
  readonly time: number;
  /** The whole dictionary as JSON. */
  readonly json: string;
  #summary: string | undefined;

  constructor(event: Dictionary, n: number, json: string) {
    this.n = n;
    this.type = event.type;
    this.subject = typeof event["subject"] === "string" ? event["subject"] : undefined;
    this.id = typeof event.id === "string" ? event.id : undefined;
    this.group = eventGroup(event.type);
    this.time = timeOf(event).getTime();
    this.json = json;
  }

  /** The text in which the list shows it; made when it is needed first, because most events are never looked at. */
  get summary(): string {
    return this.#summary ??= summaryText(JSON.parse(this.json));
  }
}

/** The records of the page. */
export interface Records {
  /** The records that match the filter, oldest first. */
  readonly matching: Pick<Queue<EventRecord>, "length" | "at">;
  /** Number of records kept. */
  readonly kept: number;
  /** When the oldest of them was published, in milliseconds since 1970; `undefined` if there is none. */
  readonly oldestTime: number | undefined;
  /** Number of events that arrived. */
  readonly received: number;
  /** Number of events held back since {@linkcode pause}; `undefined` if there is no pause. */
  readonly held: number | undefined;
  /** The number of the last record that was shown before the last pause; 0 if there was none. */
  readonly mark: number;
  /** Number of records added to `matching` since it was replaced; it only grows. */
  readonly added: number;
  /** How often `matching` was replaced, by a filter or by {@linkcode clear}. */
  readonly generation: number;
  /** Whether a filter selects among the records. */
  readonly isFiltered: boolean;
  /** Whether records are left to be filtered. */
  readonly isScanning: boolean;
  /** Adds an event, with its JSON text if there is one. */
  add(event: Dictionary, json?: string): EventRecord;
  /** Filters the records; `undefined` accepts all. What does not fit into this turn is left to {@linkcode scan}. */
  filter(accepts: Accepts | undefined): void;
  /** Goes on to filter for some milliseconds. */
  scan(): void;
  /**
   * Holds back events from now on. What was published before and arrives soon is shown: it is of an answer that was on its way.
   *
   * @param time the current time of the server, in milliseconds since 1970
   * @param answerMs number of milliseconds in which it may arrive
   */
  pause(time: number, answerMs?: number): void;
  /** Shows the events that were held back. */
  resume(): void;
  /** Removes all records. */
  clear(): void;
}

/** Makes the records, limited in number and in characters of JSON. */
export function createRecords(maxRecords: number, maxCharacters: number): Records {
  return new KeptRecords(maxRecords, maxCharacters);
}

/** Whether nothing matches but reports of losses, if those are few. */
export function hasOnlyLosses({ matching }: Records): boolean {
  if (matching.length > 3) return false;
  return Array.from({ length: matching.length }, (_, i) => matching.at(i)).every((record) =>
    record?.type === "events_lost"
  );
}

class KeptRecords implements Records {
  readonly #maxRecords: number;
  readonly #maxCharacters: number;
  #kept = createQueue<EventRecord>();
  #characters = 0;
  #accepts: Accepts | undefined;
  /** What the filter has found so far; it replaces `matching` when all records were looked at. */
  #found = createQueue<EventRecord>();
  /** The number of the next record to look at. */
  #next = 1;
  /** When it was paused, by the clock of the server. */
  #pauseTime = 0;
  /** Until when events from before that are shown, by the clock of the page. */
  #answerEnd = 0;
  matching: Queue<EventRecord> = this.#found;
  received = 0;
  held: number | undefined = undefined;
  mark = 0;
  added = 0;
  generation = 0;

  constructor(maxRecords: number, maxCharacters: number) {
    this.#maxRecords = maxRecords;
    this.#maxCharacters = maxCharacters;
  }

  get kept(): number {
    return this.#kept.length;
  }

  get oldestTime(): number | undefined {
    return this.#kept.at(0)?.time;
  }

  get isFiltered(): boolean {
    return this.#accepts !== undefined;
  }

  get isScanning(): boolean {
    return this.#next <= this.#end;
  }

  /** The number of the last record to look at. */
  get #end(): number {
    return this.held === undefined ? this.received : this.mark;
  }

  add(event: Dictionary, json: string = JSON.stringify(event)): EventRecord {
    const wasScanning = this.isScanning;
    const record = new EventRecord(event, ++this.received, json);
    this.#kept.push(record);
    this.#characters += json.length;
    // The newest is kept, however long.
    while (
      this.#kept.length > this.#maxRecords ||
      (this.#characters > this.#maxCharacters && this.#kept.length > 1)
    ) this.#dropOldest();
    const isOfAnswer = record.time < this.#pauseTime || record.type === "events_lost";
    const isLate = this.held === 0 && isOfAnswer && performance.now() < this.#answerEnd;
    if (isLate) this.mark = record.n;
    if (this.held !== undefined && !isLate) this.held++;
    else if (!wasScanning) this.#look(record);
    return record;
  }

  filter(accepts: Accepts | undefined): void {
    this.#accepts = accepts;
    this.#found = createQueue();
    this.#next = this.#kept.at(0)?.n ?? this.received + 1;
    this.scan();
  }

  scan(): void {
    const began = performance.now();
    while (this.isScanning) {
      // To read the clock takes longer than to look at some records.
      for (let i = 0; i < 50 && this.isScanning; i++) {
        this.#look(this.#kept.at(this.#next - this.#kept.at(0)!.n)!);
      }
      if (this.isScanning && performance.now() - began > MAX_SCAN_MS) return;
    }
    if (this.#found !== this.matching) this.#show();
  }

  pause(time: number, answerMs: number = ANSWER_MS): void {
    if (this.held !== undefined) return;
    this.#pauseTime = time;
    this.#answerEnd = performance.now() + answerMs;
    this.mark = this.received;
    this.held = 0;
  }

  resume(): void {
    this.held = undefined;
    // While it was paused the list stood still, also at records that were dropped meanwhile.
    const first = this.#kept.at(0)?.n ?? Infinity;
    while (this.matching.length > 0 && this.matching.at(0)!.n < first) this.matching.shift();
    this.scan();
  }

  clear(): void {
    this.held = undefined;
    this.received = this.#characters = this.mark = 0;
    this.#next = 1;
    this.#kept = createQueue();
    this.#found = createQueue();
    this.#show();
  }

  /** Makes what was found what is shown. */
  #show(): void {
    this.matching = this.#found;
    this.added = 0;
    this.generation++;
  }

  /** Shows a record if it matches. A loss passes every filter. */
  #look(record: EventRecord): void {
    this.#next = record.n + 1;
    if (this.#accepts?.(record) === false && record.type !== "events_lost") return;
    this.#found.push(record);
    if (this.#found === this.matching) this.added++;
  }

  #dropOldest(): void {
    const oldest = this.#kept.shift()!;
    this.#characters -= oldest.json.length;
    this.#next = Math.max(this.#next, oldest.n + 1);
    // An answer may be longer than what is kept; what was paused after that stands still.
    if (!this.held && this.matching.at(0) === oldest) this.matching.shift();
    if (this.#found !== this.matching && this.#found.at(0) === oldest) this.#found.shift();
  }
}
