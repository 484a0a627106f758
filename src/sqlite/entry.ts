/**
 * Entries of the channel from the columns of the file. The file has no `id` and the `time` only once, so that it stays small,
 * and valid when the epoch changes.
 *
 * @module
 */
import type { Entry } from "../channel/channel.ts";
import { erasedEntry } from "../channel/erased.ts";
import { utf8Length } from "../events/json.ts";
import type { EntryWriter } from "../channel/entry_writer.ts";

/** One event as the file has it. */
export interface Row {
  readonly sequence: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  /** Empty for an erased event, of which nothing but the number and the time is left. */
  readonly type: string;
  readonly subject: string | null;
  /** The JSON of its payload; `null` if the type has none. */
  readonly json: string | null;
}

/** Some events in a row, as the file has them. */
export interface Range {
  readonly rows: readonly Row[];
  /** Whether more events of the range follow them. */
  readonly isCut: boolean;
}

let lastTime = "";
let lastMs = 0;

/** Makes the entry of a row. */
export function entryOf(
  { sequence, time, type, subject, json }: Row,
  epoch: string,
  write: EntryWriter,
): Entry {
  if (type === "") return erasedEntry(sequence, Date.parse(time));
  // Consecutive events often have the same time.
  if (time !== lastTime) [lastTime, lastMs] = [time, Date.parse(time)];
  const bytes = json === null ? 0 : utf8Length(json);
  const event = { type, subject: subject ?? undefined, payload: json ?? undefined, bytes };
  return write(event, epoch, sequence, lastMs);
}
