/**
 * How much of the past the page knows: it asks for the last events, and has no more of those before them until it asks again.
 *
 * @module
 */
import { connect, type Dictionary, EventsError, type Status } from "../client/mod.ts";
import { timeOf } from "../text/event_text.ts";
import { eventsUrl } from "./events_url.ts";
import type { Question, TimeRange } from "./view.ts";

/** The stretch of time of which the page has all events that it asked for, in milliseconds since 1970. */
export interface Known {
  readonly from: number;
  /** Infinity while it is connected. */
  readonly to: number;
  /** When the oldest event was published that the server has; there is none to ask for before it. */
  readonly oldest: number;
  /** Whether the server reported that the time before `from` is gone. */
  readonly isGone: boolean;
  /** The stretches in between in which events were lost. */
  readonly gaps: readonly TimeRange[];
}

/** Maximum number of gaps that are remembered. */
const MAX_GAPS = 50;

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Returns since when a question is answered.
 *
 * @param first when the first event of the answer was published; `undefined` if there is none yet
 * @param asked when it was asked, by the clock of the server
 */
export function startOf({ since }: Question, first: number | undefined, asked: number): number {
  if (since === "earliest") return -Infinity;
  const [, amount, unit] = /^-(\d+)([smhd])$/.exec(since ?? "") ?? [];
  if (unit !== undefined) return asked - Number(amount) * SECONDS[unit as keyof typeof SECONDS] * 1000;
  const time = Date.parse(since ?? "");
  return Number.isNaN(time) ? first ?? asked : time;
}

/** Whether the page has all events that were published at a time, in milliseconds since 1970. */
export function isKnownAt({ from, to, oldest, isGone, gaps }: Known, time: number): boolean {
  const isBefore = time < from && (isGone || time >= oldest);
  return !isBefore && time < to && !gaps.some((gap) => gap.from <= time && time < gap.to);
}

/** What the page knows of the past. Its times are those of the server. */
export interface Past {
  readonly known: Known;
  /** Begins with another question. */
  ask(question: Question, now: number): void;
  /** Notes an event of the answer: the first one is the oldest, and a loss before it is that of older ones. */
  begin(event: Dictionary): void;
  /** Notes the state of the connection. */
  status(status: Status, now: number, apiKey: string | undefined): void;
}

/**
 * Makes the past.
 *
 * @param onChange called when the oldest event of the server has become known
 */
export function createPast(onChange: () => void): Past {
  let question: Question = { types: [], subjects: [], since: "earliest" };
  let asked = 0;
  let first: number | undefined;
  let to = Infinity;
  let isGone = false;
  let oldest: number | undefined;
  let gaps: readonly TimeRange[] = [];
  let last: Dictionary | undefined;
  /** Whether the connection began with a gap, which a loss that it reports is about. */
  let beginsWithGap = false;

  function addGap(gap: TimeRange): void {
    gaps = [...gaps, gap].slice(-MAX_GAPS);
  }

  async function findOldest(apiKey: string | undefined): Promise<void> {
    const of = question;
    oldest = -Infinity;
    const time = await oldestTime(of, apiKey);
    if (of !== question) return;
    oldest = time;
    onChange();
  }

  return {
    get known() {
      const from = isGone ? first ?? asked : startOf(question, first, asked);
      return { from, to: Math.max(to, from), oldest: oldest ?? -Infinity, isGone, gaps };
    },
    ask: (now, time) => {
      question = now;
      asked = time;
      first = oldest = last = undefined;
      gaps = [];
      to = -Infinity; // Nothing of the answer has arrived.
      isGone = false;
    },
    begin: (event) => {
      if (event.type !== "events_lost") {
        first ??= timeOf(event).getTime();
        last = event;
      } else if (last === undefined) isGone = true;
      else if (!beginsWithGap) addGap({ from: timeOf(last).getTime(), to: timeOf(event).getTime() });
      beginsWithGap = false;
    },
    status: (status, now, apiKey) => {
      if (status.type === "open") {
        beginsWithGap = !status.resumed && Number.isFinite(to);
        if (beginsWithGap) addGap({ from: to, to: now });
        to = Infinity;
        if (oldest === undefined) void findOldest(apiKey);
      } else if (status.type !== "connecting") to = Math.min(to, now);
    },
  };
}

/**
 * Returns when the oldest event was published that a question can have: one event is asked for. Infinity if there is none,
 * and the opposite if the server does not say.
 */
async function oldestTime({ types, subjects }: Question, apiKey: string | undefined): Promise<number> {
  const place = { since: "earliest", until: "-1s", limit: 1 } as const;
  const options = { types, subjects, ...place, reconnect: false, ...(apiKey && { apiKey }) } as const;
  try {
    for await (const event of connect(eventsUrl(), options)) {
      if (event.type !== "events_lost") return timeOf(event).getTime();
    }
  } catch (error) {
    if (!(error instanceof EventsError)) throw error;
    return -Infinity;
  }
  return Infinity;
}
