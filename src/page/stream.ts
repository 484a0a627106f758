/**
 * The stream of events that the page shows, read by the client of this package.
 *
 * @module
 */
/// <reference lib="dom" />
import { nextTask } from "../store/frames.ts";
import { connect, type Dictionary, EventsError, type Status } from "../client/mod.ts";
import { eventsUrl } from "./events_url.ts";
import type { Question } from "./view.ts";

/** Callbacks of a stream. */
export interface Listener {
  /** An event arrived, with its JSON as the server wrote it. */
  onEvent(event: Dictionary, json: string): void;
  onStatus(status: Status): void;
}

/** An open stream. */
export interface Stream {
  /** The cursor to resume after. */
  readonly lastId: string | undefined;
  end(): void;
}

/** Number of milliseconds for which events may be read before the browser gets to draw and to handle input. */
const MAX_BUSY_MS = 8;

/** Follows the events that a view asks for. */
export function follow(
  { types, subjects, ...start }: Question,
  apiKey: string | undefined,
  listener: Listener,
): Stream {
  const ending = new AbortController();
  const { signal } = ending;
  const onStatus = (status: Status) => {
    if (!signal.aborted) listener.onStatus(status);
  };
  const options = { types, subjects, ...start, signal, onStatus, ...(apiKey && { apiKey }) };
  const connection = connect(eventsUrl(), options);

  async function read(): Promise<void> {
    try {
      let began = performance.now();
      for await (const event of connection) {
        listener.onEvent(event, connection.lastText ?? JSON.stringify(event));
        // Events that arrive together are read in one task, during which the browser cannot draw.
        if (performance.now() - began < MAX_BUSY_MS) continue;
        await nextTask();
        began = performance.now();
      }
    } catch (error) {
      if (!(error instanceof EventsError)) throw error; // The last status has already reported an EventsError.
    }
  }

  void read();
  return {
    get lastId() {
      return connection.lastId;
    },
    end: () => ending.abort(),
  };
}
