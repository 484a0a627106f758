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
  /** The newest events that were told. */
  readonly window: History;
  /** The position from which it has to be told what follows: where there is one that of the newest event. */
  readonly next: number;
  /** How far it has come: taken before the stream is asked for what {@linkcode Replica.applyInfo} is told. */
  readonly standing: Standing;
  /** Learns what has become of the stream. */
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
  /** Called when the leader of the stream has less than before: what it tells next shows whether that is lost. */
  onBehind(): void;
  /** Called with the first message that is no event: where there is one there may be many. */
  onInvalidMessage(message: JsMsg): void;
}

/** So long the new leader of a stream in a cluster may have less than was told of it, in milliseconds. */
const CATCH_UP_MS = 2000;
const LOST = "has lost events that it had acknowledged";

/** Makes a copy that has come as far as the stream, and holds nothing of it yet. */
export function createReplica(info: StreamInfo, options: ReplicaOptions): Replica {
  const { maxEvents, maxBytes, entryOf, onNews, onAnew, onLostEnd, onBehind, onInvalidMessage } = options;
  let known = epochOf(info);
  let epoch = known;
  let first = firstOf(info);
  let largest = largestOf(info);
  let window = emptyAfter(info.state.last_seq);
  /** Whether the stream has lost its end, with what it had acknowledged, and may have given its numbers to others. */
  let hasLostEnd = false;
  /** Since when it has less than before, in `performance.now()`. */
  let behindSince: number | undefined;
  let isInvalidReported = false;

  function emptyAfter(position: number): History {
    return createHistory(maxEvents, maxBytes, position);
  }

  /** The newest event that was told, where the window holds it. */
  function newest(): Entry | undefined {
    return window.read(window.last - 1, 1).entries[0];
  }

  /**
   * @param before one that has less now has lost what it had acknowledged, and will give the same numbers again; an
   *   answer that was overtaken by another epoch says nothing
   */
  function applyInfo(info: StreamInfo, before: Standing): void {
    if (epoch !== before.epoch) return;
    const made = madeOf(info);
    if (made.startsWith("-")) return; // It is just being made, and has the year 1: the next look will tell.
    const now = epochOf(info);
    if (!known.startsWith(made)) beginAnew(now, now, info, "is another one than before");
    else if (now > known) beginAnew(now, now, info, LOST);
    else if (now === known && info.state.last_seq >= before.last) behindSince = undefined;
    else if (isLoss(info)) hasLostEnd = true;
    first = Math.max(first, firstOf(info));
    largest = largestOf(info);
    window.forgetBefore(first);
    if (first > window.last + 1) {
      // What went before this process was told of it is told nobody: it has come as far as that all the same.
      window = emptyAfter(first - 1);
      onNews();
    }
  }

  /** Whether what the stream has less than before is lost, or only its new leader has not come as far yet. */
  function isLoss({ config }: StreamInfo): boolean {
    if (config.num_replicas === 1 || newest() === undefined) return true;
    if (behindSince === undefined) {
      behindSince = performance.now();
      onBehind();
    }
    return performance.now() - behindSince > CATCH_UP_MS;
  }

  function beginAnew(next: string, ofStream: string, info: StreamInfo, why: string): void {
    epoch = next;
    known = ofStream;
    hasLostEnd = false;
    behindSince = undefined;
    first = firstOf(info);
    window = emptyAfter(first - 1);
    onAnew(why);
  }

  function take(message: JsMsg): void {
    const { seq } = message;
    if (hasLostEnd || seq < window.last) return;
    const entry = entryOf(message, epoch);
    if (seq === window.last) {
      const told = newest();
      if (told === undefined || told.json === entry?.json) return;
      hasLostEnd = true;
      onLostEnd();
      return;
    }
    if (entry === undefined) {
      window = emptyAfter(seq);
    } else {
      // What is missing between them is told by the pages.
      if (seq > window.last + 1) window = emptyAfter(seq - 1);
      window.push(entry);
    }
    onNews();
    if (entry !== undefined || isInvalidReported) return;
    isInvalidReported = true;
    onInvalidMessage(message);
  }

  return {
    get epoch() {
      return epoch;
    },
    get first() {
      return first;
    },
    get largest() {
      return largest;
    },
    get window() {
      return window;
    },
    get next() {
      return newest()?.position ?? window.last + 1;
    },
    get standing() {
      return { epoch, last: window.last };
    },
    get known() {
      return known;
    },
    get hasLostEnd() {
      return hasLostEnd;
    },
    applyInfo,
    take,
    beginAlone: (info) => beginAnew(epochOf(info) + Date.now().toString(36), epochOf(info), info, LOST),
    markTruncated: () => {
      hasLostEnd = true;
    },
  };
}
