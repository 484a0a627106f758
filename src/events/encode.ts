/**
 * Encoding: from the events that an application publishes to the JSON of their payloads, checked against the catalogue.
 *
 * @module
 */
import { ARRAY, checkArgument, checkOptions, type Expected, STRING } from "./arguments.ts";
import type { Catalogue, PublishOptions } from "./catalogue.ts";
import type { Issue } from "./errors.ts";
import {
  copyPlain,
  hasLineEnds,
  isAscii,
  isCanonical,
  isDictionary,
  lineSafe,
  NOT_PLAIN,
  type NotJson,
  toJson,
  utf8Length,
} from "./json.ts";
import { checkEvent, checkGivenSubject, checkSubject, invalidEventError } from "./validate.ts";

/** An event to be published, not checked yet. */
export interface UncheckedDraft {
  readonly type: string;
  readonly subject?: unknown;
  readonly event?: unknown;
}

const PUBLISH_OPTIONS: Readonly<Record<keyof PublishOptions, Expected>> = { subject: STRING };

/**
 * Makes the draft of a call of `publish`.
 *
 * @throws {TypeError} if there is no such option, or its value is of another kind
 */
export function draftOf(type: string, event: unknown, options: PublishOptions | undefined): UncheckedDraft {
  if (options === undefined) return { type, event };
  checkOptions("publish", options, PUBLISH_OPTIONS);
  return { type, subject: options.subject, event };
}

/** An event that can be published. */
export interface EncodedEvent {
  readonly type: string;
  /** What it is about; `undefined` if it has no subject. */
  readonly subject: string | undefined;
  /** The JSON of its payload, as it is written in the dictionary; `undefined` if it has none. */
  readonly payload: string | undefined;
  /** The length of that in UTF-8, in bytes. */
  readonly bytes: number;
}

