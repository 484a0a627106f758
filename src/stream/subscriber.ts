/**
 * Subscribers: what the hub keeps for each open stream.
 *
 * @module
 */
import type { Batch, Start } from "../channel/channel.ts";
import type { PendingLoss, ReadPosition } from "../channel/read_position.ts";
import type { Filter } from "./chunk.ts";
import type { Sink } from "./sink.ts";
import type { End } from "./stats.ts";

/** How a stream begins. */
export interface Subscription {
  /** Where it starts. */
  readonly start: Start;
  /** The position it ends at; infinity to follow the channel until it is closed. */
  readonly until: number;
  /** Which events it carries; default all. */
  readonly filter?: Filter | undefined;
  /** Whether `events_bookmark` reports the position while the filter hides everything. */
  readonly bookmarks: boolean;
  /** Milliseconds of silence after which this stream is due for a heartbeat, if less than those of the hub. */
  readonly heartbeatMs?: number | undefined;
  /** The first bytes of the response. */
  readonly firstBytes: Uint8Array;
  /** Makes the sink of the subscriber, which is not subscribed yet. */
  createSink(subscriber: Subscriber): Sink;
  /** Called once, when the stream is over, however that came. */
  onLeave(end: End): void;
}

/** The `until` of a revoked subscriber. */
export const REVOKED = -1;

/** The `pending` of a subscriber that was written to since the last look: no sink that is not ready has this number. */
export const UNSEEN = -1;

/** One open stream: a position, never a queue. The only object that the hub keeps for a connection, beside its sink. */
export class Subscriber implements ReadPosition {
  position = 0;
  lossReason: PendingLoss = "slow_consumer";
  /** The last position that the client knows it has reached. */
  announcedPosition = 0;
  /** The position it ends at, infinity, or {@linkcode REVOKED}. */
  until: number;
  filter: Filter | undefined;
  readonly bookmarks: boolean;
  /** As in its {@linkcode Subscription}; infinity for none of its own. */
  readonly heartbeatMs: number;
  readonly onLeave: (end: End) => void;
  /** When it came, in `performance.now()`. */
  readonly since: number;
  /** Time of the last write, the last observed read, or the last heartbeat that was due, in `performance.now()`. */
  lastActivity: number;
  /** What its sink had pending at the last look, or {@linkcode UNSEEN}. */
  pending: number = UNSEEN;
  /** How many events were written. */
  events = 0;
  /** How many bytes were written. */
  bytes = 0;
  /** Whether it may read a piece of the history now: readers take turns. */
  hasTurn = false;
  /** What follows its position in a history that is kept elsewhere: requested, or ready to be used. */
  replay: Batch | Promise<Batch> | undefined = undefined;
  /** The position that it follows: a reader that has moved on since, with a chunk from the cache, needs another. */
  replayAfter = 0;
  /** Wakes its own read loop, if it has one: see `runInContext` in the read loop. */
  wake: (() => void) | undefined = undefined;
  readonly sink: Sink;

  constructor(subscription: Subscription) {
    this.until = subscription.until;
    this.filter = subscription.filter;
    this.bookmarks = subscription.bookmarks;
    this.heartbeatMs = subscription.heartbeatMs ?? Infinity;
    this.onLeave = subscription.onLeave;
    this.since = this.lastActivity = performance.now();
    this.sink = subscription.createSink(this);
  }
}
