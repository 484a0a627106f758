/**
 * The connection of the page: the question that it asks, its stream, and what is known of its state and of the past.
 *
 * @module
 */
/// <reference lib="dom" />
import type { Dictionary, Status } from "../client/mod.ts";
import { timeOf } from "../text/event_text.ts";
import type { Announcer } from "./announcer.ts";
import { showConnection } from "./figures.ts";
import { createKey, type Key } from "./key.ts";
import { createPast, type Known } from "./past.ts";
import { follow, type Stream } from "./stream.ts";
import type { Question } from "./view.ts";

/** The connection. */
export interface PageConnection {
  readonly key: Key;
  readonly status: Status;
  /** Number of seconds until the next attempt. */
  readonly retrySeconds: number;
  /** Number of milliseconds by which the local clock is ahead of the server's. */
  readonly skewMs: number;
  /** What is known of the past, in times of the server. */
  readonly known: Known;
  /** Asks another question. */
  ask(question: Question): void;
  /** Replaces the stream by one that continues after its last event. */
  reconnect(): void;
  /** Does what the state of the connection asks for: enters a key, or tries again. */
  mend(): void;
  /** Shows its state. */
  draw(): void;
}

/** Callbacks of the connection. */
export interface ConnectionListener {
  /** An event arrived, with its JSON as the server wrote it. */
  onEvent(event: Dictionary, json: string): void;
  /** The state has changed, or what is known of the past. */
  onChange(): void;
}

/** Makes the connection; it asks nothing yet. */
export function createConnection(
  announcer: Announcer,
  { onEvent, onChange }: ConnectionListener,
): PageConnection {
  let question: Question | undefined;
  let stream: Stream | undefined;
  let status: Status = { type: "connecting", attempt: 1 };
  /** The time of the next attempt, in milliseconds since 1970. */
  let retryAt = 0;
  let skewMs = 0;
  const key = createKey(reconnect);
  const past = createPast(onChange);

  function start(asked: Question): void {
    stream?.end();
    stream = follow(asked, key.value, {
      onEvent: (event, json) => {
        past.begin(event);
        onEvent(event, json);
      },
      onStatus,
    });
  }

  function reconnect(): void {
    if (question === undefined) return;
    const { types, subjects } = question;
    const since = stream?.lastId;
    start(since === undefined ? question : { types, subjects, since });
  }

  function onStatus(now: Status): void {
    // Another attempt changes no words and takes no button from the pointer, until it succeeds or there is a new reason.
    if (now.type === "connecting" && status.type === "waiting") retryAt = 0;
    else status = now;
    if (now.type === "open" && now.start !== undefined) skewMs = Date.now() - timeOf(now.start).getTime();
    if (now.type === "waiting") retryAt = Date.now() + now.delay * 1000;
    past.status(now, Date.now() - skewMs, key.value);
    if (now.type === "closed" && now.cause?.code === "Unauthorized") key.ask();
    draw();
    onChange();
  }

  function draw(): void {
    showConnection(status, retryAt, announcer);
  }

  return {
    key,
    get status() {
      return status;
    },
    get retrySeconds() {
      return Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    },
    get skewMs() {
      return skewMs;
    },
    get known() {
      return past.known;
    },
    ask: (asked) => {
      question = asked;
      past.ask(asked, Date.now() - skewMs);
      start(asked);
    },
    reconnect,
    mend: () => status.type === "closed" && status.cause?.code === "Unauthorized" ? key.ask() : reconnect(),
    draw,
  };
}
