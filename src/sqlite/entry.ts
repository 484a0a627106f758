/**
 * Entries of the channel from the columns of the file. The file has no `id` and the `time` only once, so that it stays small,
 * and valid when the epoch changes.
 *
 * @module
 */
import type { Entry } from "../channel/channel.ts";
import { erasedEntry } from "../channel/erased.ts";
import { formatCursor } from "../events/cursor.ts";
import { dictionaryHead } from "../events/event.ts";
import { utf8Length } from "../events/json.ts";

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

let lastTime = "";
let lastMs = 0;

/** Makes the entry of a row. */
export function entryOf({ sequence, time, type, subject: about, json }: Row, epoch: string): Entry {
  if (type === "") return erasedEntry(sequence, Date.parse(time));
  const id = formatCursor(epoch, sequence);
  const subject = about ?? undefined;
  const event = json === null ? "" : `"event":${json},`;
  const line = `${dictionaryHead(type, subject)},${event}"id":"${id}","time":"${time}"}`;
  // Consecutive events often have the same time.
  if (time !== lastTime) [lastTime, lastMs] = [time, Date.parse(time)];
  return { position: sequence, id, type, subject, json: line, bytes: utf8Length(line), time: lastMs };
}
