/**
 * The position of a reader in a log: where it starts, what it has lost, and what a new epoch makes of it. The iterator
 * of a channel and the subscribers of a hub share these rules.
 *
 * @module
 */
import type { EventLog, Start } from "./channel.ts";
import type { Loss, LossReason } from "../events/event.ts";

/** The reason of a loss to come; `"may_have_expired"` is `history_expired` of an unknown number. */
export type PendingLoss = LossReason | "may_have_expired";

/** A reader's place in a log. The functions here write to it, so a reader needs no other object for its place. */
export interface ReadPosition {
  /** The last position it has read. */
  position: number;
  /** The reason that the next loss will have. */
  lossReason: PendingLoss;
}

/**
 * Moves a reader to where it starts.
 *
 * @param start may have been located in an earlier epoch, because `locate` can be asynchronous; its position means nothing then
 */
export function startAt(reader: ReadPosition, log: EventLog, start: Start): void {
  if (start.epoch !== log.epoch) return resetToEpoch(reader, log);
  reader.position = start.position;
  // Whatever is still kept at this moment can only be lost by reading too slowly.
  if (start.unknownEpoch) reader.lossReason = "unknown_epoch";
  else if (start.mayHaveExpired) reader.lossReason = "may_have_expired";
  else reader.lossReason = start.position < log.first - 1 ? "history_expired" : "slow_consumer";
}

/** Moves a reader to the beginning of a new epoch. How many events of the old one it misses cannot be known. */
export function resetToEpoch(reader: ReadPosition, log: EventLog): void {
  reader.position = log.first - 1;
  reader.lossReason = "unknown_epoch";
}

/**
 * Returns the loss to report before the reader goes on, if there is one. Later losses are those of a slow reader.
 *
 * @param count how many events after its position are no longer kept
 */
export function takeLoss(reader: ReadPosition, count: number): Loss | undefined {
  const reason = reader.lossReason;
  reader.lossReason = "slow_consumer";
  if (reason === "unknown_epoch") return { reason, count: null };
  if (reason === "may_have_expired") return { reason: "history_expired", count: null };
  return count > 0 ? { reason, count } : undefined;
}
