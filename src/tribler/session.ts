/**
 * The state of a Tribler core that its events endpoint shows, and the way its parts tell events.
 *
 * @module
 */
import type { PayloadArguments, PayloadOf, PublishableType, StartOf } from "../catalogue.ts";
import { type Channel, type ChannelOptions, createChannel } from "../channel.ts";
import type { EventsSource } from "../endpoint.ts";
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

  /** Whether the event is a search result that nobody needs to hear of; remembers those that are told. */
  function isSuperfluous(type: string, payload: unknown): boolean {
    if (type === "search_result_torrent") {
      const { result } = payload as PayloadOf<TriblerSchemas, "search_result_torrent">;
      return (familyFilter && result.category === "xxx") || isRepeated(`torrent ${result.infohash}`);
    }
    if (type === "search_result_channel") {
      const { result } = payload as PayloadOf<TriblerSchemas, "search_result_channel">;
      return isRepeated(`channel ${result.dispersy_cid}`);
    }
    return false;
  }

  function isRepeated(key: string): boolean {
    if (told.has(key)) return true;
    told.add(key);
    return false;
  }

  return {
    channel,
    version,
    get started() {
      return started;
    },
    emit: (type, ...payload) => {
      if (isSuperfluous(type, payload[0])) return undefined;
      return channel.publish(type, ...payload);
    },
    start: () => {
      if (started) return;
      started = true;
      channel.publish("tribler_started");
    },
    exception: (error) => {
      const text = textOf(error);
      if (connected === 0 && unheard === undefined) unheard = text;
      else channel.publish("tribler_exception", { text });
    },
    startNewQuery: () => told.clear(),
    startPayload: (): StartOf<TriblerSchemas> => ({ tribler_started: started, version }),
    join: () => {
      connected++;
      if (unheard !== undefined) channel.publish("tribler_exception", { text: unheard });
      unheard = undefined;
      return () => connected--;
    },
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : String(error);
}
