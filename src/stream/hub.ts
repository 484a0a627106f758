/**
 * The feed: one pipeline for each wire format, and the subscribers that share its chunks.
 *
 * A subscriber is a position, never a queue. Live, replay, resume and slow reader are one loop: while its outlet
 * takes more, a subscriber is given what follows its position.
 *
 * @module
 */
import type { Batch, EventLog, Start } from "../channel/channel.ts";
import { resetToEpoch as beginEpoch, startAt, takeLoss } from "../channel/read_position.ts";
import { type Chunk, type Filter, makeChunk, select } from "./chunk.ts";
import { controlLine, formatCursor, type Loss, type LossReason } from "../events/event.ts";
import { startPipeline } from "./pipeline.ts";
import { createChunkCache } from "./chunk_cache.ts";
import { serialize, type WireFormat } from "./wire_format.ts";
import {
  countChunk,
  countEnd,
  createStats,
  type End,
  type EndReason,
  readStats,
  type StreamStats,
} from "./stats.ts";

/** Where a subscriber's bytes go: one open response. */
export interface Sink {
  /** Whether it takes more at the moment. */
  readonly ready: boolean;
  /** A number that has changed when more was taken of what was written, as far as that can be seen. */
  readonly pending: number;
  /** Takes the bytes, which are shared and never changed. Asks for nothing before it returns. */
  write(bytes: Uint8Array): void;
  /** Ends the response after what was written. */
  end(): void;
  /** Cuts the response off, whatever of it is still unread. A server may show the text where it shows errors. */
  abort(reason: string): void;
  /** Called once, when nothing more will be written. */
  release(): void;
}

/** How a subscriber begins. */
export interface Subscription {
  /** Where it starts. */
  readonly start: Start;
  /** The position it ends at; infinity: it stays until it leaves or the channel is closed. */
  readonly until: number;
  /** Which events it is to see; none: all of them. */
  readonly filter?: Filter | undefined;
  /** Whether it is told by an event how far it has come while its filter hides everything. */
  readonly bookmarks: boolean;
  /** Where its bytes go. */
  readonly sink: Sink;
  /** How many bytes went there already. */
  readonly bytes: number;
  /** Called once, when it is no longer a subscriber, however that came. */
  onLeave(end: End): void;
}

/** One open response, as the feed knows it. */
export interface Subscriber {
  /** The last position it has been given. */
  readonly position: number;
}

/** One running pipeline and its subscribers. */
export interface Hub {
  /** Adds a subscriber; the first one starts the pipeline, and when the last one leaves it ends. */
  subscribe(subscription: Subscription): Subscriber;
  /** Gives a subscriber what follows its position, for as long as its outlet takes more. */
  pull(subscriber: Subscriber): void;
  /** Forgets a subscriber. Once is enough, and more does no harm. */
  leave(subscriber: Subscriber): void;
  /** Sets which events a subscriber is to see from now on. */
  setFilter(subscriber: Subscriber, filter: Filter | undefined): void;
  /** Gives a subscriber no event more, and ends its response as soon as its outlet takes the end. */
  revoke(subscriber: Subscriber): void;
  /** Cuts off every subscriber that is left, as one whose channel was closed and who has not taken the rest of it. */
  abort(): void;
  /** What was counted so far. */
  stats(): StreamStats;
}

/** Options of {@linkcode createHub}. */
export interface HubOptions {
  /**
   * Seconds of silence after which a subscriber is sent a heartbeat; `null` for never. It is told how far it has come all
   * the same, at the pace of {@linkcode DEFAULT_HEARTBEAT_SECONDS}.
   */
  readonly heartbeat: number | null;
  /** Seconds after which, or at most a sixth later, a subscriber is cut off that takes nothing of what it was sent; `null` for never. */
  readonly stallTimeout: number | null;
  /** At most so many milliseconds an event waits for others to go out with. */
  readonly maxDelay: number;
  /** Told of what the application's own code has thrown, or the log. */
  onError(error: unknown): void;
}

/** Seconds between two signs of life, where nobody says otherwise. */
export const DEFAULT_HEARTBEAT_SECONDS = 5;

/** So many bytes of recent chunks are kept ready for those who read a little slower than the rest. */
const CACHE_BYTES = 8 * 1024 * 1024;
/** A chunk read from history holds about so many bytes: what a stalled replay keeps to itself. */
const REPLAY_BYTES = 64 * 1024;
/** After so many bytes at a stretch, shown or hidden by its filter, a reader of history lets others go first. */
const YIELD_AFTER_BYTES = 1024 * 1024;

