/**
 * Starts by time and by number, in any log: it is searched by its own `read`.
 *
 * @module
 */
import { type Entry, type EventLog, positionAfter, type Start } from "./channel.ts";

/** The part of a log that is searched. */
type SearchedLog = Pick<EventLog, "epoch" | "first" | "last" | "read" | "hasErased">;

/** How many events are looked at in one step, from the newest backwards; each further step has twice as many. */
const STEP_EVENTS = 256;
const STEP_BYTES = 256 * 1024;

/**
 * Finds where a reader starts that wants what was published from a time on: a binary search, in which a log that is kept
 * elsewhere reads some twenty pages.
 *
 * @param time in milliseconds since 1970
 */
export async function locateTime(log: SearchedLog, time: number): Promise<Start> {
  const { epoch, first } = log;
  let [before, end] = [first - 1, log.last];
  while (before < end) {
    const middle = before + Math.floor((end - before) / 2);
    const entry = await entryAfter(log, middle);
    if (log.epoch !== epoch) break;
    if (entry !== undefined && entry.time < time) before = Math.min(entry.position, end);
    else end = middle;
  }
  // Whether events that are no longer kept were published after that time is not known.
  return { epoch, position: before, unknownEpoch: false, mayHaveExpired: before < first && first > 1 };
}

/**
 * Finds where a reader starts that wants the newest events.
 *
 * @param count how many
 * @param accepts whether it sees an event; default all
 */
export function locateLast(
  log: SearchedLog,
  count: number,
  accepts?: (entry: Entry) => boolean,
): Start | Promise<Start> {
  const { epoch, first, last } = log;
  if (accepts !== undefined || log.hasErased) return searchLast(log, count, accepts);
  return { epoch, position: Math.max(first - 1, last - count), unknownEpoch: false };
}

async function searchLast(
  log: SearchedLog,
  count: number,
  accepts: (entry: Entry) => boolean = () => true,
): Promise<Start> {
  const { epoch } = log;
  let left = count;
  for (let [end, step] = [log.last, STEP_EVENTS]; end >= log.first; step *= 2) {
    const from = Math.max(log.first - 1, end - step);
    const seen = (await entriesBetween(log, from, end)).filter(accepts);
    if (seen.length >= left) return { epoch, position: seen.at(-left)!.position - 1, unknownEpoch: false };
    left -= seen.length;
    end = from;
  }
  return { epoch, position: log.first - 1, unknownEpoch: false };
}

/** Returns the first event after a position that is still kept; `undefined` if there is none. */
async function entryAfter(log: SearchedLog, position: number): Promise<Entry | undefined> {
  for (let reached = position;;) {
    const batch = await log.read(reached, 1);
    const next = positionAfter(batch, reached);
    if (batch.entries[0] !== undefined || next === reached) return batch.entries[0];
    reached = next;
  }
}

async function entriesBetween(log: SearchedLog, after: number, last: number): Promise<Entry[]> {
  const found: Entry[] = [];
  for (let position = after; position < last;) {
    const batch = await log.read(position, STEP_BYTES);
    const next = positionAfter(batch, position);
    if (next === position) break; // It was closed, or has another epoch.
    for (const entry of batch.entries) if (entry.position <= last) found.push(entry);
    position = next;
  }
  return found;
}
