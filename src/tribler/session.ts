/**
 * The state of a Tribler core that its events endpoint shows, and the way its parts tell events.
 *
 * @module
 */
import type { Draft, PayloadArguments, PublishableType, StartOf } from "../events/catalogue.ts";
import { checkEvent, invalidEventError } from "../events/validate.ts";
import type { Channel } from "../channel/channel.ts";
import type { EventsSource } from "../http/options.ts";
import { EventsError } from "../events/errors.ts";
import { type ChannelOptions, createChannel, type MemoryChannel } from "../channel/memory.ts";
import { triblerEvents, type TriblerSchemas } from "./events.ts";

/** Options of {@linkcode createSession}. */
export interface SessionOptions extends ChannelOptions {
  /** The version that `events_start` reports. */
  readonly version: string;
  /** Whether torrents of the category `xxx` are left out of search results; default `true`, as in Tribler. */
  readonly familyFilter?: boolean;
}

/** What {@linkcode Session.emit} gives: the event's `id`, as the channel has it: at once, or once it is kept elsewhere. */
export type Emitted<C extends Channel<TriblerSchemas>> = ReturnType<C["publish"]>;
/** Nothing, or for a channel that is kept elsewhere a promise of it. */
export type Told<C extends Channel<TriblerSchemas>> = Emitted<C> extends infer Id
  ? Id extends string ? void : Promise<void>
  : never;

/** A Tribler core, as far as its events endpoint is concerned. */
export interface Session<C extends Channel<TriblerSchemas> = MemoryChannel<TriblerSchemas>>
  extends EventsSource<TriblerSchemas> {
  /** The channel that carries its events. */
  readonly channel: C;
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
   * @throws {EventsError} `InvalidEvent` where the payload does not fit; `ChannelClosed` after `channel.close()`; and
   *   what else the channel refuses, or rejects
   */
  emit<T extends PublishableType<TriblerSchemas>>(
    type: T,
    ...payload: PayloadArguments<TriblerSchemas, T>
  ): Emitted<C> | undefined;

  /** Tribler has started: tells `tribler_started`, and `events_start` says so from now on. Once is enough. */
  start(): Told<C>;

  /**
   * Tells an error as `tribler_exception`. The first one raised while nobody is connected waits for the next
   * client, and so does the first that a channel elsewhere does not take; the others can be had from history alone.
   *
   * @param error its stack, or whatever it has to say, becomes the event's `text`
   * @throws {EventsError} `ChannelClosed` after `channel.close()`, where somebody is connected
   */
  exception(error: unknown): Told<C>;

  /** A new search begins: results told for the last one may be told again. */
  startNewQuery(): void;
}

/**
 * Makes a session: Tribler's catalogue, the channel that carries it, and the state `events_start` reports.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { eventsEndpoint } from "events-endpoint";
 * import { createSession } from "events-endpoint/tribler";
 *
 * const session = createSession({ version: "7.1.5" });
 * const app = new Hono();
 * app.route("/events", eventsEndpoint(session));
 * session.start();
 * session.emit("torrent_finished", { infohash: "ab".repeat(20), name: "Debian 12" });
 * ```
 */
export function createSession(options: SessionOptions): Session;
/** Makes a session on a channel that there is already. */
export function createSession<C extends Channel<TriblerSchemas>>(
  options: Omit<SessionOptions, "history"> & { readonly channel: C },
): Session<C>;
export function createSession(
  options: SessionOptions & { readonly channel?: Channel<TriblerSchemas> },
): Session<Channel<TriblerSchemas>> {
  const { version, familyFilter = true } = options;
  const channel = options.channel ?? createChannel(triblerEvents, options);
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

  function remember(key: string): void {
    told.add(key);
    if (told.size > MAX_TOLD) told.delete(told.values().next().value!);
  }

  /** Tells as much of the text as the history can hold. */
  function tellException(text: string): void | Promise<void> {
    const tellLess = (error: unknown) => {
      const isTooLong = error instanceof EventsError && error.code === "InvalidEvent" && text !== "";
      if (!isTooLong) throw error;
      return tellException(text.slice(0, text.length / 2));
    };
    try {
      const id = channel.publish("tribler_exception", { text });
      if (id instanceof Promise) return id.then(() => {}, tellLess).catch(() => void (unheard ??= text));
    } catch (error) {
      return tellLess(error);
    }
  }

  const session = {
    channel,
    version,
    get started() {
      return started;
    },
    emit: <T extends PublishableType<TriblerSchemas>>(
      type: T,
      ...[event]: PayloadArguments<TriblerSchemas, T>
    ): string | Promise<string> | undefined => {
      const faults = checkEvent(triblerEvents, type, event, 0);
      if (faults.length > 0) throw invalidEventError(faults, [{ type }]);
      const draft = { type, event } as Draft<TriblerSchemas>;
      const key = searchKey(draft);
      if (key === null || (key !== undefined && told.has(key))) return undefined;
      const ids = channel.publishBatch([draft]);
      if (key !== undefined) remember(key);
      if (!(ids instanceof Promise)) return ids[0]!;
      return ids.then(([id]) => id!, (error) => {
        if (key !== undefined) told.delete(key);
        throw error;
      });
    },
    start: (): void | Promise<void> => {
      if (started) return;
      started = true;
      const id = channel.publish("tribler_started");
      if (id instanceof Promise) return id.then(() => {});
    },
    exception: (error: unknown): void | Promise<void> => {
      const text = textOf(error);
      if (connected === 0 && unheard === undefined) unheard = text;
      else return tellException(text);
    },
    startNewQuery: () => told.clear(),
    startPayload: (): StartOf<TriblerSchemas> => ({ tribler_started: started, version }),
    onConnect: () => {
      connected++;
      const text = unheard;
      unheard = undefined;
      if (text !== undefined && !channel.closed) tellException(text);
      return () => connected--;
    },
  };
  // Whether there are promises in it depends on the channel alone.
  return session as unknown as Session<Channel<TriblerSchemas>>;
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
