/**
 * The hub: fans out a log to many open responses in one wire format. One pipeline makes the chunks, and all subscribers
 * share them.
 *
 * @module
 */
import type { EventLog } from "../channel/channel.ts";
import { resetToEpoch, startAt } from "../channel/read_position.ts";
import type { Chunk, Filter } from "./chunk.ts";
import { abort, end, send } from "./delivery.ts";
import { createHubContext, type HubContext, type HubOptions } from "./hub_context.ts";
import { expectHeartbeat, startHeartbeats } from "./heartbeat.ts";
import { startPipeline } from "./pipeline.ts";
import { advance, giveTurn, pump, runInContext } from "./read_loop.ts";
import { countChunk, readStats, type StreamStats } from "./stats.ts";
import { REVOKED, Subscriber, type Subscription } from "./subscriber.ts";
import type { WireFormat } from "./wire_format.ts";

/** One running pipeline and its subscribers. */
export interface Hub {
  /** Number of subscribers. */
  readonly size: number;
  /**
   * Adds a subscriber. The first one starts the pipeline, which ends when the last one leaves. A filter that calls the
   * application's code runs in the context in which this is called.
   */
  subscribe(subscription: Subscription): Subscriber;
  /** Sends a subscriber what follows its position, as long as its sink takes more. */
  pull(subscriber: Subscriber): void;
  /** Removes a subscriber whose client has disconnected, and ends its response. Calling it again has no effect. */
  leave(subscriber: Subscriber): void;
  /** Replaces the filter of a subscriber, for all events not sent yet. To be called in the context of its request. */
  setFilter(subscriber: Subscriber, filter: Filter | undefined): void;
  /** Sends a subscriber no further event, and ends its response as unauthorized as soon as its sink takes the end. */
  revoke(subscriber: Subscriber): void;
  /** Cuts off every subscriber that is left, as closed: the channel was closed and they have not read the rest of it. */
  abort(): void;
  /** Returns what was counted so far. */
  stats(): StreamStats;
}

/** Makes a hub. Nothing runs before the first subscriber. */
export function createHub(log: EventLog, format: WireFormat, options: HubOptions): Hub {
  const hub: HubContext = createHubContext(log, format, options, (subscriber) => giveTurn(hub, subscriber));
  return {
    get size() {
      return hub.subscribers.size;
    },
    subscribe: (subscription) => subscribe(hub, subscription),
    pull: (subscriber) => advance(hub, subscriber),
    leave: (subscriber) => end(hub, subscriber, "disconnected"),
    setFilter: (subscriber, filter) => setFilter(hub, subscriber, filter),
    revoke: (subscriber) => {
      subscriber.until = REVOKED;
      pump(hub, subscriber); // No filter runs for a revoked subscriber.
    },
    abort: () => hub.subscribers.forEach((subscriber) => abort(hub, subscriber, "closed")),
    stats: () => readStats(hub.stats, hub.subscribers),
  };
}

function subscribe(hub: HubContext, subscription: Subscription): Subscriber {
  const { log, subscribers } = hub;
  const subscriber = new Subscriber(subscription);
  startAt(subscriber, log, subscription.start);
  subscriber.announcedPosition = subscriber.position;
  subscribers.add(subscriber); // First of all: others may leave below, and what serves the last one stops.
  if (subscribers.size === 1) {
    startHeartbeats(hub);
    hub.stopErasures = log.onErase?.(() => dropErased(hub));
    startAtEnd(hub);
  } else if (hub.epoch !== log.epoch) {
    enterEpoch(hub, subscriber); // The pipeline has not come as far, and its chunks are of the old epoch.
  }
  expectHeartbeat(hub, subscriber);
  if (subscription.firstBytes.length > 0) send(hub, subscriber, subscription.firstBytes, 0);
  setFilter(hub, subscriber, subscription.filter);
  return subscriber;
}

function setFilter(hub: HubContext, subscriber: Subscriber, filter: Filter | undefined): void {
  subscriber.filter = filter;
  const needsContext = filter?.callsApplication === true && subscriber.wake === undefined;
  if (needsContext && hub.subscribers.has(subscriber)) runInContext(hub, subscriber);
}

/** Starts the pipeline at the end of the log. */
function startAtEnd(hub: HubContext): void {
  const { log, format, options, cache } = hub;
  hub.epoch = log.epoch;
  hub.hasEnded = false;
  hub.history.clear();
  cache.restart(log.last);
  hub.stopPipeline = startPipeline(log, format, {
    onChunk(chunk) {
      cache.add(chunk, log.first);
      broadcast(hub, chunk);
      countChunk(hub.stats, chunk.entries.length, chunk.entries[0]!.time);
    },
    onNewEpoch() {
      enterEpoch(hub);
    },
    onLoss() {
      cache.restart(log.last); // No chunk carries it: readers find it in the history.
      advanceAll(hub);
    },
    erasures: () => hub.erasures,
    onEnd() {
      hub.hasEnded = true;
      advanceAll(hub);
    },
    onError(error) {
      options.onError(error);
      for (const subscriber of [...hub.subscribers]) abort(hub, subscriber, "failed");
    },
    maxDelay: options.maxDelay,
  });
}

/** Drops everything that may hold erased events. Readers find the rest in the log. */
function dropErased(hub: HubContext): void {
  hub.erasures++;
  hub.history.clear();
  hub.cache.restart(hub.log.last);
  for (const subscriber of hub.subscribers) subscriber.replay = undefined;
  advanceAll(hub);
}

function advanceAll(hub: HubContext): void {
  for (const subscriber of hub.subscribers) advance(hub, subscriber);
}

/** Restarts the pipeline in the new epoch of the log, and moves all subscribers there but one that starts in it. */
function enterEpoch(hub: HubContext, newcomer?: Subscriber): void {
  hub.stopPipeline?.();
  startAtEnd(hub);
  for (const subscriber of hub.subscribers) {
    if (subscriber !== newcomer) restart(hub, subscriber);
  }
}

/** Moves a subscriber to the beginning of a new epoch. */
function restart(hub: HubContext, subscriber: Subscriber): void {
  resetToEpoch(subscriber, hub.log);
  subscriber.announcedPosition = subscriber.position;
  subscriber.replay = undefined;
  const { until } = subscriber;
  if (until !== REVOKED && until < Infinity) subscriber.until = hub.log.last;
  advance(hub, subscriber);
}

/** Sends the newest chunk to all. It is the read loop without what most of them do not need. */
function broadcast(hub: HubContext, chunk: Chunk): void {
  const { log, subscribers } = hub;
  const now = performance.now();
  for (const subscriber of subscribers) {
    const isLive = subscriber.position === chunk.after && subscriber.filter === undefined;
    if (
      isLive && subscriber.until === Infinity && chunk.after >= log.first - 1 && subscriber.sink.pollReady()
    ) {
      subscriber.position = subscriber.announcedPosition = chunk.last;
      send(hub, subscriber, chunk.bytes, chunk.entries.length, now);
    } else {
      advance(hub, subscriber);
    }
  }
}
