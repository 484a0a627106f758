/**
 * The trimmer: deletes the oldest events of a file that the channel no longer keeps, some at a time.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";
import type { RetentionLimits } from "../channel/retention.ts";
import type { EventsFile } from "./file.ts";
import type { Writer } from "./writer.ts";

/** Number of events that are deleted in one commit: some 2 ms. */
const STEP_EVENTS = 1000;
/** The interval at which the limits are checked, in milliseconds. They are also checked after each number of events above. */
const INTERVAL_MS = 1000;

/** Keeps a file within its limits. */
export class Trimmer {
  readonly #file: EventsFile;
  readonly #limits: RetentionLimits;
  readonly #writer: Writer;
  readonly #onTrimmed: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Number of events stored since the last check. */
  #stored = 0;
  #isRequested = false;
  #isStopped = false;

  /** @param onTrimmed called when older events were deleted */
  constructor(file: EventsFile, limits: RetentionLimits, writer: Writer, onTrimmed: () => void) {
    this.#file = file;
    this.#limits = limits;
    this.#writer = writer;
    this.#onTrimmed = onTrimmed;
    this.#timer = setInterval(() => this.#request(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** The position of the oldest event that is kept. The file may still have some before it. */
  firstOf(last: number): number {
    return Math.max(this.#file.first, last - this.#limits.maxEvents + 1);
  }

  /** Notes that this number of events was stored. */
  stored(count: number): void {
    this.#stored += count;
    if (this.#stored >= STEP_EVENTS) this.#request();
  }

  /** Deletes no more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#isStopped = true;
  }

  #request(): void {
    if (this.#isRequested || this.#isStopped) return;
    this.#isRequested = true;
    this.#stored = 0;
    this.#writer.between(() => {
      this.#isRequested = false;
      this.#step();
    });
  }

  #step(): void {
    const { last } = this.#writer;
    const limit = Math.min(this.#file.first + STEP_EVENTS, last + 1);
    const first = Math.min(this.#target(last, limit), limit);
    if (first <= this.#file.first) return;
    this.#file.deleteBefore(first);
    this.#onTrimmed();
    if (first === limit) this.#request();
  }

  /** Returns the position before which everything may go, as far as it is before the limit. */
  #target(last: number, limit: number): number {
    const { maxBytes, maxAgeMs } = this.#limits;
    const file = this.#file;
    let first = this.firstOf(last);
    if (maxAgeMs < Infinity) first = Math.max(first, file.firstSince(Date.now() - maxAgeMs, limit));
    if (maxBytes < Infinity) {
      const excess = file.usedBytes - maxBytes;
      const bytesEach = file.usedBytes / Math.max(1, last - file.first + 1);
      if (excess > 0) first = Math.max(first, file.first + Math.ceil(excess / bytesEach));
    }
    return first;
  }
}
