/**
 * The session: the state of a Tribler core that its events endpoint shows, and the way its parts publish events.
 *
 * @module
 */
import type { Draft, PayloadArguments, PublishableType, Schemas } from "../events/catalogue.ts";
import {
  BOOLEAN,
  CATALOGUE,
  checkArgument,
  checkOptions,
  type Expected,
  OBJECT,
  STRING,
} from "../events/arguments.ts";
import { checkEvent, invalidEventError } from "../events/validate.ts";
import type { Channel } from "../channel/channel.ts";
import type { EventsSource } from "../http/options.ts";
import { type ChannelOptions, createChannel, type MemoryChannel } from "../channel/memory.ts";
import { createExceptions } from "./exceptions.ts";
import type { Dialect } from "../stream/dialects.ts";
import {
  type CoreState,
  type Generation,
  GENERATIONS,
  type GenerationSchemas,
  includesTypes,
} from "./generations.ts";
import { createSearches } from "./search_results.ts";

/** Options of {@linkcode createSession}. */
export interface SessionOptions<G extends Generation = "7.1"> extends ChannelOptions {
  /** The version that `events_start` reports. */
  readonly version: string;
  /** The generation of its events; default `"7.1"`. */
  readonly generation?: G;
  /** The public key that `events_start` reports from 7.12 on: hexadecimal digits; default empty. */
  readonly publicKey?: string;
  /** Whether torrents of the category `xxx` are left out of the search results of 7.1; default `true`, as in Tribler. */
  readonly familyFilter?: boolean;
}

/** What {@linkcode Session.emit} returns: the event's `id`, or for a channel that keeps its events elsewhere a promise. */
export type Emitted<C> = C extends { publish(...args: never[]): infer Id } ? Id : never;
/** Nothing, or for a channel that keeps its events elsewhere a promise of it. */
export type Completion<C> = Emitted<C> extends infer Id ? Id extends string ? void : Promise<void> : never;

/** A Tribler core, as far as its events endpoint is concerned. */
export interface Session<
  G extends Generation = "7.1",
  C extends Channel<GenerationSchemas[G]> = MemoryChannel<GenerationSchemas[G]>,
> extends EventsSource<GenerationSchemas[G]> {
  /** The channel that carries its events. */
  readonly channel: C;
  /** The generation of its events. */
  readonly generation: G;
  /** The version that `events_start` reports. */
  readonly version: string;
  /** Whether {@linkcode start} was called. */
  readonly started: boolean;

  /**
   * Publishes an event.
   *
   * The search results of 7.1 are published once for each query: a torrent by its infohash, a channel by its
   * `dispersy_cid`, until {@linkcode startNewQuery}. With the family filter on, torrents of the category `xxx` are left out.
   *
   * @returns the event's `id`; `undefined` for a search result that is not published
   * @throws {EventsError} `InvalidEvent` where the payload does not fit; `ChannelClosed` after `channel.close()`; and
   *   what else the channel refuses, or rejects
   */
  emit<T extends PublishableType<GenerationSchemas[G]>>(
    type: T,
    ...payload: PayloadArguments<GenerationSchemas[G], T>
  ): Emitted<C> | undefined;

  /**
   * Publishes `tribler_started`, which the `events_start` of 7.1 to 7.11 reports from now on; later generations have no
   * such event. Further calls have no effect.
   */
  start(): Completion<C>;

  /**
   * Publishes an error as `tribler_exception`. The first one raised while no client is connected waits for the next
   * client, and so does the first that a channel elsewhere does not take; the others are found in the history alone.
   *
   * @param error its stack and its message, or whatever text it has
   * @throws {EventsError} `ChannelClosed` after `channel.close()`, if a client is connected
   */
  exception(error: unknown): Completion<C>;

  /** Begins a new search: results published for the last one may be published again. */
  startNewQuery(): void;
}

const OPTIONS: Readonly<Record<keyof SessionOptions | "channel", Expected>> = {
  version: STRING,
  generation: STRING,
  publicKey: {
    text: "a string of hexadecimal digits",
    accepts: (value) => typeof value === "string" && /^[\da-f]*$/i.test(value),
  },
  familyFilter: BOOLEAN,
  history: OBJECT,
  keep: OBJECT,
  channel: {
    text: "a channel, as createChannel makes it",
    accepts: (value) => CATALOGUE.accepts((value as Partial<Channel<Schemas>> | null)?.catalogue),
  },
};

