/**
 * The writer: stores publications in the order of the calls, many of them in one commit.
 *
 * @module
 */
import { clearInterval, setImmediate, setInterval } from "node:timers";
import type { Entry } from "../channel/channel.ts";
import type { EntryWriter } from "../channel/entry_writer.ts";
import { erasedEntry } from "../channel/erased.ts";
import type { EncodedEvent } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import type { EventsFile } from "./file.ts";

/** Options of {@linkcode Writer}. */
export interface WriterOptions {
  /** Makes the entry of an event. */
  readonly writeEntry: EntryWriter;
  /** Whether a publication is acknowledged only when the disk has it. */
  readonly survivesPowerLoss: boolean;
  /** Called with events that were stored, before their publications are acknowledged. */
  onStored(entries: readonly Entry[]): void;
  /** Called when events cannot be stored, once for each reason. */
  onProblem(problem: Error): void;
}

/** A publication that waits to be stored. */
interface Publication {
  readonly events: readonly EncodedEvent[];
  /** The bytes of their JSON. */
  readonly bytes: number;
  readonly key: string | undefined;
  /** When it was published, in milliseconds since 1970. */
  readonly time: number;
  readonly resultOf: ResultOf<unknown>;
  readonly resolve: (result: never) => void;
  readonly reject: (error: EventsError) => void;
  /** The position of its first event, once it is written. */
  first: number;
}

/** Makes the result of a publication, from the position of its first event and the number of its events. */
type ResultOf<Result> = (first: number, count: number) => Result;

/**
 * Maximum number of events, and of the bytes of their JSON, that are written without a pause: some 3 ms. Publications share
 * a commit up to this; a larger one has pauses within its commit.
 */
const GROUP_EVENTS = 512;
const GROUP_BYTES = 512 * 1024;
/**
 * For how long what is published turn by turn is gathered before the next commit, in milliseconds. A commit writes whole pages:
 * with ten events it costs half of what they cost in all, with a hundred a fifth.
 */
const GATHER_MS = 3;
/** The interval at which a disk that rejected something is tried, in milliseconds. */
const PROBE_MS = 1000;

/** Stores publications in a file. */
export class Writer {
  readonly #file: EventsFile;
  readonly #options: WriterOptions;
  #queue: Publication[] = [];
  /** The number of events in the queue. */
  #queued = 0;
  /** When the last group was stored or rejected, as `performance.now()` has it. */
  #lastGroupAt = -Infinity;
  /** What runs between two commits. */
  readonly #steps: (() => unknown)[] = [];
  /** The last position that was stored. */
  #last: number;
  /**
   * What was stored when the disk failed to sync. Readers receive it once that has worked: after a loss of power the same positions
   * could name other events.
   */
  #unsynced: readonly Entry[] = [];
  /** Settles when the queue is empty; `undefined` while it is. */
  #running: Promise<void> | undefined;
  #isStoring = false;
  #isStopped = false;
  #problem: string | undefined;
  #prober: ReturnType<typeof setInterval> | undefined;
  /** Whether a probe waits for its turn, or runs. */
  #isProbing = false;

  constructor(file: EventsFile, options: WriterOptions) {
    this.#file = file;
    this.#options = options;
    this.#last = file.last;
  }

  /** The last position that was reported as stored: readers know of none after it. */
  get last(): number {
    return this.#last - this.#unsynced.length;
  }

  /** Whether everything published so far was stored or rejected. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#isStoring;
  }

  /** Runs a step on the file while nothing is being stored. An error is reported, and the disk is tried from then on. */
  between(step: () => unknown): void {
    this.#steps.push(step);
    this.#running ??= this.#run();
  }

  /** Describes why the last publication was not stored; `undefined` if it was, or could be now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Stores events, after those of all earlier calls; all or none. Without any it waits for those of earlier calls.
   *
   * What waits for a commit outlives the first garbage collection: a call allocates as little as possible.
   *
   * @param key the same key is stored only once within some minutes
   * @param resultOf makes the result; shared by all calls
   * @throws {EventsError} `ChannelUnavailable` if nothing was stored; `PublishUnconfirmed` if it may not survive
   */
  publish<Result>(
    events: readonly EncodedEvent[],
    key: string | undefined,
    resultOf: ResultOf<Result>,
  ): Promise<Result> {
    let bytes = 0;
    for (const event of events) bytes += event.bytes;
    this.#queued += events.length;
    return new Promise((resolve, reject) => {
      this.#queue.push({ events, bytes, key, time: Date.now(), resultOf, resolve, reject, first: 0 });
      this.#running ??= this.#run();
    });
  }

