/**
 * The events that the page keeps: the newest, up to a bound, and of these the ones that the filter shows.
 *
 * @module
 */
import type { Dictionary } from "../client/mod.ts";
import { clock, timeOf } from "../text/event_text.ts";
import { summaryOf } from "../tribler/summary.ts";
import { type Kind, pageKind } from "./event_groups.ts";
import { createQueue, type Queue } from "./queue.ts";

/** So many events are kept; what was before them is counted. */
export const MAX_RECORDS = 10_000;
/** And so many characters of JSON: there may be events of a megabyte. */
export const MAX_CHARACTERS: number = 32 * 1024 * 1024;

/** An event as it is kept: as text, which is small, and what is searched and shown. */
export interface EventRecord {
  /** Counts events as they came, from 1. */
  readonly n: number;
  readonly type: string;
  readonly kind: Kind;
  /** When it was published, in milliseconds since 1970. */
  readonly time: number;
  /** The same for people, as of when it came. */
  readonly clock: string;
  /** What it says, in one line. */
  readonly summary: string;
  /** The whole dictionary as JSON. */
  readonly json: string;
}

/** Which records are shown. */
export interface Filter {
  /** Only these types; none: all. */
  readonly types: ReadonlySet<string>;
  /** Only those that hold this text, whatever its case. */
  readonly text: string;
}

/** The records of the page. */
export interface Records {
  /** Those the filter shows, oldest first. */
  readonly shown: Pick<Queue<EventRecord>, "length" | "at">;
  /** How many are kept, and may be shown. */
  readonly kept: number;
  /** How many events came. */
  readonly received: number;
  /** How many came since it was paused; `undefined` where it is not. */
  readonly held: number | undefined;
  /** How many were ever added to those that are shown, since the filter was set. */
  readonly added: number;
  add(event: Dictionary): EventRecord;
  filter(filter: Filter): void;
  /** Keeps back what comes from now on. */
  pause(): void;
  /** Shows what was kept back. */
  resume(): void;
  /** Forgets everything. */
  clear(): void;
}

/** Makes a record of an event. */
export function recordOf(event: Dictionary, n: number): EventRecord {
  const { type } = event;
  const date = timeOf(event);
  return {
    n,
    type,
    kind: pageKind(type),
    time: date.getTime(),
    clock: placeInTime(date),
    summary: type === "events_lost" ? lossText(event.event) : summaryOf(event),
    json: JSON.stringify(event),
  };
}

/** The time of day, or on another day that and as much of the time as there is room for. */
function placeInTime(date: Date): string {
  if (date.toDateString() === new Date().toDateString()) return clock(date);
  return `${date.toLocaleDateString("en", { month: "short", day: "numeric" })} ${clock(date).slice(0, 5)}`;
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ["history_expired", "the server has forgotten them"],
  ["unknown_epoch", "the server was started anew"],
  ["slow_consumer", "this page read too slowly"],
]);

function lossText(payload: unknown): string {
  const { count, reason } = (payload ?? {}) as { count?: unknown; reason?: unknown };
  const amount = typeof count === "number" ? count.toLocaleString("en") : "An unknown number of";
  return `${amount} ${count === 1 ? "event is" : "events are"} missing here: ${
    REASONS.get(reason) ?? reason
  }`;
}

/** Makes the records, bounded by so many and by so many characters of JSON. */
export function createRecords(maxRecords: number, maxCharacters: number): Records {
  const kept = createBounded(maxRecords, maxCharacters);
  const waiting = createBounded(maxRecords, maxCharacters);
  let shown = createQueue<EventRecord>();
  let accepts: (record: EventRecord) => boolean = () => true;
  let received = 0;
  let held: number | undefined;
  let added = 0;

  function show(record: EventRecord): void {
    if (!accepts(record)) return;
    shown.push(record);
    added++;
  }

  function keep(record: EventRecord): void {
    kept.push(record, (gone) => {
      if (shown.at(0) === gone) shown.shift();
    });
    show(record);
  }

  return {
    get shown() {
      return shown;
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
      shown = createQueue();
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
      shown = createQueue();
      kept.clear();
      waiting.clear();
    },
  };
}

/** A queue that gives up its oldest records for new ones. */
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
    push(record: EventRecord, onGone?: (gone: EventRecord) => void): void {
      records.push(record);
      characters += record.json.length;
      // The newest is kept however long it is.
      while (records.length > maxRecords || (characters > maxCharacters && records.length > 1)) {
        const gone = shift()!;
        onGone?.(gone);
      }
    },
    clear(): void {
      while (shift() !== undefined);
    },
  };
}

/** A loss concerns whoever looks, whatever types they look at. */
function matcher({ types, text }: Filter): (record: EventRecord) => boolean {
  const isWanted = (type: string) => types.size === 0 || types.has(type) || type === "events_lost";
  if (text === "") return ({ type }) => isWanted(type);
  const pattern = new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "i");
  return ({ type, summary, json }) => isWanted(type) && (pattern.test(summary) || pattern.test(json));
}
