/**
 * The feed: one pipeline for each wire format, and the subscribers that share its chunks.
 *
 * A subscriber is a position, never a queue. Live, replay, resume and slow reader are one loop: while its outlet
 * takes more, a subscriber is given what follows its position.
 *
 * @module
 */
import type { EventLog } from "./channel.ts";
import { formatCursor, type Loss, type LossReason } from "./event.ts";
import { type Chunk, makeChunk, startPipeline } from "./pipeline.ts";
import { type Line, serialize, type WireFormat } from "./serialize.ts";

/** Where a subscriber's bytes go: one open response. */
export interface Outlet {
  /** Whether it takes more at the moment. */
  readonly ready: boolean;
  /** Takes the bytes, which are shared and never changed. May ask for more before it returns. */
  write(bytes: Uint8Array): void;
  /** Ends the response after what was written. */
  end(): void;
}

/** How a subscriber begins. */
export interface Subscription {
  /** The last position it has seen. */
  readonly position: number;
  /** Whether the position is a stand-in for one in a channel that is gone. */
  readonly unknownEpoch: boolean;
  /** The position it ends at; infinity: it stays until it leaves or the channel is closed. */
  readonly until: number;
  /** Where its bytes go. */
  readonly outlet: Outlet;
  /** Called once, when it is no longer a subscriber, however that came. */
  onLeave(): void;
}

/** One open response, seen from the feed. */
export interface Subscriber {
  /** Gives it what follows its position, for as long as the outlet takes more. */
  pull(): void;
  /** Forgets it. Once is enough, and more does no harm. */
  leave(): void;
}

/** One running pipeline and its subscribers. */
export interface Feed {
  /** How many subscribers there are. */
  readonly subscribers: number;
  /** Adds a subscriber; the first one starts the pipeline, and when the last one leaves it ends. */
  subscribe(subscription: Subscription): Subscriber;
}

/** Options of {@linkcode createFeed}. */
export interface FeedOptions {
  /** Seconds of silence after which a subscriber is sent a heartbeat; `null` for never. */
  readonly heartbeat: number | null;
}

/** So many bytes of recent chunks are kept ready for those who read a little slower than the rest. */
const RECENT_BYTES = 8 * 1024 * 1024;
/** A chunk read from history holds about so many bytes: what a stalled replay keeps to itself. */
const REPLAY_BYTES = 64 * 1024;

interface State extends Subscription {
  position: number;
  /** What a loss would be called that is found next. */
  lossReason: LossReason;
  /** When it was last sent something, in `performance.now()`. */
  lastWrite: number;
}