const TYPE_KEY = '{"type":"';
const SUBJECT_KEY = '","subject":"';
const EVENT_KEY = '","event":';
/** Matches each number with an exponent in a text of JSON, and some strings. */
const EXPONENT = /[:,[]\s*-?[\d.]+[eE]/;

/** A payload as JSON. */
interface WrittenPayload {
  readonly text: string;
  /** The length of the text in UTF-8. */
  readonly bytes: number;
  /** What consumers will parse from the text. */
  readonly value: unknown;
}

/** An event whose payload came as JSON, and is stored as it was written. */
export class WrittenDraft implements UncheckedDraft {
  readonly type: string;
  readonly subject: string | undefined;
  readonly event: unknown;
  readonly #written: WrittenPayload;

  private constructor(type: string, subject: string | undefined, written: WrittenPayload) {
    this.type = type;
    this.subject = subject;
    this.event = written.value;
    this.#written = written;
  }

  /** Returns the payload as it was written, if the draft was read by {@linkcode read}. */
  static payloadOf(draft: UncheckedDraft): WrittenPayload | undefined {
    return #written in draft ? draft.#written : undefined;
  }

  /**
   * Reads an event whose JSON is the one that would be written for it: `{"type":…,"event":…}`, or with a `subject` between
   * them, without white space, without a key twice, and with every number and string in its shortest form. Then its payload need not be written again.
   *
   * @param value what `JSON.parse` returns for the text
   * @param maxDepth maximum number of levels of objects and arrays, the dictionary included
   * @returns `undefined` for any other text, and for one beyond the limits of an event
   */
  static read(text: string, value: unknown, maxDepth: number): WrittenDraft | undefined {
    if (!isDictionary(value)) return undefined;
    const { type, subject, event } = value;
    if (typeof type !== "string" || event === undefined || event === null) return undefined;
    if (subject !== undefined && typeof subject !== "string") return undefined;
    const head = TYPE_KEY + type + (subject === undefined ? "" : SUBJECT_KEY + subject) + EVENT_KEY;
    const start = head.length;
    const isInOrder = text.startsWith(head) && text.endsWith("}");
    const isPlain = isAscii(text);
    if (!isInOrder || text.includes("\\") || (!isPlain && hasLineEnds(text))) return undefined;
    const length = text.length - start - 1;
    if (!isCanonical(length, event, maxDepth - 1, () => EXPONENT.test(text))) return undefined;
    const json = text.slice(start, -1);
    const bytes = isPlain ? length : utf8Length(json);
    return new WrittenDraft(type, subject, { text: json, bytes, value: event });
  }
}

/** The most bytes in a dictionary beside its payload and its subject: type, id and time with their keys. */
const ENVELOPE_BYTES = 256;
/** The bytes of the key of a subject, with its comma. */
const SUBJECT_KEY_BYTES = '"subject":,'.length;

/**
 * Encodes events, and checks each against the catalogue in the form in which consumers will parse it.
 *
 * @param maxBytes the most bytes of JSON in UTF-8 in the dictionary of one event
 * @param key names the publication, if it has a name
 * @throws {TypeError} if the events are no array, or the key is no string
 * @throws {EventsError} `InvalidEvent` with every issue of every event
 */
export function encodeEvents(
  catalogue: Catalogue,
  drafts: readonly UncheckedDraft[],
  maxBytes: number,
  key?: string,
): EncodedEvent[] {
  checkArgument("publishBatch: the events", drafts, ARRAY);
  if (key !== undefined) checkArgument("publishBatch: the key", key, STRING);
  const prepared: EncodedEvent[] = [];
  const issues: Issue[] = [];
  let cause: unknown;
  for (let index = 0; index < drafts.length; index++) {
    const checked = prepare(catalogue, drafts[index]!, index, maxBytes);
    if ("issues" in checked) {
      // One by one: there may be more of them than a call can have arguments.
      for (const issue of checked.issues) issues.push(issue);
      cause ??= checked.cause;
    } else prepared.push(checked);
  }
  if (issues.length > 0) throw invalidEventError(issues, drafts, cause);
  return prepared;
}

/**
 * Encodes one event as {@linkcode encodeEvents} does.
 *
 * @throws {EventsError} `InvalidEvent` with every issue
 */
export function encodeEvent(catalogue: Catalogue, draft: UncheckedDraft, maxBytes: number): EncodedEvent {
  const checked = prepare(catalogue, draft, 0, maxBytes);
  if ("issues" in checked) throw invalidEventError(checked.issues, [draft], checked.cause);
  return checked;
}

/** Encodes one event, or finds its issues. Reads each property once, because it may be a getter. */
function prepare(
  catalogue: Catalogue,
  draft: UncheckedDraft,
  index: number,
  maxBytes: number,
): EncodedEvent | { readonly issues: Issue[]; readonly cause?: unknown } {
  if (typeof draft !== "object" || draft === null) {
    return { issues: [{ index, path: "", message: 'must be a dictionary: {"type": …, "event": …}' }] };
  }
  const { type, subject: given, event } = draft;
  const json = WrittenDraft.payloadOf(draft) ?? (event === undefined ? NO_PAYLOAD : write(event));
  if ("fault" in json) {
    const { path, message } = json.fault;
    return { issues: [{ index, path: path === "" ? "event" : `event.${path}`, message }] };
  }
  const { text: payload, bytes, value } = json;
  const issues = checkEvent(catalogue, type, value, index);
  if (issues.length > 0) return { issues: issues.concat(checkGivenSubject(given, index)) };
  const checked = checkSubject(catalogue, type, given, value);
  if ("message" in checked) {
    const { message, cause } = checked;
    return { issues: [{ index, path: "subject", message }], cause };
  }
  const { subject } = checked;
  const room = maxBytes - ENVELOPE_BYTES - (subject === undefined ? 0 : subjectBytes(subject));
  if (bytes <= room) return { type, subject, payload, bytes };
  const path = room < 0 ? "subject" : "event";
  const message = `has ${bytes} bytes: an event may have at most ${maxBytes} here, with ${
    maxBytes - room
  } for type, id and time`;
  return {
    issues: [{
      index,
      path,
      message: room < 0 ? `leaves no room: an event may have ${maxBytes} bytes here` : message,
    }],
  };
}

const NO_PAYLOAD = { text: undefined, bytes: 0, value: undefined };

function subjectBytes(subject: string): number {
  return utf8Length(JSON.stringify(subject)) + SUBJECT_KEY_BYTES;
}

/**
 * Writes a payload as JSON. The value beside it is what consumers will parse from that: it is checked in place of the one
 * that was passed, so that a Date, a Map or a getter is the same in both places.
 */
function write(payload: unknown): WrittenPayload | { readonly fault: NotJson } {
  const copy = tryToCopy(payload);
  if (copy !== NOT_PLAIN) {
    const text = JSON.stringify(copy);
    const hasLoneSurrogates = text.includes("\\ud"); // They are replaced.
    if (!hasLoneSurrogates && isAscii(text)) return { text, bytes: text.length, value: copy };
    if (!hasLoneSurrogates) return measured(lineSafe(text), copy);
  }
  const json = toJson(payload);
  return "fault" in json ? json : measured(json.text, JSON.parse(json.text));
}

function measured(text: string, value: unknown): WrittenPayload {
  return { text, bytes: utf8Length(text), value };
}

/** Copies a payload if it is plain and none of its getters throws. */
function tryToCopy(payload: unknown): unknown {
  try {
    return copyPlain(payload);
  } catch {
    return NOT_PLAIN;
  }
}
