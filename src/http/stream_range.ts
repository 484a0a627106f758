/**
 * The range of a stream: where it starts, and where it ends by itself.
 *
 * @module
 */
import type { Context } from "hono";
import type { Batch, Entry, EventLog, Start } from "../channel/channel.ts";
import { locateLast, locateTime } from "../channel/locate_start.ts";
import { EventsError } from "../events/errors.ts";
import { formatCursor, isCursor, parseCursor } from "../events/cursor.ts";
import { parseTime } from "../events/time.ts";
import { MAX_TIMER_MS } from "../events/timing.ts";
import type { Filter } from "../stream/chunk.ts";
import type { Hub } from "../stream/hub.ts";
import type { Subscriber } from "../stream/subscriber.ts";

/** Where a request wants to start. */
export interface RequestedStart extends Start {
  /** The `id` of its `events_start`. */
  readonly id: string;
  /** Whether it resumes after a cursor. */
  readonly isResumed: boolean;
}

/** How long after its time `until` ends a stream without further events: what was published before may still be stored. */
const UNTIL_GRACE_MS = 100;

/**
 * Finds where a request wants to start.
 *
 * @param createFilter makes the filter of the request
 * @throws {EventsError} `InvalidCursor`, `InvalidParameter`; `ChannelUnavailable` if it cannot be found now
 */
export function locateRequest(
  c: Context,
  channel: EventLog,
  createFilter: () => Filter | undefined,
): RequestedStart | Promise<RequestedStart> {
  // A reconnecting EventSource repeats its URL, so its header overrides `since`. A polyfill puts its cursor into the URL,
  // as `lastEventId`, beside the `since` of its application.
  const lastEventId = c.req.header("Last-Event-ID") || c.req.query("lastEventId");
  if (lastEventId) parseCursor(lastEventId);
  const since = lastEventId || c.req.query("since") || "latest";
  const last = readCount(c, "last");
  if (last !== undefined && !lastEventId) {
    if (since !== "latest") throw invalid("last and since are two places to start: give one");
    return withId(locateLast(channel, last, acceptorOf(createFilter())));
  }
  const time = lastEventId ? undefined : parseTime(since, Date.now());
  if (time !== undefined) return withId(locateTime(channel, time));
  if (since === "latest" || since === "earliest") return withId(channel.locate(since));
  if (!isCursor(since)) throw invalidPlace("since", since, "earliest, latest, ");
  return withId(channel.locate(since), since);
}

function acceptorOf(filter: Filter | undefined): ((entry: Entry) => boolean) | undefined {
  return filter && ((entry) => filter.accepts(entry, () => JSON.parse(entry.json)));
}

function withId(start: Start | Promise<Start>, id?: string): RequestedStart | Promise<RequestedStart> {
  if (start instanceof Promise) return start.then((start) => withId(start, id));
  return { ...start, id: id ?? formatCursor(start.epoch, start.position), isResumed: id !== undefined };
}

/** Ends a stream by itself: after `limit` events, or at `until`. */
export class StreamLimit {
  /** The position at which it ends at the latest; infinity to follow the channel. */
  readonly position: number;
  readonly #channel: EventLog;
  /** The time after which events are not sent, in milliseconds since 1970. */
  readonly #time: number;
  /** The number of events that may still be sent. */
  #left: number;
  /** The position at which it has ended. The clock may be set back after it. */
  #end: number = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  /** Set when its sink is made, before it sees any event. */
  subscriber: Subscriber | undefined;

  /**
   * Reads `limit` and `until`; `undefined` if neither is given.
   *
   * @throws {EventsError} `InvalidParameter`
   */
  static of(c: Context, channel: EventLog): StreamLimit | undefined {
    const limit = readCount(c, "limit");
    const until = c.req.query("until") || undefined;
    return limit === undefined && until === undefined ? undefined : new StreamLimit(channel, limit, until);
  }

  private constructor(channel: EventLog, limit: number = Infinity, until: string | undefined) {
    this.#channel = channel;
    this.#left = limit;
    const time = until === undefined ? undefined : parseTime(until, Date.now());
    this.#time = time ?? Infinity;
    this.position = until === undefined || time !== undefined ? Infinity : positionOf(until, channel);
    if (time !== undefined && time + UNTIL_GRACE_MS <= Date.now()) this.position = channel.last;
  }

  /**
   * Whether a request resumes at the end. It needs an answer that ends a client for good, because one that reconnects, as an
   * `EventSource` does, would get an empty stream again and again.
   */
  isAtEnd({ isResumed, unknownEpoch, position }: RequestedStart): boolean | Promise<boolean> {
    if (!isResumed || unknownEpoch) return false;
    if (position >= this.position) return true;
    if (this.#time === Infinity) return false;
    // What the clock says does not count: it may have been set back since the stream ended before a later event.
    const isPast = ({ lost, entries: [next] }: Batch) =>
      lost === undefined && next !== undefined && next.time > this.#time;
    const batch = this.#channel.read(position, 1);
    return batch instanceof Promise ? batch.then(isPast) : isPast(batch);
  }

  /** Limits a filter to what is before the end. */
  applyTo(filter: Filter | undefined): Filter {
    return {
      ...(filter?.callsApplication !== undefined && { callsApplication: filter.callsApplication }),
      accepts: (entry, event) => {
        if (entry.position > this.#end) return false;
        if (entry.time > this.#time) return this.#endAt(entry.position - 1);
        if (this.#left === 0 || filter?.accepts(entry, event) === false) return false;
        if (--this.#left === 0) this.#endAt(entry.position);
        return true;
      },
    };
  }

  /** Ends the stream at its time, if that is still to come, also if nothing is published then. */
  start(hub: Hub): void {
    if (this.#time === Infinity || this.#isOver || this.position < Infinity) return;
    // A timer may strike a millisecond early by the clock, and who comes back then has to find that the time is over.
    const ms = Math.max(0, this.#time + UNTIL_GRACE_MS + 1 - Date.now());
    this.#timer = setTimeout(() => {
      if (ms > MAX_TIMER_MS) return this.start(hub);
      this.#endAt(this.#channel.last);
      hub.pull(this.subscriber!);
    }, Math.min(ms, MAX_TIMER_MS));
  }

  /** Stops the timer. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #endAt(position: number): false {
    const { subscriber } = this;
    this.#end = position;
    if (subscriber !== undefined) subscriber.until = Math.min(subscriber.until, position);
    return false;
  }
}

function positionOf(until: string, { epoch }: EventLog): number {
  if (!isCursor(until)) throw invalidPlace("until", until);
  const cursor = parseCursor(until);
  if (cursor.epoch === epoch) return cursor.position;
  throw new EventsError("InvalidCursor", `until: the cursor "${until}" is of another channel`);
}

function readCount(c: Context, name: string): number | undefined {
  const text = c.req.query(name);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw invalid(`${name} must be a number of events, 1 or more, not ${JSON.stringify(text.slice(0, 128))}`);
}

function invalidPlace(name: string, text: string, words: string = ""): EventsError {
  const places = `${words}the "id" of an event, or a time like 2026-11-28T03:00:00Z or -10m`;
  return new EventsError(
    "InvalidCursor",
    `${name} must be ${places}, not ${JSON.stringify(text.slice(0, 128))}`,
  );
}

function invalid(message: string): EventsError {
  return new EventsError("InvalidParameter", message);
}
