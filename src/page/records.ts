/**
 * The events that the page keeps: the newest up to a limit, and which of them match the filter.
 *
 * @module
 */
import type { Dictionary } from "../client/mod.ts";
import { clock, timeOf } from "../text/event_text.ts";
import { summaryOf } from "../tribler/summary.ts";
import { type EventGroup, eventGroup } from "./event_groups.ts";
import { createQueue, type Queue } from "./queue.ts";

/** Maximum number of events kept; older ones are only counted. */
export const MAX_RECORDS = 10_000;
/** Maximum number of characters of JSON kept: an event may have a megabyte. */
export const MAX_CHARACTERS: number = 32 * 1024 * 1024;

/** An event as it is kept: as JSON, which is smaller than objects, with the texts that are shown and searched. */
export interface EventRecord {
  /** Number of the event in order of arrival, from 1. */
  readonly n: number;
  readonly type: string;
  readonly group: EventGroup;
  /** When it was published, in milliseconds since 1970. */
  readonly time: number;
  /** The same as text: the time of day, or the date if it arrived on another day. */
  readonly clock: string;
  /** Its summary, in one line. */
  readonly summary: string;
  /** The whole dictionary as JSON. */
  readonly json: string;
}

/** Selects records. */
export interface Filter {
  /** Only these types; empty for all. */
  readonly types: ReadonlySet<string>;
  /** Only those that contain this text, in upper or lower case. */
  readonly text: string;
}

/** The records of the page. */
export interface Records {
  /** The records that match the filter, oldest first. */
  readonly matching: Pick<Queue<EventRecord>, "length" | "at">;
  /** Number of records kept, without those held back. */
  readonly kept: number;
  /** Number of events that arrived. */
  readonly received: number;
  /** Number of events held back since {@linkcode pause}; `undefined` if there is no pause. */
  readonly held: number | undefined;
  /** Number of records added to `matching` since the filter was set; it only grows. */
  readonly added: number;
  add(event: Dictionary): EventRecord;
  filter(filter: Filter): void;
  /** Holds back events from now on. */
  pause(): void;
  /** Shows the events that were held back. */
  resume(): void;
  /** Removes all records. */
  clear(): void;
}

/** Makes a record of an event. */
export function recordOf(event: Dictionary, n: number): EventRecord {
  const { type } = event;
  const date = timeOf(event);
  return {
    n,
    type,
    group: eventGroup(type),
    time: date.getTime(),
    clock: placeInTime(date),
    summary: type === "events_lost" ? lossText(event.event) : summaryOf(event),
    json: JSON.stringify(event),
  };
}

/** Formats the time of day; for another day the date and as much of the time as fits. */
function placeInTime(date: Date): string {
  if (date.toDateString() === new Date().toDateString()) return clock(date);
  return `${date.toLocaleDateString("en", { month: "short", day: "numeric" })} ${clock(date).slice(0, 5)}`;
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ["history_expired", "the server no longer keeps them"],
  ["unknown_epoch", "the server was restarted"],
  ["slow_consumer", "this page read too slowly"],
]);

function lossText(payload: unknown): string {
  const { count, reason } = (payload ?? {}) as { count?: unknown; reason?: unknown };
  const amount = typeof count === "number" ? count.toLocaleString("en") : "An unknown number of";
  return `${amount} ${count === 1 ? "event is" : "events are"} missing here: ${
    REASONS.get(reason) ?? reason
  }`;
}

/** Makes the records, limited in number and in characters of JSON. */
export function createRecords(maxRecords: number, maxCharacters: number): Records {
  const kept = createBounded(maxRecords, maxCharacters);
  const waiting = createBounded(maxRecords, maxCharacters);
  let matching = createQueue<EventRecord>();
  let accepts: (record: EventRecord) => boolean = () => true;
  let received = 0;
  let held: number | undefined;
  let added = 0;

  function show(record: EventRecord): void {
    if (!accepts(record)) return;
    matching.push(record);
    added++;
  }

  function keep(record: EventRecord): void {
    kept.push(record, (oldest) => {
      if (matching.at(0) === oldest) matching.shift();
    });
    show(record);
  }

  return {
    get matching() {
      return matching;
    },
    get kept() {
      return kept.records.length;
    },
    get received() {
      return received;
    },
    get held() {
      return held;
    },
    get added() {
      return added;
    },
    add: (event) => {
      const record = recordOf(event, ++received);
      if (held === undefined) keep(record);
      else {
        held++;
        waiting.push(record);
      }
      return record;
    },
    filter: (filter) => {
      accepts = matcher(filter);
      matching = createQueue();
      added = 0;
      for (let i = 0; i < kept.records.length; i++) show(kept.records.at(i)!);
    },
    pause: () => {
      held ??= 0;
    },
    resume: () => {
      held = undefined;
      for (let record; (record = waiting.shift()) !== undefined;) keep(record);
    },
    clear: () => {
      held = undefined;
      received = added = 0;
      matching = createQueue();
      kept.clear();
      waiting.clear();
    },
  };
}

/** Makes a queue that drops its oldest records when a limit is exceeded. */
function createBounded(maxRecords: number, maxCharacters: number) {
  const records = createQueue<EventRecord>();
  let characters = 0;

  function shift(): EventRecord | undefined {
    const record = records.shift();
    if (record !== undefined) characters -= record.json.length;
    return record;
  }

  return {
    records,
    shift,
    push(record: EventRecord, onDrop?: (oldest: EventRecord) => void): void {
      records.push(record);
      characters += record.json.length;
      // The newest is kept, however long.
      while (records.length > maxRecords || (characters > maxCharacters && records.length > 1)) {
        const oldest = shift()!;
        onDrop?.(oldest);
      }
    },
    clear(): void {
      while (shift() !== undefined);
    },
  };
}

/** Makes the test of a filter. A loss passes whatever types are chosen. */
function matcher({ types, text }: Filter): (record: EventRecord) => boolean {
  const isWanted = (type: string) => types.size === 0 || types.has(type) || type === "events_lost";
  if (text === "") return ({ type }) => isWanted(type);
  const pattern = new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "i");
  return ({ type, summary, json }) => isWanted(type) && (pattern.test(summary) || pattern.test(json));
}
