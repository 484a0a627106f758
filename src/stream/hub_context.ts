/**
 * The state of a hub, made once and shared by the functions that work on it.
 *
 * @module
 */
import type { EventLog } from "../channel/channel.ts";
import { type ChunkCache, createChunkCache } from "./chunk_cache.ts";
import { createHistoryChunks, type HistoryChunks } from "./history_chunks.ts";
import { createStats, type MutableStats } from "./stats.ts";
import type { Subscriber } from "./subscriber.ts";
import { createTurns, type Turns } from "./turns.ts";
import type { WireFormat } from "./wire_format.ts";

/** Options of a hub. */
export interface HubOptions {
  /**
   * The most seconds of silence before a stream carries a heartbeat, which may come an eighth earlier; `null` for no
   * heartbeats. Positions are reported all the same, at the pace of {@linkcode DEFAULT_HEARTBEAT_SECONDS}.
   */
  readonly heartbeat: number | null;
  /** Seconds without progress after which a client is disconnected, or at most a sixth later; `null` for never. */
  readonly stallTimeout: number | null;
  /** The most milliseconds that an event waits for others to go out with. */
  readonly maxDelay: number;
  /** Called with what the application's own code has thrown, or the log. */
  onError(error: unknown): void;
}

/** The default of seconds between two heartbeats. */
export const DEFAULT_HEARTBEAT_SECONDS = 5;

/** The most bytes of recent chunks that are kept for readers a little slower than the rest. */
const CACHE_BYTES = 8 * 1024 * 1024;
/** The most bytes of memory that older chunks and their events take, which are kept for readers that replay the same events. */
const HISTORY_CHUNKS_BYTES = 32 * 1024 * 1024;

/** The state of a hub. */
export interface HubContext {
  readonly log: EventLog;
  readonly format: WireFormat;
  readonly options: HubOptions;
  /** The bytes of a heartbeat; `undefined` if they are off, or the format has none. */
  readonly heartbeat: Uint8Array | undefined;
  /** Milliseconds of silence after which a stream is due for a heartbeat. */
  readonly heartbeatMs: number;
  /** Milliseconds without progress after which a client is disconnected; infinity for never. */
  readonly stallMs: number;
  readonly subscribers: Set<Subscriber>;
  readonly cache: ChunkCache;
  /** Chunks of what is older than the cache. */
  readonly history: HistoryChunks;
  /** The readers that are behind the cache, or long in it. */
  readonly turns: Turns<Subscriber>;
  readonly stats: MutableStats;
  /** The epoch of the pipeline's chunks and of the subscribers' positions; none before the first subscriber. */
  epoch: string;
  /** Whether the pipeline has delivered everything of a closed log. */
  hasEnded: boolean;
  /** How many times events were erased. */
  erasures: number;
  /** Ends the wait for erasures; it runs only while there are subscribers. */
  stopErasures: (() => void) | undefined;
  /** Stops the pipeline; it runs only while there are subscribers. */
  stopPipeline: (() => void) | undefined;
  /** The heartbeat timer; it runs only while there are subscribers. */
  timer: ReturnType<typeof setTimeout> | undefined;
  /** When that timer is to fire, in `performance.now()`. */
  timerDue: number;
}

/**
 * Makes the state of a hub that has no subscriber.
 *
 * @param giveTurn lets a subscriber read the next piece of the history
 */
export function createHubContext(
  log: EventLog,
  format: WireFormat,
  options: HubOptions,
  giveTurn: (subscriber: Subscriber) => void,
): HubContext {
  const { heartbeat } = options;
  return {
    log,
    format,
    options,
    heartbeat: heartbeat === null || format.heartbeat === ""
      ? undefined
      : new TextEncoder().encode(format.heartbeat),
    heartbeatMs: (heartbeat ?? DEFAULT_HEARTBEAT_SECONDS) * 1000,
    stallMs: options.stallTimeout === null ? Infinity : options.stallTimeout * 1000,
    subscribers: new Set(),
    cache: createChunkCache(format, CACHE_BYTES),
    history: createHistoryChunks(HISTORY_CHUNKS_BYTES),
    turns: createTurns(giveTurn),
    stats: createStats(),
    epoch: "",
    hasEnded: false,
    erasures: 0,
    stopErasures: undefined,
    stopPipeline: undefined,
    timer: undefined,
    timerDue: 0,
  };
}
