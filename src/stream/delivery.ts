/**
 * Delivery: what one subscriber is sent, and how its stream ends.
 *
 * @module
 */
import { formatCursor } from "../events/cursor.ts";
import { controlLine } from "../events/event.ts";
import type { HubContext } from "./hub_context.ts";
import { countEnd, type End, type EndReason } from "./stats.ts";
import { type Subscriber, UNSEEN } from "./subscriber.ts";

const encoder = new TextEncoder();

/** Sends bytes, and with them this many events. */
export function send(
  hub: HubContext,
  subscriber: Subscriber,
  bytes: Uint8Array,
  events: number,
  now: number = performance.now(),
): void {
  subscriber.lastActivity = now;
  // As much may be pending after this write as before it, and then a read until the next look would not show.
  subscriber.pending = UNSEEN;
  try {
    subscriber.sink.write(bytes);
  } catch {
    return end(hub, subscriber, "disconnected"); // The response is closed, and nothing had reported it yet.
  }
  subscriber.events += events;
  subscriber.bytes += bytes.length;
}

/** Sends text that is for this subscriber alone, and returns whether there was any. */
export function sendText(hub: HubContext, subscriber: Subscriber, text: string): boolean {
  if (text === "") return false;
  send(hub, subscriber, encoder.encode(text), 0);
  return true;
}

/**
 * Sends a control event with the subscriber's position, unless the format leaves it out.
 *
 * @returns whether anything was sent
 */
export function sendControl(
  hub: HubContext,
  subscriber: Subscriber,
  type: string,
  payload?: unknown,
): boolean {
  const line = controlLine(type, formatCursor(hub.epoch, subscriber.position), payload);
  return sendText(hub, subscriber, hub.format.writeControl(line));
}

/**
 * Reports the position, if events have passed unseen and there is a way to.
 *
 * @returns whether anything was sent
 */
export function sendPosition(hub: HubContext, subscriber: Subscriber): boolean {
  const { position, announcedPosition, bookmarks } = subscriber;
  if (position <= announcedPosition) return false;
  subscriber.announcedPosition = position;
  if (bookmarks) return sendControl(hub, subscriber, "events_bookmark");
  return sendText(hub, subscriber, hub.format.encodePosition(formatCursor(hub.epoch, position)));
}

/** Sends what stands at the end of a stream that the server ends, and ends the response. */
export function finish(hub: HubContext, subscriber: Subscriber, reason: EndReason): void {
  sendText(hub, subscriber, hub.format.closing());
  end(hub, subscriber, reason);
}

/** Removes the subscriber and ends its response after what was sent. Calling it again has no effect. */
export function end(hub: HubContext, subscriber: Subscriber, reason: EndReason): void {
  if (!leave(hub, subscriber, reason)) return;
  try {
    subscriber.sink.end();
  } catch {
    // The response is closed, cancelled or errored already.
  }
}

const ABORT_TEXTS = {
  failed: "the stream of a reader failed and was cut off",
  stalled: "a reader made no progress for too long and was cut off",
  closed: "a reader had not read everything when the server stopped and was cut off",
} as const;

/** Removes the subscriber and cuts its response off, with whatever of it is unread. */
export function abort(hub: HubContext, subscriber: Subscriber, reason: keyof typeof ABORT_TEXTS): void {
  if (!leave(hub, subscriber, reason)) return;
  try {
    subscriber.sink.abort(ABORT_TEXTS[reason]);
  } catch {
    // As above.
  }
}

/** Removes a subscriber, and stops what runs for subscribers when it was the last one. Returns whether it was there. */
function leave(hub: HubContext, subscriber: Subscriber, reason: EndReason): boolean {
  if (!hub.subscribers.delete(subscriber)) return false;
  const { since, events, bytes } = subscriber;
  const ended: End = { reason, seconds: (performance.now() - since) / 1000, events, bytes };
  countEnd(hub.stats, ended);
  hub.turns.leave(subscriber);
  subscriber.wake?.(); // Its own read loop ends.
  if (hub.subscribers.size === 0) {
    hub.stopPipeline?.();
    hub.stopErasures?.();
    hub.cache.restart(0);
    hub.history.clear();
    clearTimeout(hub.timer);
  }
  try {
    subscriber.sink.release();
    subscriber.onLeave(ended);
  } catch (error) {
    hub.options.onError(error); // The application's error must not stop the delivery to others.
  }
  return true;
}
