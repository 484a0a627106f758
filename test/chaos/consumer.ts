/**
 * A consumer that records what it receives, in any runtime or browser.
 *
 * @module
 */
import { connect, type ConnectOptions, type Dictionary } from "../../src/client/mod.ts";
import { triblerEvents } from "../../src/tribler/mod.ts";
import type { Random } from "../support/hostile_proxy.ts";

export const TYPES = ["upgrader_tick", "new_version_available"] as const;
/** The text of the last event, after which consumers stop. */
export const LAST = "last";

/** What a consumer requested, and what it received. */
export interface Diary {
  readonly types: readonly string[];
  readonly events: Dictionary[];
  /** Why its connections were lost or failed, by code. */
  readonly causes: string[];
  resumed: number;
}

/**
 * Follows the stream until the last event, or until the signal is aborted.
 *
 * @param index number of the consumer: every second one reads SSE, and every third one only some types
 */
export async function consume(
  url: string,
  index: number,
  random: Random,
  pace: ConnectOptions,
  signal: AbortSignal,
): Promise<Diary> {
  const types = index % 3 === 2 ? TYPES.slice(0, 1) : TYPES;
  const diary: Diary = { types, events: [], causes: [], resumed: 0 };
  const options: ConnectOptions<typeof triblerEvents.schemas> = {
    ...pace,
    signal,
    since: "earliest",
    catalogue: triblerEvents,
    ...(types.length < TYPES.length ? { types } : {}),
    onStatus: (status) => {
      if (status.type === "waiting") diary.causes.push(status.cause.code);
      if (status.type === "open" && status.resumed) diary.resumed++;
    },
  };
  const connection = connect(`${url}/events?format=${index % 2 === 0 ? "ndjson" : "sse"}`, options);
  for await (const event of connection) {
    if (event.id !== connection.lastId) {
      throw new Error(`the event is ${event.id}, and lastId ${connection.lastId}`);
    }
    diary.events.push(event as Dictionary);
    if (event.type === "upgrader_tick" && event.event.text === LAST) break;
    if (random() < 0.01) await new Promise((resolve) => setTimeout(resolve, random() * 30));
  }
  return diary;
}
