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
 * | Tribler 8, SSE | `event: T`, `data: {…}` | `{type: T, event: {…}}`, or `{type: T}` where the data is `{}` |
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { isDictionary } from "../events/json.ts";
import type { Frame } from "./frame.ts";

/** An event as it was received: only its type has been looked at. */
export interface Dictionary {
  /** The name of its type. */
  readonly type: string;
  /** Its payload, where it has one. */
  readonly event?: unknown;
  /** Its cursor. A real Tribler sends none. */
  readonly id?: string;
  /** When it was published: RFC 3339, UTC, milliseconds. A real Tribler sends none. */
  readonly time?: string;
}

/** What a frame says: an event, where the stream is after it, or both. */
export interface Received {
  /** The event; none where the frame only moves the cursor. */
  readonly event: Dictionary | undefined;
  /** The cursor; none where the server has no cursors. */
  readonly id: string | undefined;
}

/**
 * Reads a frame in whichever dialect it is.
 *
 * An event of ours over SSE is known by saying everything twice: the block's `event` is the dictionary's `type`, and
 * its `id` the dictionary's `id`. Tribler 8 sends no `id`, so whatever its payload holds it is not taken for one.
 *
 * In the dialect of Tribler 7.12 – 7.14 the payload is what was given by name (`kwargs`). Where nothing was, it is
 * what was given by place (`args`): a single one itself, several as an array.
 *
 * @returns `undefined` for a heartbeat
 * @throws {EventsError} `InvalidLine` where it is none of these; or the error that the frame is
 */
export function readFrame(frame: Frame): Received | undefined {
  if (typeof frame === "string") {
    // Its length first: engines make a string of what they have cut from another to compare it.
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

/** The event of a dictionary that names its own type. */
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
    `the server sent a line that is no event: ${beginning}: is this the address of an event stream?`;
  throw new EventsError("InvalidLine", message, { cause });
}
