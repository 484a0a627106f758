/**
 * The position of a reader in a log: where it starts, what it has lost, and what a new epoch makes of it. The iterator
 * of a channel and the subscribers of a hub share these rules.
 *
 * @module
 */
import type { EventLog, Start } from "./channel.ts";
import type { Loss, LossReason } from "../events/event.ts";

/** A reader's place in a log. The functions here write to it, so a reader needs no other object for its place. */
export interface ReadPosition {
  /** The last position it has read. */
  position: number;
  /** The reason that the next loss will have. */
  lossReason: LossReason;
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
  return count > 0 ? { reason, count } : undefined;
}
