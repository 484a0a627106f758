/**
 * Heartbeats for silent streams. The one timer that sends them also looks for clients that have stalled.
 *
 * @module
 */
import { send, sendPosition } from "./delivery.ts";
import type { HubContext } from "./hub_context.ts";
import { abortIfStalled, CHECKS_PER_STALL_TIMEOUT } from "./stall.ts";
import type { Subscriber } from "./subscriber.ts";

/**
 * The most walks over all subscribers within one heartbeat. Streams that were opened one after the other are due one
 * after the other: with a walk for each, 4000 idle streams cost 6 to 10 % of a core. So that no silence is longer than a
 * heartbeat, what falls due before the next walk has its heartbeat up to an eighth early.
 */
const WALKS_PER_HEARTBEAT = 8;

/** Starts the timer; the last subscriber that leaves stops it. */
export function startHeartbeats(hub: HubContext): void {
  schedule(hub, longestWait(hub));
}

/** Lets the timer fire earlier, if a new subscriber is due before it. */
export function expectHeartbeat(hub: HubContext, { lastActivity, heartbeatMs }: Subscriber): void {
  const due = lastActivity + heartbeatMs;
  if (due >= hub.timerDue) return;
  clearTimeout(hub.timer);
  schedule(hub, due - performance.now());
}

/** The most milliseconds between two walks. */
function longestWait({ heartbeatMs, stallMs }: HubContext): number {
  return Math.min(heartbeatMs, stallMs / CHECKS_PER_STALL_TIMEOUT);
}

function schedule(hub: HubContext, ms: number): void {
  hub.timerDue = performance.now() + ms;
  hub.timer = setTimeout(walk, ms, hub);
}

/** Looks at every subscriber, and fires again when the first of them is due. */
function walk(hub: HubContext): void {
  const { stallMs, subscribers } = hub;
  const now = performance.now() + 1; // Timers may fire a little early.
  const latest = now + longestWait(hub);
  const halfway = (now + latest) / 2;
  let next = latest;
  // A process that stood still has not seen yet what was read meanwhile.
  const stoodStill = now - hub.timerDue > stallMs / 2;
  for (const subscriber of subscribers) {
    if (subscriber.sink.pollReady()) {
      const heartbeatMs = Math.min(subscriber.heartbeatMs, hub.heartbeatMs);
      const soonest = Math.min(now + heartbeatMs / WALKS_PER_HEARTBEAT, halfway);
      if (subscriber.lastActivity + heartbeatMs < soonest) keepAlive(hub, subscriber, now);
      next = Math.min(next, subscriber.lastActivity + heartbeatMs);
    } else {
      abortIfStalled(hub, subscriber, now, stoodStill);
    }
  }
  if (subscribers.size > 0) schedule(hub, next - now + 1);
}

/** Breaks a silence: with the position if events have passed unseen, otherwise with a heartbeat unless those are off. */
function keepAlive(hub: HubContext, subscriber: Subscriber, now: number): void {
  subscriber.lastActivity = now;
  const { heartbeat } = hub;
  if (!sendPosition(hub, subscriber) && heartbeat !== undefined) send(hub, subscriber, heartbeat, 0);
}
