/**
 * What a hub counts. A chunk costs a few additions, and so does a delivery; sums are made when they are read.
 *
 * @module
 */
import type { LossReason } from "../events/event.ts";
import { createHistogram, type Histogram, type HistogramCounter } from "./histogram.ts";

/** Why a stream has ended. */
export type EndReason =
  /** The client has disconnected, or its connection was lost. */
  | "disconnected"
  /** It has carried all that was requested (`?follow=false`). */
  | "completed"
  /** The channel was closed. */
  | "closed"
  /** Its permission was withdrawn or has expired (`authorize`). */
  | "unauthorized"
  /** The client made no progress for too long (`stallTimeout`), and was disconnected. */
  | "stalled"
  /** Something threw, a `filter` for example, and the response was cut off. */
  | "failed";

/** The losses that were reported for one reason. */
export interface LossStats {
  /** How many `events_lost` were sent. */
  readonly times: number;
  /** The sum of their counts, as far as those are known. */
  readonly events: number;
}

/** The streams of one wire format, since the endpoint was made. */
export interface StreamStats {
  /** How many are open. */
  readonly subscribers: number;
  /** How many have ended, by their reason. */
  readonly ended: Readonly<Record<EndReason, number>>;
  /** How many events were written, each once for every stream. Control events do not count. */
  readonly deliveries: number;
  /** How many bytes were written, everything included. */
  readonly bytes: number;
  /** The losses that were reported, by their reason. */
  readonly lost: Readonly<Record<LossReason, LossStats>>;
  /** How many events went out together, while any stream was open. */
  readonly batches: Histogram;
  /**
   * Seconds from the publication of an event until it was written to every stream that was ready for it: of the first
   * event of each batch, which waited longest. Counted in whole milliseconds.
   */
  readonly latency: Histogram;
}

/** How one stream ended, and what it carried. */
export interface End {
  /** Why it has ended. */
  readonly reason: EndReason;
  /** How many seconds it was open. */
  readonly seconds: number;
  /** How many events were written; control events do not count. */
  readonly events: number;
  /** How many bytes it was handed, everything included. */
  readonly bytes: number;
}

/** What a hub counts. What the open streams have carried is not included: each subscriber has that itself. */
export interface MutableStats {
  /** Streams that have ended. */
  readonly ended: Record<EndReason, number>;
  /** Events that these carried. */
  deliveries: number;
  /** Bytes that these carried. */
  bytes: number;
  /** Losses that were reported, by their reason. */
  readonly lost: Record<LossReason, { times: number; events: number }>;
  /** Events in each chunk. */
  readonly batches: HistogramCounter;
  /** Seconds from publication to the write, for each chunk. */
  readonly latency: HistogramCounter;
}

const BATCH_BOUNDS: readonly number[] = [1, 3, 10, 30, 100, 300, 1000, 3000];
const LATENCY_BOUNDS: readonly number[] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

/** Makes stats in which nothing was counted yet. */
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

/** Counts a stream that has ended. */
export function countEnd(stats: MutableStats, { reason, events, bytes }: End): void {
  stats.ended[reason]++;
  stats.deliveries += events;
  stats.bytes += bytes;
}

/**
 * Counts a chunk that was written just now.
 *
 * @param publishedMs when its first event was published, in milliseconds since 1970
 */
export function countChunk(stats: MutableStats, events: number, publishedMs: number): void {
  stats.batches.add(events);
  stats.latency.add(Math.max(Date.now() - publishedMs, 0) / 1000); // The clock may be set back.
}

/** Returns what was counted, and what the open streams have carried. */
export function readStats(
  stats: MutableStats,
  open: { readonly size: number; [Symbol.iterator](): Iterator<{ events: number; bytes: number }> },
): StreamStats {
  let { deliveries, bytes } = stats;
  for (const subscriber of open) {
    deliveries += subscriber.events;
    bytes += subscriber.bytes;
  }
  return {
    subscribers: open.size,
    ended: { ...stats.ended },
    deliveries,
    bytes,
    lost: structuredClone(stats.lost),
    batches: stats.batches.read(),
    latency: stats.latency.read(),
  };
}
