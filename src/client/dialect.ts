/**
 * The dialects: how this package and the releases of Tribler write an event, and the one dictionary that all of them
 * become.
 *
 * | server | what it sends | what becomes of it |
 * | --- | --- | --- |
 * | this package, NDJSON | `{type, event, id, time}` | itself |
 * | this package, SSE | `event: T`, `data: {type: T, event, id: I, time}`, `id: I` | the data |
 * | Tribler 7.0 – 7.4, NDJSON | `{type, event}` | itself |
 * | Tribler 7.5 – 7.11, SSE | `data: {type, event}` | the data |
 * | Tribler 7.12 – 7.14, SSE | `data: {topic, args, kwargs}` | `{type: topic, event}`; see `Block.read` |
 * | Tribler 8, SSE | `event: T`, `data: {…}` | `{type: T, event: {…}}`, or `{type: T}` if the data is `{}` |
 *
 * @module
 */
import type { Catalogue } from "../events/catalogue.ts";
import { EventsError } from "../events/errors.ts";
import { isDictionary } from "../events/json.ts";
import type { Dictionary, Frame } from "./frame.ts";

/** What a frame contains: an event, the cursor after it, or both. */
export interface Received {
  /** The event; none if the frame only moves the cursor. */
  readonly event: Dictionary | undefined;
  /** The cursor; none if the server has no cursors. */
  readonly id: string | undefined;
}

const BLANK = /^[ \t\r]*$/;
/** Number of characters in the shortest event, `{"type":""}`. */
const MIN_EVENT_LENGTH = 11;

/**
 * Reads a frame in any of the dialects.
 *
 * @param parse parses the text of an event; default `JSON.parse`, which is faster when it is called directly
 * @returns `undefined` for a heartbeat
 * @throws {EventsError} `InvalidLine` if it is none of these; or the frame, if that is an error
 */
export function readFrame(
  frame: Frame,
  catalogue?: Catalogue,
  parse?: (text: string) => unknown,
): Received | undefined {
  if (typeof frame === "string") {
    // To look into a slice, some engines copy it into a string of its own, but not to parse it.
    if (frame.length < MIN_EVENT_LENGTH && BLANK.test(frame)) return undefined;
    const event = parsed(frame, parse);
    if (event === undefined) return undefined;
    if (!isEvent(event)) notAnEvent(frame);
    return { event, id: cursorOf(event) };
  }
  if (frame instanceof EventsError) throw frame;
  const { id, data } = frame;
  if (data === "") return { event: undefined, id };
  const value = parsed(data, parse);
  const event = (value === undefined ? undefined : frame.read(value, catalogue)) ?? notAnEvent(data);
  return { event: id === undefined || "id" in event ? event : { ...event, id }, id: id ?? cursorOf(event) };
}

/** Returns the JSON text of the event in a frame that {@linkcode readFrame} has read. */
export function textOf(frame: Frame, catalogue: Catalogue | undefined): string {
  if (frame instanceof EventsError) throw frame;
  return typeof frame === "string" ? frame.trim() : frame.text(catalogue);
}

/** Whether a text is whole JSON, and no event. */
export function isOtherJson(text: string): boolean {
  try {
    return !isEvent(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Returns the value of a text; `undefined` if it is blank. */
function parsed(text: string, parse: ((text: string) => unknown) | undefined): unknown {
  try {
    return parse === undefined ? JSON.parse(text) : parse(text);
  } catch (cause) {
    return BLANK.test(text) ? undefined : notAnEvent(text, cause);
  }
}

function isEvent(value: unknown): value is Dictionary {
  return isDictionary(value) && typeof value["type"] === "string";
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
