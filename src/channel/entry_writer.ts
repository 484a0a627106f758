/**
 * The entries of events that are published: their dictionary is written here, once for all readers and formats.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encode.ts";
import { formatCursor } from "../events/cursor.ts";
import { dictionaryHead } from "../events/event.ts";
import { utf8Length } from "../events/json.ts";
import { isoTime } from "../events/time.ts";
import type { Entry } from "./channel.ts";

/** Makes the entry of an event that is published now: its epoch, its position, and its time in milliseconds since 1970. */
export type EntryWriter = (event: EncodedEvent, epoch: string, position: number, time: number) => Entry;

/** Makes a function that makes entries of events of these types. */
export function createEntryWriter(types: readonly string[]): EntryWriter {
  const write = createWriter(types);
  return (event, epoch, position, time) => {
    const { type, subject, payload, bytes } = event;
    const id = formatCursor(epoch, position);
    const json = write(event, id, time);
    let extra = payload === undefined ? 0 : bytes - payload.length;
    if (subject !== undefined) extra += utf8Length(subject) - subject.length;
    return { position, id, type, subject, json, bytes: json.length + extra, time };
  };
}

/**
 * Makes a function that writes dictionaries of these types.
 *
 * Engines keep such a text in pieces until it is read. To join them here would be a third of what publishing costs, and for
 * readers many are joined at a time. The fewer pieces the better.
 */
function createWriter(types: readonly string[]): (event: EncodedEvent, id: string, time: number) => string {
  const known = new Map(types.map((type) => [type, headOf(type)]));
  const heads = { get: (type: string) => known.get(type) ?? headOf(type) };
  let tailMs = NaN;
  /** How the dictionaries of this millisecond end. */
  let tail = "";
  return ({ type, subject, payload }, id, time) => {
    if (time !== tailMs) [tailMs, tail] = [time, `","time":"${isoTime(time)}"}`];
    if (subject !== undefined) {
      const event = payload === undefined ? "" : `,"event":${payload}`;
      return `${dictionaryHead(type, subject)}${event},"id":"${id}${tail}`;
    }
    const { withPayload, without } = heads.get(type)!;
    return payload === undefined ? without + id + tail : `${withPayload}${payload},"id":"${id}${tail}`;
  };
}

/** How the dictionaries of a type begin: up to their payload, or without one up to their `id`. */
function headOf(type: string): { readonly withPayload: string; readonly without: string } {
  return { withPayload: `{"type":"${type}","event":`, without: `{"type":"${type}","id":"` };
}
