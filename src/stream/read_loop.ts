/**
 * The read loop: live events, replay, resume and slow readers are one loop over positions, so there is no hand-over in
 * which an event could be lost or repeated.
 *
 * @module
 */
import { type Batch, positionAfter } from "../channel/channel.ts";
import { takeLoss } from "../channel/read_position.ts";
import type { Loss } from "../events/event.ts";
import { type Chunk, makeChunk, select } from "./chunk.ts";
import { abort, end, finish, send, sendControl, sendPosition } from "./delivery.ts";
import type { HubContext } from "./hub_context.ts";
import { REVOKED, type Subscriber } from "./subscriber.ts";
import { serialize } from "./wire_format.ts";

/** The size of a chunk that is read from history, about. */
const REPLAY_BYTES = 64 * 1024;
/** After this many bytes of recent chunks in a row, sent or hidden by its filter, a reader lets others go first. */
const YIELD_AFTER_BYTES = 1024 * 1024;

const encoder = new TextEncoder();

/** Sends a subscriber what follows its position, as long as its sink takes more: now, or in its own read loop. */
export function advance(hub: HubContext, subscriber: Subscriber): void {
  if (subscriber.wake === undefined) pump(hub, subscriber);
  else subscriber.wake();
}

/** Gives a subscriber its turn: it may read one piece of the history, or some recent chunks. */
export function giveTurn(hub: HubContext, subscriber: Subscriber): void {
  subscriber.hasTurn = true;
  advance(hub, subscriber);
}

/**
 * Runs the read loop of one subscriber in the context of the caller (`AsyncLocalStorage`), because its filter is code of
 * the application that asks whose request this is. An async function keeps its context across `await` on every runtime,
 * and needs no API of one; others only wake it. It ends when the subscriber leaves.
 */
export async function runInContext(hub: HubContext, subscriber: Subscriber): Promise<void> {
  let isWoken = whenWoken(subscriber);
  for (;;) {
    await isWoken;
    if (!hub.subscribers.has(subscriber)) return;
    isWoken = whenWoken(subscriber); // Before the loop runs, so that what wakes it meanwhile counts.
    pump(hub, subscriber);
  }
}

function whenWoken(subscriber: Subscriber): Promise<void> {
  return new Promise((resolve) => subscriber.wake = resolve);
}

/**
 * Runs the one read loop. If the application's filter or the log throws, the response is cut off, and no other one: the
 * caller may be in the middle of a delivery to all.
 */
export function pump(hub: HubContext, subscriber: Subscriber): void {
  try {
    readOn(hub, subscriber);
  } catch (error) {
    hub.options.onError(error);
    abort(hub, subscriber, "failed");
  }
}

function readOn(hub: HubContext, subscriber: Subscriber): void {
  const { log, cache } = hub;
  const { sink } = subscriber;
  let passed = 0;
  while (sink.pollReady() && hub.subscribers.has(subscriber)) {
    const { position, until } = subscriber;
    if (until === REVOKED) return finish(hub, subscriber, "unauthorized");
    if (hub.epoch !== log.epoch) return; // Its position means nothing: the pipeline will report the new epoch.
    const loss = takeLoss(subscriber, log.first - 1 - position);
    if (loss !== undefined) {
      reportLoss(hub, subscriber, loss, log.first - 1);
      continue;
    }
    if (position >= until) {
      sendPosition(hub, subscriber);
      return end(hub, subscriber, "completed");
    }
    const isRecent = position >= cache.after;
    if (!isRecent && !subscriber.hasTurn && !hub.turns.take()) return hub.turns.queue(subscriber);
    subscriber.hasTurn = false;
    const found = isRecent ? cache.chunkAfter(position) : readHistory(hub, subscriber);
    if (found instanceof Promise) return;
    if (found !== undefined && "reason" in found) {
      reportLoss(hub, subscriber, found, position + (found.count ?? 0));
      continue;
    }
    if (found === undefined) {
      // A closed history that is kept elsewhere may be unable to read any more.
      const isAtEnd = position >= log.last || !isRecent || hub.hasEnded;
      if (log.closed && isAtEnd) finish(hub, subscriber, "closed");
      return;
    }
    deliver(hub, subscriber, found);
    if ((passed += found.bytes.length) > YIELD_AFTER_BYTES && hub.subscribers.has(subscriber)) {
      return hub.turns.queue(subscriber);
    }
  }
}

/** Sends what the subscriber sees of a chunk. */
function deliver(hub: HubContext, subscriber: Subscriber, chunk: Chunk): void {
  const { position, until, filter } = subscriber;
  const { seen, bytes, count } = select(chunk, position, until, filter);
  // A filter may have set where the stream ends.
  subscriber.position = Math.min(chunk.last, subscriber.until === REVOKED ? until : subscriber.until);
  if (seen === undefined) return;
  subscriber.announcedPosition = seen;
  send(hub, subscriber, bytes, count);
}

/** Sends `events_lost`, and continues after the position. */
function reportLoss(hub: HubContext, subscriber: Subscriber, loss: Loss, position: number): void {
  const { reason, count } = loss;
  subscriber.position = subscriber.announcedPosition = position;
  subscriber.replay = undefined; // It follows the position before.
  hub.stats.lost[reason].times++;
  hub.stats.lost[reason].events += count ?? 0;
  sendControl(hub, subscriber, "events_lost", { reason, count });
}

/**
 * Reads what follows its position in the history, up to where the chunk cache begins: a chunk, or a loss found there. A
 * promise if it was requested: the loop continues when it is there.
 */
function readHistory(hub: HubContext, subscriber: Subscriber): Chunk | Loss | Promise<Batch> | undefined {
  const { log, format, cache, history } = hub;
  const { position } = subscriber;
  const replay = subscriber.replayAfter === position ? subscriber.replay : undefined;
  const shared = history.chunkAfter(position);
  if (shared !== undefined) {
    subscriber.replay = undefined;
    return shared;
  }
  const batch = replay ?? log.read(position, REPLAY_BYTES);
  if (batch instanceof Promise) {
    if (batch !== replay) awaitReplay(hub, subscriber, batch);
    return batch;
  }
  subscriber.replay = undefined;
  if (batch.lost !== undefined) return { reason: "slow_consumer", count: batch.lost.count };
  // A reader that reaches the cache at the beginning of a chunk shares its bytes with all others.
  const end = Math.min(cache.after, history.nextStart(position));
  const last = Math.min(end, positionAfter(batch, position));
  if (last <= position) return undefined;
  const before = batch.entries.filter((entry) => entry.position <= end);
  const bytes = encoder.encode(serialize(format, before));
  const chunk = makeChunk(format, { after: position, last }, before, bytes);
  chunk.shared = undefined;
  if (before.length > 0) history.add(chunk, log.first);
  return chunk;
}

/** Continues with what was requested when it is there, unless the position has moved meanwhile. */
function awaitReplay(hub: HubContext, subscriber: Subscriber, request: Promise<Batch>): void {
  const isWaiting = () => subscriber.replay === request && hub.subscribers.has(subscriber);
  subscriber.replay = request;
  subscriber.replayAfter = subscriber.position;
  request.then((batch) => {
    if (!isWaiting()) return;
    // A reader that has moved on would keep the events for as long as it is connected.
    subscriber.replay = subscriber.position === subscriber.replayAfter ? batch : undefined;
    advance(hub, subscriber);
  }, (error: unknown) => {
    if (!isWaiting()) return;
    hub.options.onError(error);
    abort(hub, subscriber, "failed");
  });
}
