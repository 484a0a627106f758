/**
 * The events of a connection in batches: those that are there already, up to what one request may hold.
 *
 * @module
 */
import type { Connection, Dictionary } from "../client/mod.ts";

/** An event of a batch. */
export interface Arrived {
  readonly event: Dictionary;
  /** Its JSON, as it was received. */
  readonly text: string;
  /** The cursor after it; `undefined` if the server has none. */
  readonly cursor: string | undefined;
}

/** Maximum number of characters of a batch of more than one event, as for `emit`: any server accepts so much in a request. */
const MAX_BATCH_CHARACTERS = 100_000;
/** Number of milliseconds for which a batch waits for further events. */
const LINGER_MS = 2;

/** The batches of a connection. */
export interface Batches extends AsyncIterable<readonly Arrived[]> {
  /** Whether every event that the connection has handed out was in a batch which the caller is done with. */
  readonly isIdle: boolean;
}

/** Makes batches of events. While the caller works on one, one further event is read, and the server waits. */
export function batchesOf(connection: Connection<Dictionary>): Batches {
  let isIdle = false;

  function take(): Promise<Arrived | undefined> {
    const taken = connection.next().then(({ done, value }): Arrived | undefined => {
      isIdle = false;
      return done ? undefined : { event: value, text: connection.lastText!, cursor: connection.lastId };
    });
    taken.catch(() => {}); // It is awaited after the batch before it.
    return taken;
  }

  async function* batches(): AsyncGenerator<readonly Arrived[]> {
    let next = take();
    for (;;) {
      isIdle = true;
      const first = await next;
      isIdle = false;
      if (first === undefined) return;
      const batch = [first];
      let length = first.text.length;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const pause = new Promise<undefined>((resolve) =>
        timer = setTimeout(() => resolve(undefined), LINGER_MS)
      );
      for (;;) {
        next = take();
        // An error is thrown at the next turn, after this batch.
        const further = await Promise.race([next, pause]).catch(() => undefined);
        length += (further?.text.length ?? 0) + 1;
        if (further === undefined || length > MAX_BATCH_CHARACTERS) break;
        batch.push(further);
      }
      clearTimeout(timer);
      yield batch;
    }
  }

  return {
    get isIdle() {
      return isIdle;
    },
    [Symbol.asyncIterator]: batches,
  };
}
