/**
 * The stall timeout: a client that reads nothing of what it was sent is disconnected.
 *
 * @module
 */
import { abort } from "./delivery.ts";
import type { HubContext } from "./hub_context.ts";
import type { Subscriber } from "./subscriber.ts";

/** How often the progress of a client that is behind is looked at within the timeout. */
export const CHECKS_PER_STALL_TIMEOUT = 12;

/**
 * Disconnects a client that is behind and has made no progress for the timeout.
 *
 * @param now milliseconds, of `performance.now()`
 * @param isGivenTime whether the timeout starts again: the process itself stood still
 */
export function abortIfStalled(
  hub: HubContext,
  subscriber: Subscriber,
  now: number,
  isGivenTime: boolean,
): void {
  const { pending } = subscriber.sink;
  if (pending !== subscriber.pending || isGivenTime) subscriber.lastActivity = now;
  else if (subscriber.lastActivity + hub.stallMs <= now) abort(hub, subscriber, "stalled");
  subscriber.pending = pending;
}
