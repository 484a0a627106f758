/**
 * The dialects: how this package and the releases of Tribler write an event, and the one dictionary that all of them
 * become.
 *
 * | server | what it sends | what becomes of it |
 * | --- | --- | --- |
 * | this package, NDJSON | `{type, event, id, time}` | itself |
 * | this package, SSE | `id: I`, `event: T`, `data: {type: T, event, id: I, time}` | the data |
 * | Tribler 7.0 – 7.4, NDJSON | `{type, event}` | itself |
 * | Tribler 7.5 – 7.11, SSE | `data: {type, event}` | the data |
 * | Tribler 7.12 – 7.14, SSE | `data: {topic, args, kwargs}` | `{type: topic, event}`; see {@linkcode readFrame} |
 * | Tribler 8, SSE | `event: T`, `data: {…}` | `{type: T, event: {…}}`, or `{type: T}` if the data is `{}` |
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { isDictionary } from "../events/json.ts";
import type { Frame } from "./frame.ts";

/** An event as it was received. Only its type has been checked. */
export interface Dictionary {
  /** The name of its type. */
  readonly type: string;
  /** Its payload, if it has one. */
  readonly event?: unknown;
  /** Its cursor. A real Tribler sends none. */
  readonly id?: string;
  /** When it was published: RFC 3339, UTC, milliseconds. A real Tribler sends none. */
  readonly time?: string;
}

/** What a frame contains: an event, the cursor after it, or both. */
export interface Received {
  /** The event; none if the frame only moves the cursor. */
  readonly event: Dictionary | undefined;
  /** The cursor; none if the server has no cursors. */
  readonly id: string | undefined;
}

/**
 * Reads a frame in any of the dialects.
 *
 * Over SSE, an event of this package repeats itself: the block's `event` is the dictionary's `type`, and the block's `id` is
 * the dictionary's `id`. Tribler 8 sends no `id`, so none of its payloads is mistaken for such a dictionary.
 *
 * In the dialect of Tribler 7.12 – 7.14 the payload is `kwargs`, the arguments passed by name. If it is empty, the payload is
 * `args`, those passed by position: a single one itself, several as an array.
 *
 * @returns `undefined` for a heartbeat
 * @throws {EventsError} `InvalidLine` if it is none of these; or the frame, if that is an error
 */
export function readFrame(frame: Frame): Received | undefined {
  if (typeof frame === "string") {
    // The length comes first: to compare a slice, engines copy it into a string of its own.
    if (frame.length < 2 && (frame === "" || frame === "\r")) return undefined;
    const event = unnamed(parsed(frame)) ?? notAnEvent(frame);
    return { event, id: cursorOf(event) };
  }
  if (frame instanceof EventsError) throw frame;
  const { event: name, id, data } = frame;
  if (data === "") return { event: undefined, id };
  const value = parsed(data);
  const event = name === undefined
    ? unnamed(value) ?? notAnEvent(data)
    : isOurs(value, name, id)
    ? value
    : dictionary(name, isEmpty(value) ? undefined : value);
  return { event: id === undefined || "id" in event ? event : { ...event, id }, id: id ?? cursorOf(event) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return notAnEvent(text, cause);
  }
}

function isEmpty(value: unknown): boolean {
  return isDictionary(value) && Object.keys(value).length === 0;
}

function isOurs(value: unknown, name: string, id: string | undefined): value is Dictionary {
  return id !== undefined && isDictionary(value) && value["type"] === name && value["id"] === id;
}

/** Returns the event of a dictionary that names its own type; `undefined` if it is none. */
function unnamed(value: unknown): Dictionary | undefined {
  if (!isDictionary(value)) return undefined;
  if (typeof value["type"] === "string") return value as unknown as Dictionary;
  const { topic, args, kwargs } = value;
  if (typeof topic !== "string") return undefined;
  if (isDictionary(kwargs) && !isEmpty(kwargs)) return dictionary(topic, kwargs);
  const given: readonly unknown[] = Array.isArray(args) ? args : [];
  return dictionary(topic, given.length > 1 ? given : given[0]);
}

function dictionary(type: string, event: unknown): Dictionary {
  return event === undefined ? { type } : { type, event };
}

function cursorOf({ id }: Dictionary): string | undefined {
  return typeof id === "string" ? id : undefined;
}

function notAnEvent(text: string, cause?: unknown): never {
  const beginning = JSON.stringify(text.slice(0, 80)) + (text.length > 80 ? "…" : "");
  const message =
    `the server sent a line that is not an event: ${beginning}: is this the address of an event stream?`;
  throw new EventsError("InvalidLine", message, { cause });
}
