/**
 * What `events_lost` says, in words.
 *
 * @module
 */

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ["history_expired", "no longer kept"],
  ["unknown_epoch", "server restarted"],
  ["slow_consumer", "read too slowly"],
]);

/** Describes why events were lost, in words that a row of a phone has room for. */
export function lossReason(reason: unknown): string {
  return REASONS.get(reason) ?? String(reason);
}

/** Says how many events were lost, and why. */
export function lossSentence(payload: unknown): string {
  const { count, reason } = (payload ?? {}) as { count?: unknown; reason?: unknown };
  const events = typeof count !== "number"
    ? "Events"
    : `${count.toLocaleString("en")} ${count === 1 ? "event" : "events"}`;
  return `${events} lost: ${lossReason(reason)}`;
}