/** Makes a feed of the log in one wire format. Nothing runs before the first subscriber. */
export function createFeed(log: EventLog, format: WireFormat, options: FeedOptions): Feed {
  const subscribers = new Set<State>();
  const encoder = new TextEncoder();
  const recent = createRecent(RECENT_BYTES);
  const heartbeat = encoder.encode(format.heartbeat);
  let stopPipeline: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function subscribe(subscription: Subscription): Subscriber {
    const lossReason = subscription.unknownEpoch ? "unknown_epoch" : "history_expired";
    const subscriber: State = { ...subscription, lossReason, lastWrite: performance.now() };
    if (subscribers.size === 0) start();
    subscribers.add(subscriber);
    timer ??= schedule(options.heartbeat);
    return { pull: () => pump(subscriber), leave: () => leave(subscriber) };
  }

  function start(): void {
    recent.restart(log.last);
    stopPipeline = startPipeline(log, format, {
      onChunk(chunk) {
        recent.add(chunk, log.first);
        for (const subscriber of subscribers) pump(subscriber);
      },
      onEnd() {
        stopPipeline = undefined;
        for (const subscriber of subscribers) pump(subscriber);
      },
    });
  }

  function leave(subscriber: State): void {
    if (!subscribers.delete(subscriber)) return;
    if (subscribers.size === 0) {
      stopPipeline?.();
      stopPipeline = undefined;
      recent.restart(0);
      clearTimeout(timer);
      timer = undefined;
    }
    subscriber.onLeave();
  }

  /** The one read loop. */
  function pump(subscriber: State): void {
    while (subscribers.has(subscriber) && subscriber.outlet.ready) {
      if (subscriber.position >= subscriber.until) return end(subscriber);
      const lost = findLoss(subscriber);
      if (lost !== undefined) {
        subscriber.position = log.first - 1;
        send(subscriber, encoder.encode(format.write(lossLine(lost))));
        continue;
      }
      const chunk = chunkAfter(subscriber.position);
      if (chunk === undefined) {
        if (log.closed && subscriber.position >= log.last) end(subscriber);
        return;
      }
      const bytes = cut(chunk, subscriber.position, subscriber.until);
      // First the position: a write can ask for more before it returns.
      subscriber.position = chunk.last;
      send(subscriber, bytes);
    }
  }

  function send(subscriber: State, bytes: Uint8Array): void {
    subscriber.lastWrite = performance.now();
    try {
      subscriber.outlet.write(bytes);
    } catch {
      leave(subscriber); // The response is gone, and nobody had said so yet.
    }
  }

  function end(subscriber: State): void {
    leave(subscriber);
    subscriber.outlet.end();
  }

  function findLoss(subscriber: State): Loss | undefined {
    const reason = subscriber.lossReason;
    subscriber.lossReason = "slow_consumer";
    if (reason === "unknown_epoch") return { reason, count: null };
    const count = log.first - 1 - subscriber.position;
    return count > 0 ? { reason, count } : undefined;
  }

  function lossLine(lost: Loss): Line {
    return controlLine("events_lost", formatCursor(log.epoch, log.first - 1), lost);
  }

  /** What follows the position: a recent chunk, or one made from history up to where the recent ones begin. */
  function chunkAfter(position: number): Chunk | undefined {
    if (position >= recent.after) return recent.find(position);
    const { entries } = log.read(position, REPLAY_BYTES);
    const before = entries.filter((entry) => entry.position <= recent.after);
    return makeChunk(format, before, encoder.encode(serialize(format, before)));
  }

  /** One timer for all: it fires when the first of them may have been silent for long enough. */
  function schedule(seconds: number | null): ReturnType<typeof setTimeout> | undefined {
    if (seconds === null) return undefined;
    return setTimeout(beat, seconds * 1000, seconds);
  }

  function beat(seconds: number): void {
    const now = performance.now();
    let next = now + seconds * 1000;
    for (const subscriber of subscribers) {
      const due = subscriber.lastWrite + seconds * 1000;
      if (due > now + 1) next = Math.min(next, due);
      else if (subscriber.outlet.ready) send(subscriber, heartbeat);
    }
    if (subscribers.size > 0) timer = setTimeout(beat, next - now, seconds);
  }

  return {
    get subscribers() {
      return subscribers.size;
    },
    subscribe,
  };
}

/** A control event as a line. */
export function controlLine(type: string, id: string, payload: unknown): Line {
  const time = new Date().toISOString();
  return { id, type, json: JSON.stringify({ type, event: payload, id, time }) };
}

/** The bytes of the chunk's events after one position and up to another. */
function cut(chunk: Chunk, after: number, until: number): Uint8Array {
  if (after === chunk.after && chunk.last <= until) return chunk.bytes;
  const ends = chunk.ends();
  const start = after > chunk.after ? ends[after - chunk.after - 1] : 0;
  const end = until < chunk.last ? ends[until - chunk.after - 1] : chunk.bytes.length;
  return chunk.bytes.subarray(start, end);
}

/** The newest chunks of a feed, without a gap between them. */
interface Recent {
  /** The position before the first of them. */
  readonly after: number;
  restart(after: number): void;
  /** Adds the next chunk, and forgets what is too much or no longer kept by the channel. */
  add(chunk: Chunk, firstKept: number): void;
  /** The chunk with the event after the position; none where nothing follows it yet. */
  find(position: number): Chunk | undefined;
}

function createRecent(maxBytes: number): Recent {
  let chunks: Chunk[] = [];
  let bytes = 0;
  let after = 0;

  function restart(position: number): void {
    chunks = [];
    bytes = 0;
    after = position;
  }

  return {
    get after() {
      return after;
    },
    restart,
    add: (chunk, firstKept) => {
      if (chunk.after !== (chunks.at(-1)?.last ?? after)) restart(chunk.after); // The feed itself was overtaken.
      chunks.push(chunk);
      bytes += chunk.bytes.length;
      let forgotten = 0;
      while (forgotten < chunks.length - 1 && (bytes > maxBytes || chunks[forgotten]!.last < firstKept)) {
        bytes -= chunks[forgotten]!.bytes.length;
        after = chunks[forgotten++]!.last;
      }
      if (forgotten > 0) chunks.splice(0, forgotten);
    },
    find: (position) => {
      let low = 0;
      for (let high = chunks.length; low < high;) {
        const middle = (low + high) >>> 1;
        if (chunks[middle]!.last <= position) low = middle + 1;
        else high = middle;
      }
      return chunks[low];
    },
  };
}