  /** Erases the events of a subject up to a position from those that wait for the disk. */
  erase(subject: string, until: number): void {
    this.#unsynced = this.#unsynced.map((entry) =>
      entry.subject === subject && entry.position <= until ? erasedEntry(entry.position, entry.time) : entry
    );
  }

  /** Waits until everything published so far was stored or rejected, and stops. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#prober);
    await this.#running;
  }

  async #run(): Promise<void> {
    for (await this.#gather(); this.#queue.length + this.#steps.length > 0; await this.#gather()) {
      const group = this.#takeGroup();
      if (group.length > 0) {
        this.#isStoring = true;
        await this.#storeOrReject(group);
        this.#isStoring = false;
        this.#lastGroupAt = performance.now();
      }
      try {
        await this.#steps.shift()?.();
      } catch (error) {
        this.#report(error);
      }
    }
    this.#running = undefined; // At once: what is published from here on runs again.
  }

  /** Waits for the end of this turn. In a flood it waits for what the next ones publish. */
  #gather(): Promise<void> {
    const until = this.#lastGroupAt + GATHER_MS;
    let seen = this.#queued;
    return new Promise((resolve) => {
      // In callbacks: an asynchronous loop would cost as much again as each turn.
      const look = () => {
        const isFlooded = this.#queued > seen && this.#queued < GROUP_EVENTS && performance.now() < until;
        if (!isFlooded) return resolve();
        seen = this.#queued;
        setImmediate(look);
      };
      setImmediate(look);
    });
  }

  async #storeOrReject(group: readonly Publication[]): Promise<void> {
    if (group.every(({ events }) => events.length === 0)) {
      for (const { resultOf, resolve } of group) resolve(resultOf(this.#last + 1, 0) as never);
      return;
    }
    try {
      this.#file.check();
      if (this.#file.isMergeDue) await this.#file.merge().catch((error) => this.#report(error));
      await this.#store(group);
    } catch (error) {
      const reason = this.#report(error);
      for (const publication of group) publication.reject(unavailable(reason, error));
    }
  }

  #takeGroup(): Publication[] {
    let [count, events, bytes] = [0, 0, 0];
    for (const publication of this.#queue) {
      const next = publication.events.length;
      bytes += publication.bytes;
      if (count > 0 && (events + next > GROUP_EVENTS || bytes > GROUP_BYTES)) break;
      events += next;
      count++;
    }
    this.#queued -= events;
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const group = this.#queue;
    this.#queue = [];
    return group;
  }

  /** Stores publications and acknowledges them. Throws if they were not stored. */
  async #store(group: readonly Publication[]): Promise<void> {
    if (this.#unsynced.length > 0) await this.#sync();
    const entries: Entry[] = [];
    await this.#write(group, entries);
    this.#last += entries.length;
    let failure: Error | undefined;
    if (this.#options.survivesPowerLoss) {
      this.#unsynced = entries;
      await this.#sync().catch((error) => failure = error);
    } else this.#options.onStored(entries);
    if (failure === undefined) this.#recover();
    const reason = failure === undefined ? "" : this.#report(failure);
    for (const { events, resultOf, resolve, reject, first } of group) {
      if (failure === undefined) resolve(resultOf(first, events.length) as never);
      else reject(unconfirmed(reason, failure));
    }
  }

  /** Waits until everything stored survives a loss of power, and reports it as stored then. */
  async #sync(): Promise<void> {
    await this.#file.sync();
    const entries = this.#unsynced;
    this.#unsynced = [];
    this.#options.onStored(entries);
  }

  /** Writes publications in one commit, and adds their entries to a list. */
  async #write(group: readonly Publication[], entries: Entry[]): Promise<void> {
    const file = this.#file;
    let [events, bytes] = [0, 0];
    file.begin();
    try {
      for (const publication of group) {
        const { key, time } = publication;
        const known = key === undefined ? undefined : file.publicationOf(key);
        const first = publication.first = known?.first ?? this.#last + entries.length + 1;
        if (known !== undefined) continue;
        for (let i = 0; i < publication.events.length; i++) {
          const event = publication.events[i]!;
          const sequence = this.#last + entries.length + 1;
          file.insert(sequence, time, event);
          entries.push(this.#options.writeEntry(event, file.epoch, sequence, time));
          events++;
          bytes += event.bytes;
          if (events > GROUP_EVENTS || bytes > GROUP_BYTES) {
            await nextTurn();
            [events, bytes] = [0, 0];
          }
        }
        if (key !== undefined) file.insertKey(key, { first, count: publication.events.length }, time);
      }
      file.commit();
    } catch (error) {
      file.rollback();
      throw error;
    }
  }

  /** Notes a failure, and tries the disk from then on. Returns the reason. */
  #report(error: unknown): string {
    const { message } = error as Error;
    if (this.#problem !== message) {
      this.#problem = message;
      this.#options.onProblem(new Error(`${this.#file.path}: ${message}`, { cause: error }));
    }
    if (this.#prober === undefined && !this.#isStopped) {
      this.#prober = setInterval(() => {
        if (this.#isProbing) return;
        this.#isProbing = true;
        this.between(() => this.#probe().finally(() => this.#isProbing = false));
      }, PROBE_MS);
      this.#prober.unref();
    }
    return `${this.#file.path}: ${message}`;
  }

  #recover(): void {
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    clearInterval(this.#prober);
    this.#prober = undefined;
  }

  async #probe(): Promise<void> {
    this.#file.check();
    if (this.#file.isMergeDue) await this.#file.merge();
    this.#file.probe();
    await this.#sync();
    this.#recover();
  }
}

/** Waits for the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function unavailable(reason: string, cause: unknown): EventsError {
  return new EventsError("ChannelUnavailable", `nothing was published: ${reason}: try again later`, {
    cause,
  });
}

function unconfirmed(reason: string, cause: unknown): EventsError {
  return new EventsError(
    "PublishUnconfirmed",
    `the events may not survive a loss of power: ${reason}: send the same again with the same Idempotency-Key`,
    { cause },
  );
}
