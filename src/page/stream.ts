/**
 * The stream of events that the page shows, by the client of this package.
 *
 * @module
 */
/// <reference lib="dom" />
import { connect, type Dictionary, EventsError, type Status } from "../client/mod.ts";

/** What the page does with a stream. */
export interface Listener {
  onEvent(event: Dictionary): void;
  onStatus(status: Status): void;
}

/** A stream that is followed. */
export interface Stream {
  /** Where it is: the cursor to go on after. */
  readonly lastId: string | undefined;
  end(): void;
}

/** After so many milliseconds of events the browser gets to do what else there is: draw, and take input. */
const SHIFT = 8;

/**
 * Follows the events of the server that the page came from.
 *
 * @param since a cursor, `earliest` or `latest`
 */
export function follow(since: string, apiKey: string | undefined, listener: Listener): Stream {
  const ending = new AbortController();
  const { signal } = ending;
  const onStatus = (status: Status) => {
    if (!signal.aborted) listener.onStatus(status);
  };
  const connection = connect("events", { since, signal, onStatus, ...(apiKey && { apiKey }) });

  async function read(): Promise<void> {
    try {
      let began = performance.now();
      for await (const event of connection) {
        listener.onEvent(event);
        // Many events may have come at once, and nothing between them would let the browser go on.
        if (performance.now() - began < SHIFT) continue;
        await nextTask();
        began = performance.now();
      }
    } catch (error) {
      if (!(error instanceof EventsError)) throw error; // Of the others the last status has told.
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

/** Resolves in a task of its own; timers would do the same, but wait for a second in a page that nobody looks at. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
