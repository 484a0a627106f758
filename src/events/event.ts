/**
 * The event dictionary, and the control events that every stream carries.
 *
 * @module
 */
import { EventsError } from "./errors.ts";
import { toJson } from "./json.ts";

/**
 * One event as it goes over the wire: `{"type":…,"subject":…,"event":…,"id":…,"time":…}`, in this order of keys.
 * A type without a payload has no `event`, and an event about nothing in particular no `subject`.
 */
export type EventDictionary<Type extends string = string, Payload = undefined> =
  & { readonly type: Type }
  & (Payload extends undefined ? { readonly event?: never } : { readonly event: Payload })
  & {
    /** What it is about, such as one order; absent if it has no subject. */
    readonly subject?: string;
    /** The event's cursor: opaque, to be handed back as `since` or `Last-Event-ID`. */
    readonly id: string;
    /** When it was published: RFC 3339, UTC, milliseconds. */
    readonly time: string;
  };

/** Why a consumer misses events. */
export type LossReason =
  /** Its cursor is older than what the channel keeps. */
  | "history_expired"
  /** Its cursor is of a channel that is gone. */
  | "unknown_epoch"
  /** It read too slowly and was overtaken. */
  | "slow_consumer";

/** What a consumer misses: the payload of `events_lost`. */
export interface Loss {
  /** Why the events are missing. */
  readonly reason: LossReason;
  /** How many events of the channel, whatever the filter; `null` where that cannot be known. */
  readonly count: number | null;
}

/** The payload of `events_start` that every application has: its own keys stand beside it. */
export interface StartPayload {
  /** Seconds of silence after which the stream carries a heartbeat; `null` where it never does. */
  readonly heartbeat: number | null;
}

/** The first event of every response; its `id` is the position the stream starts from. */
export type EventsStart<Payload = unknown> = EventDictionary<"events_start", StartPayload & Payload>;
/** Reports missed events to a consumer; the stream continues with the oldest event kept. */
export type EventsLost = EventDictionary<"events_lost", Loss>;
/** Reports to a filtered consumer which position it has reached while its filter hid everything. */
export type EventsBookmark = EventDictionary<"events_bookmark">;

/** The names of the control events. */
export const CONTROL_TYPES: readonly string[] = ["events_start", "events_lost", "events_bookmark"];

/** Returns the beginning of a dictionary: its type, and its subject if it has one. Further keys follow behind a comma. */
export function dictionaryHead(type: string, subject: string | undefined): string {
  return subject === undefined
    ? `{"type":"${type}"`
    : `{"type":"${type}","subject":${JSON.stringify(subject)}`;
}

/** Whether the type is a control event: the endpoint itself sends it, and it cannot be published. */
export function isControlType(type: string): boolean {
  return CONTROL_TYPES.includes(type);
}

/**
 * Writes a control event: its cursor, its type, and its dictionary as one line of JSON.
 *
 * @throws {EventsError} `InvalidEvent` if the payload cannot be JSON
 */
export function controlLine(
  type: string,
  id: string,
  payload: unknown,
): { readonly id: string; readonly type: string; readonly json: string } {
  const json = toJson({ type, event: payload, id, time: new Date().toISOString() });
  if ("text" in json) return { id, type, json: json.text };
  const { path, message } = json.fault;
  throw new EventsError("InvalidEvent", `"${type}" cannot be written: ${path}: ${message}`);
}
