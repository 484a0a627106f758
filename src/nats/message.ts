/**
 * Messages: events as the stream stores them.
 *
 * @module
 */
import type { JsMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { Entry } from "../channel/channel.ts";
import type { EntryWriter } from "../channel/entry_writer.ts";
import type { EncodedEvent } from "../events/encode.ts";
import { isControlType } from "../events/event.ts";
import { toJson, utf8Length } from "../events/json.ts";
import { isSubject } from "../events/subject.ts";
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
export function entryOf(
  message: JsMsg,
  epoch: string,
  subjects: Subjects,
  write: EntryWriter,
): Entry | undefined {
  const { streamSequence, timestampNanos } = message.info;
  const type = subjects.typeOf(message.subject);
  if (type === undefined || isControlType(type)) return undefined;
  const body = bodyOf(message.data, type);
  if (body === undefined) return undefined;
  const subject = message.headers?.has(SUBJECT_HEADER) ? message.headers.get(SUBJECT_HEADER) : undefined;
  if (subject !== undefined && !isSubject(subject)) return undefined;
  return write({ type, subject, ...body }, epoch, streamSequence, Math.floor(timestampNanos / 1e6));
}

/** The payload of an event, as JSON that is safe for every line reader, and its size. */
type Body = Pick<EncodedEvent, "payload" | "bytes">;

const EVENT_KEY = ',"event":';
const NO_PAYLOAD: Body = { payload: undefined, bytes: 0 };

/** Returns the payload in the text `{"type":…,"event":…}`, without a copy if the text is as this program writes it. */
function bodyOf(data: Uint8Array, type: string): Body | undefined {
  try {
    const text = decoder.decode(data);
    const value = JSON.parse(text);
    if (value?.type !== type || !hasNothingElse(value)) return undefined;
    if (value.event === undefined) return NO_PAYLOAD;
    const head = `{"type":"${type}"${EVENT_KEY}`;
    const isAscii = text.length === data.length; // Most texts are, and need no search for other characters.
    const isSafe = !UNSAFE.some((what) => text.includes(what)) &&
      (isAscii || !UNSAFE_BEYOND_ASCII.test(text));
    if (isSafe && text.startsWith(head) && text.endsWith("}")) {
      const payload = text.slice(head.length, -1);
      return { payload, bytes: isAscii ? payload.length : utf8Length(payload) };
    }
    const json = toJson(value.event);
    return "text" in json ? { payload: json.text, bytes: utf8Length(json.text) } : undefined;
  } catch {
    return undefined; // Not UTF-8, or not JSON.
  }
}

function hasNothingElse(value: object): boolean {
  for (const key in value) if (key !== "type" && key !== "event") return false;
  return true;
}