/** The `until` of a subscriber that was dismissed. */
const REVOKED = -1;
/** The `pending` of a subscriber that was written to since it was looked at: no number that an outlet has which is not ready. */
const UNSEEN = -1;

interface State extends Omit<Subscription, "start"> {
  position: number;
  until: number;
  filter: Filter | undefined;
  /** The last position that its consumer knows it has reached. */
  announcedPosition: number;
  /** What a loss would be called that is found next. */
  lossReason: LossReason;
  /** When it came, in `performance.now()`. */
  readonly since: number;
  /** When it was last sent something or seen to take some of it, or there was nothing to break its silence with. */
  lastActivity: number;
  /** What its outlet had pending when it was last looked at; {@linkcode UNSEEN} since it was sent something after that. */
  pending: number;
  /** How many events it has been handed. */
  events: number;
  /** How many bytes it has been handed. */
  bytes: number;
  /** Goes on with a history that it has read a stretch of. */
  yieldTimer: ReturnType<typeof setTimeout> | undefined;
  /** What follows its position in a history that is kept elsewhere: asked for, or there. */
  replay: Batch | Promise<Batch> | undefined;
}

/** Makes a feed of the log in one wire format. Nothing runs before the first subscriber. */
export function createHub(log: EventLog, format: WireFormat, options: HubOptions): Hub {
  const paceMs = (options.heartbeat ?? DEFAULT_HEARTBEAT_SECONDS) * 1000;
  const stallMs = options.stallTimeout === null ? Infinity : options.stallTimeout * 1000;
  /** How often the readers are looked at. */
  const tickMs = Math.min(paceMs, stallMs / 12);
  const subscribers = new Set<State>();
  const encoder = new TextEncoder();
  const heartbeat = options.heartbeat === null ? undefined : encoder.encode(format.heartbeat);
  const recent = createChunkCache(CACHE_BYTES);
  const tally = createStats();
  let stopPipeline: (() => void) | undefined;
  /** What the pipeline tells of. */
  let { epoch } = log;
  /** Whether the pipeline has told all that it will. */
  let hasEnded = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer is to fire. */
  let due = 0;

  function subscribe(subscription: Subscription): State {
    const { start, until, filter, bookmarks, sink, bytes, onLeave } = subscription;
    const now = performance.now();
    // Written out, not spread: engines lay such an object out in half the memory, and there is one for each connection.
    const subscriber: State = {
      position: start.position,
      announcedPosition: start.position,
      until,
      filter,
      bookmarks,
      sink,
      onLeave,
      lossReason: "slow_consumer",
      since: now,
      lastActivity: now,
      pending: UNSEEN,
      events: 0,
      bytes,
      yieldTimer: undefined,
      replay: undefined,
    };
    startAt(subscriber, log, start);
    subscriber.announcedPosition = subscriber.position;
    if (subscribers.size === 0) {
      scheduleTick(tickMs);
      startPipelineAtEnd();
    } else if (epoch !== log.epoch) {
      resetToEpoch(); // The pipeline has not come as far yet, and its chunks are of the old one.
    }
    subscribers.add(subscriber);
    return subscriber;
  }

  /** The events are counted anew. */
  function resetToEpoch(): void {
    stopPipeline?.();
    startPipelineAtEnd();
    for (const subscriber of subscribers) restart(subscriber);
  }

  function startPipelineAtEnd(): void {
    ({ epoch } = log);
    recent.restart(log.last);
    hasEnded = false;
    stopPipeline = startPipeline(log, format, {
      onChunk(chunk) {
        recent.add(chunk, log.first);
        broadcast(chunk);
        countChunk(tally, chunk.entries.length, chunk.entries[0]!.time);
      },
      onNewEpoch: resetToEpoch,
      onLoss() {
        recent.restart(log.last); // No chunk tells of it: it is found in the history.
        pumpAll();
      },
      onEnd() {
        hasEnded = true;
        pumpAll();
      },
      onError(error) {
        options.onError(error);
        for (const subscriber of subscribers) cut(subscriber, "failed", FAILED);
      },
      maxDelay: options.maxDelay,
    });
  }

  function pumpAll(): void {
    for (const subscriber of subscribers) pump(subscriber);
  }

  function leave(subscriber: State, reason: EndReason): void {
    if (!subscribers.delete(subscriber)) return;
    const { since, events, bytes } = subscriber;
    const end: End = { reason, seconds: (performance.now() - since) / 1000, events, bytes };
    countEnd(tally, end);
    clearTimeout(subscriber.yieldTimer);
    if (subscribers.size === 0) {
      stopPipeline?.();
      recent.restart(0);
      clearTimeout(timer);
    }
    try {
      subscriber.sink.release();
      subscriber.onLeave(end);
    } catch (error) {
      options.onError(error); // Somebody else's error, in the middle of what others are being sent.
    }
  }

  /** The newest chunk, to everybody. What the read loop would do, with nothing to find out for most of them. */
  function broadcast(chunk: Chunk): void {
    const now = performance.now();
    for (const subscriber of subscribers) {
      const isLive = subscriber.position === chunk.after && subscriber.filter === undefined;
      if (
        isLive && subscriber.until === Infinity && chunk.after >= log.first - 1 && subscriber.sink.ready
      ) {
        subscriber.position = subscriber.announcedPosition = chunk.last;
        send(subscriber, chunk.bytes, chunk.entries.length, now);
      } else {
        pump(subscriber);
      }
    }
  }

  /** The one read loop. */
  function pump(subscriber: State): void {
    const { filter, sink, until } = subscriber;
    let passed = 0;
    while (sink.ready && subscribers.has(subscriber)) {
      if (until === REVOKED) return finish(subscriber, "unauthorized");
      if (epoch !== log.epoch) return; // Its position means nothing any more: the pipeline will say so.
      const loss = takeLoss(subscriber, log.first - 1 - subscriber.position);
      if (loss !== undefined) {
        reportLoss(subscriber, loss, log.first - 1);
        continue;
      }
      const { position } = subscriber;
      if (position >= until) {
        sendPosition(subscriber);
        return end(subscriber, "completed");
      }
      const isRecent = position >= recent.after;
      const found = isRecent ? recent.chunkAfter(position) : readHistory(subscriber);
      if (found instanceof Promise) return;
      if (found !== undefined && "reason" in found) {
        reportLoss(subscriber, found, position + (found.count ?? 0));
        continue;
      }
      if (found === undefined) {
        // Of a closed history that is kept elsewhere nothing more may be had.
        if (log.closed && (position >= log.last || !isRecent || hasEnded)) finish(subscriber, "closed");
        return;
      }
      const chunk = found;
      const selection = guarded(subscriber, () => select(chunk, subscriber.position, until, filter));
      if (selection === undefined) return;
      subscriber.position = Math.min(chunk.last, until);
      if (selection.seen !== undefined) {
        subscriber.announcedPosition = selection.seen;
        send(subscriber, selection.bytes, selection.count);
      }
      if ((passed += chunk.bytes.length) > YIELD_AFTER_BYTES && subscribers.has(subscriber)) {
        clearTimeout(subscriber.yieldTimer);
        subscriber.yieldTimer = setTimeout(pump, 0, subscriber);
        return;
      }
    }
  }

  /** What the application's own filter selects; where it throws, the response is over, and nothing of it shown. */
  function guarded<T>(subscriber: State, run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      options.onError(error);
      cut(subscriber, "failed", FAILED);
      return undefined;
    }
  }

  /** Hands it bytes, and so many events with them. */
  function send(subscriber: State, bytes: Uint8Array, events: number, now = performance.now()): void {
    subscriber.lastActivity = now;
    // As much may be pending after it as before, and then what is taken of it by the next look would not show.
    subscriber.pending = UNSEEN;
    try {
      subscriber.sink.write(bytes);
    } catch {
      return leave(subscriber, "disconnected"); // The response is gone, and nobody had said so yet.
    }
    subscriber.events += events;
    subscriber.bytes += bytes.length;
  }

  function sendLine(subscriber: State, type: string, payload?: unknown): void {
    const line = controlLine(type, formatCursor(epoch, subscriber.position), payload);
    send(subscriber, encoder.encode(format.write(line)), 0);
  }

  function finish(subscriber: State, reason: EndReason): void {
    const farewell = format.closing();
    if (farewell !== "") send(subscriber, encoder.encode(farewell), 0);
    end(subscriber, reason);
  }

  function dismiss(subscriber: State): void {
    subscriber.until = REVOKED;
    pump(subscriber);
  }

  function end(subscriber: State, reason: EndReason): void {
    if (!subscribers.has(subscriber)) return;
    leave(subscriber, reason);
    subscriber.sink.end();
  }

  function cut(subscriber: State, reason: EndReason, shown: string): void {
    leave(subscriber, reason);
    subscriber.sink.abort(shown);
  }

  /** Tells it that it misses events, and lets it go on after the position. */
  function reportLoss(subscriber: State, { reason, count }: Loss, position: number): void {
    subscriber.position = subscriber.announcedPosition = position;
    subscriber.replay = undefined; // It follows the position that it was at.
    tally.lost[reason].times++;
    tally.lost[reason].events += count ?? 0;
    sendLine(subscriber, "events_lost", { reason, count });
  }

  /** The events are counted anew, and nobody knows what it misses. */
  function restart(subscriber: State): void {
    beginEpoch(subscriber, log);
    subscriber.announcedPosition = subscriber.position;
    subscriber.replay = undefined;
    if (subscriber.until >= 0 && subscriber.until < Infinity) subscriber.until = log.last;
    pump(subscriber);
  }

  /**
   * What follows its position in the history, up to where the recent chunks begin: a chunk, or what was lost there. A
   * promise: it will be asked to go on.
   */
  function readHistory(subscriber: State): Chunk | Loss | Promise<Batch> | undefined {
    const { replay } = subscriber;
    const batch = replay ?? log.read(subscriber.position, REPLAY_BYTES);
    if (batch instanceof Promise) {
      if (batch !== replay) awaitReplay(subscriber, batch);
      return batch;
    }
    subscriber.replay = undefined;
    if (batch.lost !== undefined) return { reason: "slow_consumer", count: batch.lost.count };
    // Whoever comes to the recent chunks at the beginning of one can be given the very bytes that others are.
    const before = batch.entries.filter((entry) => entry.position <= recent.after);
    return before.length === 0
      ? undefined
      : makeChunk(format, before, encoder.encode(serialize(format, before)));
  }

  /** Waits for what it has asked for; unless its position has moved meanwhile, it goes on with that. */
  function awaitReplay(subscriber: State, asked: Promise<Batch>): void {
    const isWaiting = () => subscriber.replay === asked && subscribers.has(subscriber);
    subscriber.replay = asked;
    asked.then((batch) => {
      if (!isWaiting()) return;
      subscriber.replay = batch;
      pump(subscriber);
    }, (error: unknown) => {
      if (!isWaiting()) return;
      options.onError(error);
      cut(subscriber, "failed", FAILED);
    });
  }

  /** One timer for all: it fires when the first of them may have been silent for long, or it is time to look who moves. */
  function scheduleTick(ms: number): void {
    due = performance.now() + ms;
    timer = setTimeout(tick, ms);
  }

  function tick(): void {
    const now = performance.now() + 1; // Timers may fire a little early.
    let next = now + tickMs;
    // A process that stood still has not yet heard what was taken meanwhile.
    const stoodStill = now - due > stallMs / 2;
    for (const subscriber of subscribers) {
      if (subscriber.sink.ready) {
        if (subscriber.lastActivity + paceMs <= now) keepAlive(subscriber, now);
        next = Math.min(next, subscriber.lastActivity + paceMs);
      } else {
        watch(subscriber, now, stoodStill);
      }
    }
    if (subscribers.size > 0) scheduleTick(next - now + 1);
  }

  /** Cuts off a subscriber that has taken nothing for too long of what it was sent, unless it is to be given more time. */
  function watch(subscriber: State, now: number, isGivenTime: boolean): void {
    const { pending } = subscriber.sink;
    if (pending !== subscriber.pending || isGivenTime) subscriber.lastActivity = now;
    else if (subscriber.lastActivity + stallMs <= now) cut(subscriber, "stalled", STALLED);
    subscriber.pending = pending;
  }

  /** Breaks a silence: with the position, where events have passed unseen, else with a heartbeat, where there are any. */
  function keepAlive(subscriber: State, now: number): void {
    subscriber.lastActivity = now;
    if (!sendPosition(subscriber) && heartbeat !== undefined) send(subscriber, heartbeat, 0);
  }

  /** Tells how far it has come, where events have passed unseen and there is a way to; whether it did. */
  function sendPosition(subscriber: State): boolean {
    const { position, announcedPosition, bookmarks } = subscriber;
    if (position <= announcedPosition) return false;
    subscriber.announcedPosition = position;
    const move = bookmarks ? "" : format.encodePosition(formatCursor(epoch, position));
    if (bookmarks) sendLine(subscriber, "events_bookmark");
    else if (move !== "") send(subscriber, encoder.encode(move), 0);
    return bookmarks || move !== "";
  }

  return {
    subscribe,
    pull: pump as (subscriber: Subscriber) => void,
    leave: (subscriber) => leave(subscriber as State, "disconnected"),
    setFilter: (subscriber, filter) => {
      (subscriber as State).filter = filter;
    },
    revoke: dismiss as (subscriber: Subscriber) => void,
    abort: () => {
      for (const subscriber of subscribers) cut(subscriber, "closed", CLOSED);
    },
    stats: () => readStats(tally, subscribers),
  };
}

const FAILED = "the stream of a reader failed and was cut off";
const STALLED = "a reader took nothing for too long and was cut off";
const CLOSED = "a reader had not taken all when the server stopped and was cut off";