/**
 * Makes a session: a catalogue of Tribler's events, the channel that carries it, and the state `events_start` reports.
 *
 * @throws {TypeError} if there is no such option, or its value is of another kind
 * @throws {RangeError} if there is no such generation, or the channel's catalogue lacks types of it
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
 *
 * @example For the web interface of Tribler 8
 * ```ts
 * import { Hono } from "hono";
 * import { eventsEndpoint } from "events-endpoint";
 * import { createSession } from "events-endpoint/tribler";
 *
 * const session = createSession({ version: "8.3.1", generation: "8" });
 * const app = new Hono();
 * app.route("/api/events", eventsEndpoint(session, { dialect: "8" }));
 * session.emit("torrent_finished", { infohash: "ab".repeat(32), name: "Debian 12", hidden: false });
 * ```
 */
export function createSession<G extends Generation = "7.1">(options: SessionOptions<G>): Session<G>;
/** Makes a session on a channel that there is already. */
export function createSession<C extends Channel<GenerationSchemas[G]>, G extends Generation = "7.1">(
  options: Omit<SessionOptions<G>, keyof ChannelOptions> & { readonly channel: C },
): Session<G, C>;
export function createSession(
  options: SessionOptions<Generation> & { readonly channel?: Channel<Schemas> },
): unknown {
  checkOptions("createSession", options, OPTIONS);
  for (const name of ["history", "keep"] as const) {
    if (options.channel !== undefined && options[name] !== undefined) {
      throw new TypeError(`createSession: ${name} belongs to the channel: pass it where the channel is made`);
    }
  }
  checkArgument("createSession: version", options.version, STRING);
  const { generation = "7.1", familyFilter = true } = options;
  const facts = Object.hasOwn(GENERATIONS, generation) ? GENERATIONS[generation] : undefined;
  if (facts === undefined) {
    const names = Object.keys(GENERATIONS).join(", ");
    throw new RangeError(`generation must be one of ${names}, not ${JSON.stringify(generation)}`);
  }
  const channel: Channel<Schemas> = options.channel ??
    createChannel(facts.catalogue, channelOptionsOf(options));
  if (!includesTypes(channel.catalogue, facts.catalogue)) {
    throw new RangeError(`the catalogue of the channel lacks events of Tribler ${generation}`);
  }
  const state = {
    version: options.version,
    publicKey: options.publicKey ?? "",
    started: false,
    connected: 0,
  };
  const exceptions = createExceptions(channel, facts.exception);
  const searches = createSearches(familyFilter);
  return {
    channel,
    generation,
    version: state.version,
    get started() {
      return state.started;
    },
    emit: (type: string, event?: unknown) => {
      const draft = draftOf(type, event);
      const faults = checkEvent(facts.catalogue, type, event, 0);
      if (faults.length > 0) throw invalidEventError(faults, [draft]);
      const key = searches.keyOf(type, event);
      if (key === null || (key !== undefined && searches.has(key))) return undefined;
      const ids = channel.publishBatch([draft]);
      if (key !== undefined) searches.add(key);
      if (!(ids instanceof Promise)) return ids[0]!;
      return ids.then(([id]) => id!, (error) => {
        if (key !== undefined) searches.delete(key);
        throw error;
      });
    },
    start: () => {
      if (state.started) return;
      state.started = true;
      const event = facts.started?.(state);
      // An empty batch has the kind of result that the channel gives.
      const drafts = facts.started === undefined ? [] : [draftOf("tribler_started", event)];
      const ids = channel.publishBatch(drafts);
      if (ids instanceof Promise) return ids.then(() => {});
    },
    exception: (error: unknown) => exceptions.raise(error, state.connected > 0),
    startNewQuery: searches.startNew,
    startPayload: (dialect: Dialect = generation) => startFor(dialect, generation, state),
    onConnect: () => {
      state.connected++;
      exceptions.deliver();
      return () => state.connected--;
    },
  };
}

/**
 * What `events_start` says in a dialect. The front ends of 7.5 and later take the keys of their own generation; those of 7.1
 * and 7.4, and every other reader, skip what they do not know.
 */
function startFor(dialect: Dialect, generation: Generation, state: CoreState): unknown {
  const own = GENERATIONS[dialect].start(state);
  const isTolerant = dialect === "7.1" || dialect === "7.4";
  return isTolerant ? { ...own, ...GENERATIONS[generation].start(state) } : own;
}

function draftOf(type: string, event: unknown): Draft<Schemas> {
  return (event === undefined ? { type } : { type, event }) as Draft<Schemas>;
}

function channelOptionsOf({ history, keep }: ChannelOptions): ChannelOptions {
  return { ...(history !== undefined && { history }), ...(keep !== undefined && { keep }) };
}
