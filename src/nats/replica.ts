/**
 * The replica: the state of the stream as this process knows it, and its newest events.
 *
 * @module
 */
import type { JsMsg, StreamInfo } from "@nats-io/jetstream";
import type { Entry } from "../channel/channel.ts";
import { createHistory, type History } from "../channel/history.ts";
import type { Cursor } from "../events/cursor.ts";
import { createdOf, epochOf, firstOf, maxMessageBytesOf } from "./stream.ts";

/** The state of the stream as this process knows it. */
export interface Replica {
  /** The epoch of all positions: the stream's, or one of this process alone. */
  readonly epoch: string;
  /** The last known epoch of the stream itself. */
  readonly streamEpoch: string;
  /** Whether the stream has lost acknowledged events. Its messages are ignored until it has another epoch. */
  readonly isTruncated: boolean;
  /** The position of the oldest event that the stream keeps. */
  readonly first: number;
  /** Maximum number of bytes of a message in the stream, its headers included. */
  readonly maxMessageBytes: number;
  /** The newest events received. */
  readonly window: History;
  /** The position at which a consumer starts: that of the newest event in the window, which shows whether it is still the same. */
  readonly next: number;
  /** The last position received. Read it before the request for an argument of {@linkcode Replica.applyInfo}. */
  readonly cursor: Cursor;
  /**
   * Applies the state of the stream.
   *
   * @param before the cursor before the state was requested. A stream that has less than that lost acknowledged events. A state
   *   that was requested in another epoch is ignored.
   */
  applyInfo(info: StreamInfo, before: Cursor): void;
  /** Applies the next message of the stream. */
  take(message: JsMsg): void;
  /** Notes that the stream has lost acknowledged events. */
  markTruncated(): void;
  /** Starts an epoch of this process alone, for a truncated stream that cannot be given another one. */
  useLocalEpoch(info: StreamInfo): void;
}

/** Options of {@linkcode createReplica}. */
export interface ReplicaOptions {
  /** Maximum number of events in the window. */
  readonly maxEvents: number;
  /** Maximum number of their bytes. */
  readonly maxBytes: number;
  /** Decodes a message; `undefined` if it is not an event. */
  entryOf(message: JsMsg, epoch: string): Entry | undefined;
  /** Called when the last position has changed. */
  onNews(): void;
  /** Called when another epoch begins, with the reason. */
  onReset(reason: string): void;
  /** Called when a message shows that the stream has lost acknowledged events. */
  onTruncated(): void;
  /** Called when the leader of the stream has less than before: what it delivers next shows whether events are lost. */
  onBehind(): void;
  /** Called with the first message that is not an event. Later ones are not reported, because there may be many. */
  onInvalidMessage(message: JsMsg): void;
}

/** How long the new leader of a stream in a cluster may have less than its predecessor delivered. */
const CATCH_UP_MS = 2000;
const TRUNCATED = "lost acknowledged events";

/** Makes a replica that starts at the end of the stream, with an empty window. */
export function createReplica(info: StreamInfo, options: ReplicaOptions): Replica {
  return new StreamReplica(info, options);
}

class StreamReplica implements Replica {
  readonly #options: ReplicaOptions;
  #streamEpoch: string;
  #epoch: string;
  #first: number;
  #maxMessageBytes: number;
  #window: History;
  /** Whether the stream has lost acknowledged events, whose numbers it may have given to others. */
  #isTruncated = false;
  /** The `performance.now()` at which the stream was first seen to have less than before. */
  #behindSince: number | undefined;
  #isInvalidReported = false;

  constructor(info: StreamInfo, options: ReplicaOptions) {
    this.#options = options;
    this.#streamEpoch = this.#epoch = epochOf(info);
    this.#first = firstOf(info);
    this.#maxMessageBytes = maxMessageBytesOf(info);
    this.#window = this.#emptyAfter(info.state.last_seq);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get first(): number {
    return this.#first;
  }

  get maxMessageBytes(): number {
    return this.#maxMessageBytes;
  }

  get window(): History {
    return this.#window;
  }

  get next(): number {
    return this.#newest()?.position ?? this.#window.last + 1;
  }

  get cursor(): Cursor {
    return { epoch: this.#epoch, position: this.#window.last };
  }

  get streamEpoch(): string {
    return this.#streamEpoch;
  }

  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  markTruncated(): void {
    this.#isTruncated = true;
  }

  useLocalEpoch(info: StreamInfo): void {
    this.#resetToEpoch(epochOf(info) + Date.now().toString(36), info, TRUNCATED);
  }

  #emptyAfter(position: number): History {
    return createHistory(this.#options.maxEvents, this.#options.maxBytes, position);
  }

  /** Returns the newest event received, if the window holds it. */
  #newest(): Entry | undefined {
    return this.#window.read(this.#window.last - 1, 1).entries[0];
  }

  applyInfo(info: StreamInfo, before: Cursor): void {
    if (this.#epoch !== before.epoch) return;
    const created = createdOf(info);
    if (created.startsWith("-")) return; // A stream that is being created has the year 1: the next refresh shows more.
    const epoch = epochOf(info);
    const isSame = epoch === this.#streamEpoch;
    if (!this.#streamEpoch.startsWith(created)) this.#resetToEpoch(epoch, info, "was replaced");
    else if (epoch > this.#streamEpoch) this.#resetToEpoch(epoch, info, TRUNCATED);
    else if (isSame && info.state.last_seq >= before.position) this.#behindSince = undefined;
    else if (this.#hasLost(info)) this.#isTruncated = true;
    this.#first = Math.max(this.#first, firstOf(info));
    this.#maxMessageBytes = maxMessageBytesOf(info);
    this.#window.forgetBefore(this.#first);
    if (this.#first > this.#window.last + 1) {
      // Events deleted before this process received them are not delivered, but their positions are passed.
      this.#window = this.#emptyAfter(this.#first - 1);
      this.#options.onNews();
    }
  }

  /** Whether a stream that has less than before lost that, or its new leader may still catch up. */
  #hasLost({ config }: StreamInfo): boolean {
    if (config.num_replicas === 1 || this.#newest() === undefined) return true;
    if (this.#behindSince === undefined) {
      this.#behindSince = performance.now();
      this.#options.onBehind();
    }
    return performance.now() - this.#behindSince > CATCH_UP_MS;
  }

  #resetToEpoch(epoch: string, info: StreamInfo, reason: string): void {
    this.#epoch = epoch;
    this.#streamEpoch = epochOf(info);
    this.#isTruncated = false;
    this.#behindSince = undefined;
    this.#first = firstOf(info);
    this.#window = this.#emptyAfter(this.#first - 1);
    this.#options.onReset(reason);
  }

  take(message: JsMsg): void {
    const { seq } = message;
    if (this.#isTruncated || seq < this.#window.last) return;
    const entry = this.#options.entryOf(message, this.#epoch);
    if (seq === this.#window.last) {
      const newest = this.#newest();
      if (newest === undefined || newest.json === entry?.json) return;
      this.#isTruncated = true;
      this.#options.onTruncated();
      return;
    }
    if (entry === undefined) {
      this.#window = this.#emptyAfter(seq);
    } else {
      // Pages deliver, or report as lost, the events between them.
      if (seq > this.#window.last + 1) this.#window = this.#emptyAfter(seq - 1);
      this.#window.push(entry);
    }
    this.#options.onNews();
    if (entry !== undefined || this.#isInvalidReported) return;
    this.#isInvalidReported = true;
    this.#options.onInvalidMessage(message);
  }
}
