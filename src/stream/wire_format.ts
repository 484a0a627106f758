/**
 * Wire formats: how events become text. Pure functions, and a `TransformStream` around them.
 *
 * @module
 */
import type { Batch } from "../channel/channel.ts";
import {
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  STRING,
  STRINGS,
} from "../events/arguments.ts";
import { dictionaryHead } from "../events/event.ts";
import { utf8Length } from "../events/json.ts";

/** One event to be written. */
export interface Line {
  /** The event's cursor. */
  readonly id: string;
  /** The name of its type. */
  readonly type: string;
  /** What it is about, if it has a subject. */
  readonly subject?: string | undefined;
  /** The whole dictionary. */
  readonly json: string;
}

/** How events are written on the wire: made by {@linkcode createFormat}. */
export interface WireFormat {
  /** Its name: in `?format=`, in statistics and in the log. */
  readonly name: string;
  /** The names of its media type, the preferred one first. */
  readonly mediaTypes: readonly [string, ...string[]];
  /** The text before the first event. */
  readonly preamble: string;
  /** Returns the text of one event of the channel, which is never empty. */
  write(line: Line): string;
  /** Returns the text of a control event; empty if the format leaves it out. */
  writeControl(line: Line): string;
  /** The number of `\n` in the text of every event, the last of which ends it; `undefined` if it differs. */
  readonly linesPerEvent: number | undefined;
  /** The text that keeps a silent stream open, which every reader skips; empty if the format has none. */
  readonly heartbeat: string;
  /** Returns the text that moves a reader's cursor without an event; empty if the format cannot do that. */
  encodePosition(id: string): string;
  /**
   * Returns the text at the end of a stream that the server ends, which delays the reconnect of its client; empty if the
   * format cannot do that.
   *
   * @param leastMs the shortest delay in milliseconds; the longest is 2.5 times as long. Default 2000
   */
  closing(leastMs?: number): string;
}

/** An event as the hooks of {@linkcode createFormat} receive it. */
export interface FormattedEvent extends Line {
  /** The JSON text of its payload; `undefined` if its type has none. */
  readonly payload: string | undefined;
}

/** What {@linkcode createFormat} makes a format of. */
export interface FormatHooks {
  /** Its name in statistics and in the log, such as `csv`. */
  readonly name: string;
  /** The `Content-Type` of a response. */
  readonly mediaType: string;
  /**
   * The text before the first event; default none. If {@linkcode control} leaves `events_start` out too, Bun sends the
   * headers of a response only with its first event.
   */
  readonly preamble?: string;
  /** Returns the text of one event: at least one character, and a whole number of lines of the format. */
  readonly event: (event: FormattedEvent) => string;
  /**
   * Returns the text of `events_start`, `events_lost` or `events_bookmark`; empty to leave it out. Default as every other
   * event.
   */
  readonly control?: (event: FormattedEvent) => string;
  /** The text that a silent stream carries, which readers have to skip; default none. */
  readonly heartbeat?: string;
  /** Returns the text that moves a reader's cursor where a filter hides all events; default none. */
  readonly position?: (id: string) => string;
  /**
   * Returns the text at the end of a stream that the server ends; default none.
   *
   * @param delayMs how many milliseconds the client is to wait before it reconnects, another number for each
   */
  readonly closing?: (delayMs: number) => string;
}

const HOOKS: Readonly<Record<keyof FormatHooks, Expected>> = {
  name: {
    text: "a name of printable characters",
    accepts: (value) => typeof value === "string" && /^[!-~]+$/.test(value),
  },
  mediaType: {
    text: "a media type like text/csv",
    accepts: (value) =>
      typeof value === "string" && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?: *;[ -~]*)?$/.test(value),
  },
  preamble: STRING,
  event: FUNCTION,
  control: FUNCTION,
  heartbeat: STRING,
  position: FUNCTION,
  closing: FUNCTION,
};

/** A whole wire format. */
export const WIRE_FORMAT: Expected = {
  text: "a wire format made by createFormat",
  accepts: (value) => {
    const { name, mediaTypes, preamble, heartbeat, ...rest } = (value ?? {}) as Record<string, unknown>;
    const { write, writeControl, encodePosition, closing } = rest;
    return [name, preamble, heartbeat].every(STRING.accepts) && STRINGS.accepts(mediaTypes) &&
      [write, writeControl, encodePosition, closing].every(FUNCTION.accepts);
  },
};

/**
 * Makes a wire format, for the option `wireFormat` of an endpoint.
 *
 * Each hook returns text, which is encoded once for all readers. A format without heartbeats sends none, and its
 * `events_start` does not mention them.
 *
 * @throws {TypeError} if a hook is missing, of another kind, or none
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import * as v from "valibot";
 * import { createChannel, createFormat, defineEvents, eventsEndpoint } from "events-endpoint";
 *
 * const tsv = createFormat({
 *   name: "tsv",
 *   mediaType: "text/tab-separated-values",
 *   preamble: "id\ttype\tpayload\n",
 *   event: ({ id, type, payload = "" }) => `${id}\t${type}\t${payload}\n`,
 *   control: () => "",
 * });
 * const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
 * const app = new Hono();
 * app.route("/events.tsv", eventsEndpoint(channel, { wireFormat: tsv }));
 * channel.publish("tick", { n: 1 });
 *
 * const response = await app.request("/events.tsv?since=earliest&follow=false");
 * console.log(await response.text()); // the names of the columns, and one line
 * ```
 */
