/**
 * The state of a Tribler core that its events endpoint shows, and the way its parts tell events.
 *
 * @module
 */
import {
  checkEvent,
  type Draft,
  type PayloadArguments,
  type PublishableType,
  refusal,
  type StartOf,
} from "../catalogue.ts";
import { type Channel, type ChannelOptions, createChannel } from "../channel.ts";
import type { EventsSource } from "../endpoint.ts";
import { EventsError } from "../errors.ts";
import { triblerEvents, type TriblerSchemas } from "./events.ts";

/** Options of {@linkcode createSession}. */
export interface SessionOptions extends ChannelOptions {
  /** The version that `events_start` reports. */
  readonly version: string;
  /** Whether torrents of the category `xxx` are left out of search results; default `true`, as in Tribler. */
  readonly familyFilter?: boolean;
}

/** A Tribler core, as far as its events endpoint is concerned. */
export interface Session extends EventsSource<TriblerSchemas> {
  /** The channel that carries its events. */
  readonly channel: Channel<TriblerSchemas>;
  /** The version that `events_start` reports. */
  readonly version: string;
  /** Whether {@linkcode start} was called. */
  readonly started: boolean;

  /**
   * Tells an event.
   *
   * Search results are told once for each query: a torrent by its infohash, a channel by its `dispersy_cid`, until
   * {@linkcode startNewQuery}. With the family filter on, torrents of the category `xxx` are not told.
   *
   * @returns the event's `id`; `undefined` for a search result that is not told
   * @throws {EventsError} `InvalidEvent` where the payload does not fit; `ChannelClosed` after `channel.close()`
   */
  emit<T extends PublishableType<TriblerSchemas>>(
    type: T,
    ...payload: PayloadArguments<TriblerSchemas, T>
  ): string | undefined;

  /** Tribler has started: tells `tribler_started`, and `events_start` says so from now on. Once is enough. */
  start(): void;

  /**
   * Tells an error as `tribler_exception`. The first one raised while nobody is connected waits for the next
   * client; the others can be had from history alone.
   *
   * @param error its stack, or whatever it has to say, becomes the event's `text`
   * @throws {EventsError} `ChannelClosed` after `channel.close()`, where somebody is connected
   */
  exception(error: unknown): void;

  /** A new search begins: results told for the last one may be told again. */
  startNewQuery(): void;
}

/**
 * Makes a session: Tribler's catalogue, the channel that carries it, and the state `events_start` reports.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { eventsEndpoint } from "../mod.ts";
 * import { createSession } from "./mod.ts";
 *
 * const session = createSession({ version: "7.1.5" });
 * const app = new Hono();
 * app.route("/events", eventsEndpoint(session));
 * session.start();
 * session.emit("torrent_finished", { infohash: "ab".repeat(20), name: "Debian 12" });
 * ```
 */
export function createSession(options: SessionOptions): Session {
  const { version, familyFilter = true } = options;
  const channel = createChannel(triblerEvents, options);
  const told = new Set<string>();
  let started = false;
  let connected = 0;
  let unheard: string | undefined;

  /** The name by which a search result is told once, or `null` where the family filter leaves it out. */
  function searchKey({ type, event }: Draft<TriblerSchemas>): string | null | undefined {
    if (type === "search_result_channel") return `channel ${event.result.dispersy_cid}`;
    if (type !== "search_result_torrent") return undefined;
    return familyFilter && event.result.category === "xxx" ? null : `torrent ${event.result.infohash}`;
  }

  /** Tells as much of the text as the history can hold. */
  function tellException(text: string): void {
    try {
      channel.publish("tribler_exception", { text });
    } catch (error) {
      const isTooLong = error instanceof EventsError && error.code === "InvalidEvent" && text !== "";
      if (!isTooLong) throw error;
      tellException(text.slice(0, text.length / 2));
    }
  }

  return {
    channel,
    version,
    get started() {
      return started;
    },
    emit: (type, ...[event]) => {
      const faults = checkEvent(triblerEvents, type, event, 0);
      if (faults.length > 0) throw refusal(faults, [{ type }]);
      const draft = { type, event } as Draft<TriblerSchemas>;
      const key = searchKey(draft);
      if (key === null || (key !== undefined && told.has(key))) return undefined;
      const [id] = channel.publishBatch([draft]);
      if (key !== undefined) told.add(key);
      if (told.size > MAX_TOLD) told.delete(told.values().next().value!);
      return id;
    },
    start: () => {
      if (started) return;
      started = true;
      channel.publish("tribler_started");
    },
    exception: (error) => {
      const text = textOf(error);
      if (connected === 0 && unheard === undefined) unheard = text;
      else tellException(text);
    },
    startNewQuery: () => told.clear(),
    startPayload: (): StartOf<TriblerSchemas> => ({ tribler_started: started, version }),
    join: () => {
      connected++;
      if (unheard !== undefined && !channel.closed) tellException(unheard);
      unheard = undefined;
      return () => connected--;
    },
  };
}

/** So many results of one query are remembered; beyond it the first ones may be told again. */
const MAX_TOLD = 100_000;

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.stack ?? String(error) : String(error);
  } catch {
    return Object.prototype.toString.call(error); // An object without a text of its own.
  }
}
