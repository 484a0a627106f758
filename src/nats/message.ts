/**
 * Messages: how an event stands in the stream, and what is read of it again.
 *
 * @module
 */
import type { JsMsg } from "@nats-io/jetstream";
import type { Entry } from "../channel/channel.ts";
import type { EncodedEvent } from "../events/encode.ts";
import { formatCursor } from "../events/cursor.ts";
import { isControlType } from "../events/event.ts";
import { toJson, utf8Length } from "../events/json.ts";
import type { Subjects } from "./subject.ts";

/** What a message holds: the dictionary without `id` and `time`, which the stream gives it. */
export function messageOf({ type, payload }: EncodedEvent): string {
  return `{"type":"${type}"${payload === "" ? "" : `,${payload.slice(0, -1)}`}}`;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
/** Line readers split on some characters, and an escape may stand for half of one: such a text is written anew. */
const UNSURE = ["\n", "\r", "\\u"];
const UNSURE_BEYOND_ASCII = /[\u0085\u2028\u2029]/;

/**
 * The event in a message; `undefined` where there is none. Anything that can reach the stream can put messages into it, so
 * nothing is taken on trust.
 */
export function entryOf(message: JsMsg, epoch: string, subjects: Subjects): Entry | undefined {
  const { streamSequence, timestampNanos } = message.info;
  const type = subjects.typeOf(message.subject);
  if (type === undefined || isControlType(type)) return undefined;
  const body = bodyOf(message.data, type);
  if (body === undefined) return undefined;
  const id = formatCursor(epoch, streamSequence);
  const time = Math.floor(timestampNanos / 1e6);
  const rest = `,"id":"${id}","time":"${isoOf(time)}"}`;
  const bytes = body.bytes - 1 + rest.length;
  return { position: streamSequence, id, type, json: body.text.slice(0, -1) + rest, bytes, time };
}

/** The text `{"type":…,"event":…}` as it is to stand in the dictionary, and how many bytes it has. */
function bodyOf(
  data: Uint8Array,
  type: string,
): { readonly text: string; readonly bytes: number } | undefined {
  try {
    const text = decoder.decode(data);
    const value = JSON.parse(text);
    if (value?.type !== type || !hasNothingElse(value)) return undefined;
    const head = `{"type":"${type}"`;
    const isPlain = text.startsWith(head) && text.endsWith("}") &&
      (text.startsWith(',"event":', head.length) || text.length === head.length + 1);
    const isAscii = text.length === data.length; // Most are, and need not be looked through one by one.
    const isSure = !UNSURE.some((what) => text.includes(what)) &&
      (isAscii || !UNSURE_BEYOND_ASCII.test(text));
    if (isPlain && isSure) return { text, bytes: isAscii ? data.length : utf8Length(text) };
    const json = toJson(value.event === undefined ? { type } : { type, event: value.event });
    return "text" in json ? { text: json.text, bytes: utf8Length(json.text) } : undefined;
  } catch {
    return undefined; // It is not UTF-8, or not JSON.
  }
}

function hasNothingElse(value: object): boolean {
  for (const key in value) if (key !== "type" && key !== "event") return false;
  return true;
}

let lastMs = NaN;
let lastIso = "";

/** The time as RFC 3339; many events have the same. */
function isoOf(ms: number): string {
  if (ms !== lastMs) [lastMs, lastIso] = [ms, new Date(ms).toISOString()];
  return lastIso;
}
