/**
 * The replica: what this process knows of the stream. Which it is, how far it goes, and its newest events.
 *
 * @module
 */
import type { JsMsg, StreamInfo } from "@nats-io/jetstream";
import type { Entry } from "../channel/channel.ts";
import { createHistory, type History } from "../channel/history.ts";
import { epochOf, firstOf, largestOf, madeOf } from "./stream.ts";

/** What is known of the stream. */
export interface Replica {
  /** Which stream it is: another one, where positions mean something else than before. */
  readonly epoch: string;
  /** The epoch that the stream itself has had last. */
  readonly known: string;
  /** Whether the stream has lost its end: nothing more of it is taken, until it has another epoch. */
  readonly hasLostEnd: boolean;
  /** The position of the oldest event that the stream keeps. */
  readonly first: number;
  /** The most bytes that the stream takes as one message, its header among them. */
  readonly largest: number;
  /** The newest events received. */
  readonly window: History;
  /** The position from which to read on: that of the newest event, if there is one. */
  readonly next: number;
  /** How far it has come: read before the stream is asked for the argument of {@linkcode Replica.applyInfo}. */
  readonly standing: Standing;
  /** Applies the state of the stream. */
  applyInfo(info: StreamInfo, before: Standing): void;
  /** Takes the next message of the stream. */
  take(message: JsMsg): void;
  /** The stream was seen to have lost its end. */
  markTruncated(): void;
  /** It has, and cannot be given another epoch: this copy gives it one of its own. */
  beginAlone(info: StreamInfo): void;
}

/** How far the copy had come, and of which stream. */
export interface Standing {
  readonly epoch: string;
  readonly last: number;
}

/** Options of {@linkcode createReplica}. */
export interface ReplicaOptions {
  /** How many events are held, and how many bytes of them. */
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** The event in a message; `undefined` where there is none. */
  entryOf(message: JsMsg, epoch: string): Entry | undefined;
  /** Called when there is more than before. */
  onNews(): void;
  /** Called when it is another stream from now on, with the reason. */
  onAnew(why: string): void;
  /** Called when a message shows that the stream has lost its end. */
  onLostEnd(): void;
  /** Called when the leader of the stream has less than before: what it delivers next shows whether that is lost. */
  onBehind(): void;
  /** Called with the first message that is no event: where there is one there may be many. */
  onInvalidMessage(message: JsMsg): void;
}

/** How long the new leader of a stream in a cluster may have less than was received from it. */
const CATCH_UP_MS = 2000;
const LOST = "has lost events that it had acknowledged";

/** Makes a replica that has come as far as the stream, and holds none of its events yet. */
export function createReplica(info: StreamInfo, options: ReplicaOptions): Replica {
  return new StreamReplica(info, options);
}

class StreamReplica implements Replica {
  readonly #options: ReplicaOptions;
  #known: string;
  #epoch: string;
  #first: number;
  #largest: number;
  #window: History;
  /** Whether the stream has lost its end, with what it had acknowledged, and may have given its numbers to others. */
  #hasLostEnd = false;
  /** Since when it has less than before, in `performance.now()`. */
  #behindSince: number | undefined;
  #isInvalidReported = false;

  constructor(info: StreamInfo, options: ReplicaOptions) {
    this.#options = options;
    this.#known = this.#epoch = epochOf(info);
    this.#first = firstOf(info);
    this.#largest = largestOf(info);
    this.#window = this.#emptyAfter(info.state.last_seq);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get first(): number {
    return this.#first;
  }

  get largest(): number {
    return this.#largest;
  }

  get window(): History {
    return this.#window;
  }

  get next(): number {
    return this.#newest()?.position ?? this.#window.last + 1;
  }

  get standing(): Standing {
    return { epoch: this.#epoch, last: this.#window.last };
  }

  get known(): string {
    return this.#known;
  }

  get hasLostEnd(): boolean {
    return this.#hasLostEnd;
  }

  markTruncated(): void {
    this.#hasLostEnd = true;
  }

  beginAlone(info: StreamInfo): void {
    this.#beginAnew(epochOf(info) + Date.now().toString(36), epochOf(info), info, LOST);
  }

  #emptyAfter(position: number): History {
    return createHistory(this.#options.maxEvents, this.#options.maxBytes, position);
  }

  /** Returns the newest event received, if the window holds it. */
  #newest(): Entry | undefined {
    return this.#window.read(this.#window.last - 1, 1).entries[0];
  }

  /**
   * @param before one that has less now has lost what it had acknowledged, and will give the same numbers again; an
   *   answer that was overtaken by another epoch says nothing
   */
  applyInfo(info: StreamInfo, before: Standing): void {
    if (this.#epoch !== before.epoch) return;
    const made = madeOf(info);
    if (made.startsWith("-")) return; // It is just being made, and has the year 1: the next refresh shows more.
    const now = epochOf(info);
    if (!this.#known.startsWith(made)) this.#beginAnew(now, now, info, "is another one than before");
    else if (now > this.#known) this.#beginAnew(now, now, info, LOST);
    else if (now === this.#known && info.state.last_seq >= before.last) this.#behindSince = undefined;
    else if (this.#isLoss(info)) this.#hasLostEnd = true;
    this.#first = Math.max(this.#first, firstOf(info));
    this.#largest = largestOf(info);
    this.#window.forgetBefore(this.#first);
    if (this.#first > this.#window.last + 1) {
      // Events deleted before this process received them are not delivered, but their positions are passed.
      this.#window = this.#emptyAfter(this.#first - 1);
      this.#options.onNews();
    }
  }

  /** Whether what the stream has less than before is lost, or only its new leader has not come as far yet. */
  #isLoss({ config }: StreamInfo): boolean {
    if (config.num_replicas === 1 || this.#newest() === undefined) return true;
    if (this.#behindSince === undefined) {
      this.#behindSince = performance.now();
      this.#options.onBehind();
    }
    return performance.now() - this.#behindSince > CATCH_UP_MS;
  }

  #beginAnew(next: string, ofStream: string, info: StreamInfo, why: string): void {
    this.#epoch = next;
    this.#known = ofStream;
    this.#hasLostEnd = false;
    this.#behindSince = undefined;
    this.#first = firstOf(info);
    this.#window = this.#emptyAfter(this.#first - 1);
    this.#options.onAnew(why);
  }

  take(message: JsMsg): void {
    const { seq } = message;
    if (this.#hasLostEnd || seq < this.#window.last) return;
    const entry = this.#options.entryOf(message, this.#epoch);
    if (seq === this.#window.last) {
      const known = this.#newest();
      if (known === undefined || known.json === entry?.json) return;
      this.#hasLostEnd = true;
      this.#options.onLostEnd();
      return;
    }
    if (entry === undefined) {
      this.#window = this.#emptyAfter(seq);
    } else {
      // Readers find in the pages what is missing between them.
      if (seq > this.#window.last + 1) this.#window = this.#emptyAfter(seq - 1);
      this.#window.push(entry);
    }
    this.#options.onNews();
    if (entry !== undefined || this.#isInvalidReported) return;
    this.#isInvalidReported = true;
    this.#options.onInvalidMessage(message);
  }
}
