/**
 * Messages: events as the stream stores them.
 *
 * @module
 */
import type { JsMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { Entry } from "../channel/channel.ts";
import type { EncodedEvent } from "../events/encode.ts";
import { formatCursor } from "../events/cursor.ts";
import { dictionaryHead, isControlType } from "../events/event.ts";
import { toJson, utf8Length } from "../events/json.ts";
import { isSubject } from "../events/subject.ts";
import { isoTime } from "../events/time.ts";
import type { Subjects } from "./subject.ts";

/** The header of a message that has what its event is about: the subjects of NATS name the types of events. */
const SUBJECT_HEADER = "Events-Subject";

/** Encodes the headers of a message; `undefined` if its event is about nothing in particular. */
export function headersOf({ subject }: { readonly subject: string | undefined }): MsgHdrs | undefined {
  if (subject === undefined) return undefined;
  const encoded = headers();
  encoded.append(SUBJECT_HEADER, subject);
  return encoded;
}

/** Encodes a message: the dictionary without `id` and `time`, which come from the stream, and without its subject. */
export function messageOf({ type, payload }: EncodedEvent): string {
  return `{"type":"${type}"${payload === undefined ? "" : `,"event":${payload}`}}`;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
/** Line readers split at some of these characters, and an escape may be half a surrogate pair: such texts are encoded again. */
const UNSAFE = ["\n", "\r", "\\u"];
const UNSAFE_BEYOND_ASCII = /[\u0085\u2028\u2029]/;

/** Decodes a message; `undefined` if it is not an event. Other programs can publish to the stream, so nothing is trusted. */
export function entryOf(message: JsMsg, epoch: string, subjects: Subjects): Entry | undefined {
  const { streamSequence, timestampNanos } = message.info;
  const type = subjects.typeOf(message.subject);
  if (type === undefined || isControlType(type)) return undefined;
  const body = bodyOf(message.data, type);
  if (body === undefined) return undefined;
  const subject = message.headers?.has(SUBJECT_HEADER) ? message.headers.get(SUBJECT_HEADER) : undefined;
  if (subject !== undefined && !isSubject(subject)) return undefined;
  const id = formatCursor(epoch, streamSequence);
  const time = Math.floor(timestampNanos / 1e6);
  const rest = `,"id":"${id}","time":"${isoTime(time)}"}`;
  let [start, bytes] = [body.text.slice(0, -1), body.bytes - 1 + rest.length];
  if (subject !== undefined) {
    const [plainHead, head] = [dictionaryHead(type, undefined), dictionaryHead(type, subject)];
    start = head + start.slice(plainHead.length);
    bytes += utf8Length(head) - plainHead.length;
  }
  return { position: streamSequence, id, type, subject, json: start + rest, bytes, time };
}

/** Returns the text `{"type":…,"event":…}` as the dictionary has it, and its size. */
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
    const isAscii = text.length === data.length; // Most texts are, and need no search for other characters.
    const isSafe = !UNSAFE.some((what) => text.includes(what)) &&
      (isAscii || !UNSAFE_BEYOND_ASCII.test(text));
    if (isPlain && isSafe) return { text, bytes: isAscii ? data.length : utf8Length(text) };
    const json = toJson(value.event === undefined ? { type } : { type, event: value.event });
    return "text" in json ? { text: json.text, bytes: utf8Length(json.text) } : undefined;
  } catch {
    return undefined; // Not UTF-8, or not JSON.
  }
}

function hasNothingElse(value: object): boolean {
  for (const key in value) if (key !== "type" && key !== "event") return false;
  return true;
}
