/**
 * The session: the state of a Tribler core that its events endpoint shows, and the way its parts publish events.
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
/** Nothing, or for a channel that keeps its events elsewhere a promise of it. */
export type Completion<C extends Channel<TriblerSchemas>> = Emitted<C> extends infer Id
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
   * Publishes an event.
   *
   * Search results are published once for each query: a torrent by its infohash, a channel by its `dispersy_cid`, until
   * {@linkcode startNewQuery}. With the family filter on, torrents of the category `xxx` are left out.
   *
   * @returns the event's `id`; `undefined` for a search result that is not published
   * @throws {EventsError} `InvalidEvent` where the payload does not fit; `ChannelClosed` after `channel.close()`; and
   *   what else the channel refuses, or rejects
   */
  emit<T extends PublishableType<TriblerSchemas>>(
    type: T,
    ...payload: PayloadArguments<TriblerSchemas, T>
  ): Emitted<C> | undefined;

  /** Publishes `tribler_started`, which `events_start` reports from now on. Further calls have no effect. */
  start(): Completion<C>;

  /**
   * Publishes an error as `tribler_exception`. The first one raised while no client is connected waits for the next
   * client, and so does the first that a channel elsewhere does not take; the others can be had from history alone.
   *
   * @param error its stack, or whatever it has to say, becomes the event's `text`
   * @throws {EventsError} `ChannelClosed` after `channel.close()`, if a client is connected
   */
  exception(error: unknown): Completion<C>;

  /** Begins a new search: results published for the last one may be published again. */
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
  const published = new Set<string>();
  let started = false;
  let connected = 0;
  let undelivered: string | undefined;

  /** Returns the key by which a search result is published once; `null` if the family filter leaves it out. */
  function searchKey({ type, event }: Draft<TriblerSchemas>): string | null | undefined {
    if (type === "search_result_channel") return `channel ${event.result.dispersy_cid}`;
    if (type !== "search_result_torrent") return undefined;
    return familyFilter && event.result.category === "xxx" ? null : `torrent ${event.result.infohash}`;
  }

  function remember(key: string): void {
    published.add(key);
    if (published.size > MAX_PUBLISHED_KEYS) published.delete(published.values().next().value!);
  }

  /** Publishes as much of the text as the history can hold. */
  function publishException(text: string): void | Promise<void> {
    const publishLess = (error: unknown) => {
      const isTooLong = error instanceof EventsError && error.code === "InvalidEvent" && text !== "";
      if (!isTooLong) throw error;
      return publishException(text.slice(0, text.length / 2));
    };
    try {
      const id = channel.publish("tribler_exception", { text });
      if (id instanceof Promise) {
        return id.then(() => {}, publishLess).catch(() => void (undelivered ??= text));
      }
    } catch (error) {
      return publishLess(error);
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
      if (key === null || (key !== undefined && published.has(key))) return undefined;
      const ids = channel.publishBatch([draft]);
      if (key !== undefined) remember(key);
      if (!(ids instanceof Promise)) return ids[0]!;
      return ids.then(([id]) => id!, (error) => {
        if (key !== undefined) published.delete(key);
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
      if (connected === 0 && undelivered === undefined) undelivered = text;
      else return publishException(text);
    },
    startNewQuery: () => published.clear(),
    startPayload: (): StartOf<TriblerSchemas> => ({ tribler_started: started, version }),
    onConnect: () => {
      connected++;
      const text = undelivered;
      undelivered = undefined;
      if (text !== undefined && !channel.closed) publishException(text);
      return () => connected--;
    },
  };
  // Whether there are promises in it depends on the channel alone.
  return session as unknown as Session<Channel<TriblerSchemas>>;
}

/** Maximum number of results remembered of one query; beyond it the first ones may be published again. */
const MAX_PUBLISHED_KEYS = 100_000;

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.stack ?? String(error) : String(error);
  } catch {
    return Object.prototype.toString.call(error); // An object without a text of its own.
  }
}
