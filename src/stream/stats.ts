/**
 * What a feed counts. A chunk costs a few additions and so does a delivery; sums are made when somebody asks.
 *
 * @module
 */
import type { LossReason } from "../events/event.ts";
import { type Counting, createHistogram, type Histogram } from "./histogram.ts";

/** Why a stream is over. */
export type EndReason =
  /** The client has left, or its connection was lost. */
  | "disconnected"
  /** It was given all that it had asked for (`?follow=false`). */
  | "completed"
  /** The channel was closed. */
  | "closed"
  /** Its permission is gone (`authorize`). */
  | "unauthorized"
  /** It took nothing for too long and was cut off. */
  | "stalled"
  /** Something threw, `select` for example, and it was cut off. */
  | "failed";

/** What subscribers were told of losses for one reason. */
export interface LossStats {
  /** How often one was told. */
  readonly times: number;
  /** How many events they were told they miss, as far as that could be known. */
  readonly events: number;
}

/** The streams of one wire format, since the endpoint was made. */
export interface StreamStats {
  /** How many are open. */
  readonly subscribers: number;
  /** How many are over, and why. */
  readonly ended: Readonly<Record<EndReason, number>>;
  /** How many events were handed to subscribers: each once for every subscriber. Control events do not count. */
  readonly deliveries: number;
  /** How many bytes they were handed, everything included. */
  readonly bytes: number;
  /** Which losses they were told of, by their reason. */
  readonly lost: Readonly<Record<LossReason, LossStats>>;
  /** How many events went out together, while there were subscribers. */
  readonly batches: Histogram;
  /**
   * Seconds from the publication of an event until it had been handed to every subscriber that took it at once: of
   * the first event of each batch, which waited longest. Counted in whole milliseconds.
   */
  readonly latency: Histogram;
}

/** How one subscriber ended, and what it was given. */
export interface End {
  /** Why it is over. */
  readonly reason: EndReason;
  /** How many seconds it was open. */
  readonly seconds: number;
  /** How many events it was handed; control events do not count. */
  readonly events: number;
  /** How many bytes it was handed, everything included. */
  readonly bytes: number;
}

/** What a feed counts, but for what its open subscribers have been given: that stands with each of them. */
export interface MutableStats {
  /** Subscribers that are over. */
  readonly ended: Record<EndReason, number>;
  /** Events handed to them. */
  deliveries: number;
  /** Bytes handed to them. */
  bytes: number;
  /** Losses told, by their reason. */
  readonly lost: Record<LossReason, { times: number; events: number }>;
  /** Events in each chunk. */
  readonly batches: Counting;
  /** Seconds from publication to hand-over, for each chunk. */
  readonly latency: Counting;
}

const BATCH_BOUNDS: readonly number[] = [1, 3, 10, 30, 100, 300, 1000, 3000];
const LATENCY_BOUNDS: readonly number[] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

/** A tally in which nothing was counted yet. */
export function createStats(): MutableStats {
  return {
    ended: { disconnected: 0, completed: 0, closed: 0, unauthorized: 0, stalled: 0, failed: 0 },
    deliveries: 0,
    bytes: 0,
    lost: {
      history_expired: { times: 0, events: 0 },
      unknown_epoch: { times: 0, events: 0 },
      slow_consumer: { times: 0, events: 0 },
    },
    batches: createHistogram(BATCH_BOUNDS),
    latency: createHistogram(LATENCY_BOUNDS),
  };
}

/** Counts a subscriber that is over. */
export function countEnd(tally: MutableStats, { reason, events, bytes }: End): void {
  tally.ended[reason]++;
  tally.deliveries += events;
  tally.bytes += bytes;
}

/** Counts a chunk whose first event was published at this time, in milliseconds since 1970, and is handed out now. */
export function countChunk(tally: MutableStats, events: number, published: number): void {
  tally.batches.add(events);
  tally.latency.add(Math.max(Date.now() - published, 0) / 1000); // A clock may be set back.
}

/** What was counted, and with it what those have been given who are still there. */
export function readStats(
  tally: MutableStats,
  open: { readonly size: number; [Symbol.iterator](): Iterator<{ events: number; bytes: number }> },
): StreamStats {
  let { deliveries, bytes } = tally;
  for (const subscriber of open) {
    deliveries += subscriber.events;
    bytes += subscriber.bytes;
  }
  return {
    subscribers: open.size,
    ended: { ...tally.ended },
    deliveries,
    bytes,
    lost: structuredClone(tally.lost),
    batches: tally.batches.read(),
    latency: tally.latency.read(),
  };
}