export function createFormat(hooks: FormatHooks): WireFormat {
  checkOptions("createFormat", hooks, HOOKS);
  for (const name of ["name", "mediaType", "event"] as const) {
    checkArgument(`createFormat: ${name}`, hooks[name], HOOKS[name]);
  }
  const { name, mediaType, preamble = "", event, control = event, heartbeat = "", position, closing } = hooks;
  return {
    name,
    mediaTypes: [mediaType],
    preamble,
    write: (line) => {
      const text = wellFormed(event(formatted(line)));
      if (text === "") throw new TypeError(`the wire format ${name} wrote nothing for a ${line.type}`);
      return text;
    },
    writeControl: (line) => wellFormed(control(formatted(line))),
    linesPerEvent: undefined,
    heartbeat,
    encodePosition: (id) => position?.(id) ?? "",
    closing: (leastMs) => closing?.(jittered(leastMs)) ?? "",
  };
}

/** One dictionary a line; an empty line is a heartbeat. */
export const ndjson: WireFormat = {
  name: "ndjson",
  mediaTypes: ["application/x-ndjson", "application/jsonl", "application/ndjson"],
  preamble: "",
  write: writeLine,
  writeControl: writeLine,
  linesPerEvent: 1,
  heartbeat: "\n",
  encodePosition: () => "",
  closing: () => "",
};

function writeLine({ json }: Line): string {
  return json + "\n";
}

/** A comment line of server-sent events, which belongs to the next block: some readers report an empty block. */
export const SSE_HEARTBEAT = ":\n";

/**
 * Server-sent events (WHATWG HTML 9.2): the event's name, the whole dictionary as its data, and its cursor. The cursor
 * is last, because some readers move theirs as soon as they read it, and would miss the event if its block is cut. A
 * block with nothing but an `id` moves the cursor and dispatches nothing (9.2.6).
 */
export const sse: WireFormat = {
  name: "sse",
  mediaTypes: ["text/event-stream"],
  preamble: "retry: 2000\n",
  write: writeBlock,
  writeControl: writeBlock,
  linesPerEvent: 4,
  heartbeat: SSE_HEARTBEAT,
  encodePosition: writeIdBlock,
  closing: writeRetry,
};

function writeBlock({ id, type, json }: Line): string {
  return `event: ${type}\ndata: ${json}\nid: ${id}\n\n`;
}

/** Returns a block of server-sent events that moves the cursor alone. */
export function writeIdBlock(id: string): string {
  return `id: ${id}\n\n`;
}

/** Returns a line of server-sent events that delays the reconnect. It counts without an empty line behind it (9.2.6). */
export function writeRetry(leastMs?: number): string {
  return `retry: ${jittered(leastMs)}\n`;
}

/** A number of milliseconds from the least up to 2.5 times as much: all clients come back, but not at the same moment. */
function jittered(leastMs = 2000): number {
  return Math.floor(leastMs * (1 + 1.5 * Math.random()));
}

/** The formats that a client may choose from, the preferred one first. */
export const FORMATS: readonly WireFormat[] = [ndjson, sse];

/**
 * Returns the JSON text of the payload in a dictionary, as it stands there; `undefined` if there is none.
 *
 * The keys of a dictionary have one order (`type`, `subject`, `event`, `id`, `time`), and neither type nor cursor has an
 * escape.
 */
export function payloadText({ id, type, subject, json }: Line): string | undefined {
  const start = dictionaryHead(type, subject).length;
  if (!json.startsWith(EVENT_KEY, start)) return undefined;
  return json.slice(start + EVENT_KEY.length, json.lastIndexOf(`,"id":"${id}"`));
}

const EVENT_KEY = ',"event":';

/** The text as it can be encoded: half a character becomes U+FFFD. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

function formatted(line: Line): FormattedEvent {
  const { id, type, subject, json } = line;
  return { id, type, subject, json, payload: payloadText(line) };
}

/** Returns the text of events in a row. */
export function serialize(format: WireFormat, lines: readonly Line[]): string {
  let text = "";
  for (const line of lines) text += format.write(line);
  return text;
}

/** Makes a stream of batches in and text out: one string for each batch. */
export function serializer(format: WireFormat): TransformStream<Batch, string> {
  return new TransformStream({
    transform(batch, controller) {
      controller.enqueue(serialize(format, batch.entries));
    },
  });
}

/** Returns where each event ends in the bytes that they were serialized to. */
export function endsOf(format: WireFormat, lines: readonly Line[], bytes: Uint8Array): number[] {
  const { linesPerEvent } = format;
  const ends: number[] = [];
  if (linesPerEvent === undefined) {
    let end = 0;
    for (const line of lines) ends.push(end += utf8Length(format.write(line)));
    return ends;
  }
  for (let end = 0, count = 0; (end = bytes.indexOf(0x0a, end) + 1) > 0;) {
    if (++count % linesPerEvent === 0) ends.push(end);
  }
  return ends;
}
