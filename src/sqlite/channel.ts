/**
 * The channel in a file, which outlives the process.
 *
 * @module
 */
import {
  type Batch,
  type Channel,
  type ChannelStats,
  type Entry,
  type ErasedEvents,
  locate,
  type Start,
} from "../channel/channel.ts";
import { createEntryWriter, type EntryWriter } from "../channel/entry_writer.ts";
import { createErasures, isErased, subjectToErase } from "../channel/erased.ts";
import { createHistory, type History } from "../channel/history.ts";
import { iterate } from "../channel/iterator.ts";
import { type HistoryLimits, historyLimits } from "../channel/limits.ts";
import { createPages, type Fetched, type HeldLog, type Pages, readHeld } from "../channel/pages.ts";
import {
  DEFAULT_BYTES,
  type Retention,
  type RetentionLimits,
  retentionLimits,
} from "../channel/retention.ts";
import { createPublishedCounts } from "../channel/published_counts.ts";
import { createWakeups } from "../channel/wakeups.ts";
import {
  CATALOGUE,
  checkArgument,
  checkOptions,
  type Expected,
  FUNCTION,
  OBJECT,
  STRING,
} from "../events/arguments.ts";
import type {
  Catalogue,
  Draft,
  PayloadArguments,
  PublishableType,
  PublishedEvent,
  Schemas,
} from "../events/catalogue.ts";
import { draftOf, encodeEvent, encodeEvents } from "../events/encode.ts";
import { EventsError } from "../events/errors.ts";
import { formatCursor } from "../events/cursor.ts";
import { entryOf } from "./entry.ts";
import { Eraser } from "./eraser.ts";
import { type Durability, EventsFile } from "./file.ts";
import { Trimmer } from "./trimmer.ts";
import { nextTurn, Writer } from "./writer.ts";

/** Options of {@linkcode sqliteChannel}. */
export interface SqliteChannelOptions {
  /**
   * What an acknowledged event survives. `"process"` (default): the end of the process, also by `kill -9`. `"power"`: a loss of
   * power too; each group of events that are published at the same time waits for the disk.
   */
  readonly durability?: Durability;
  /** What the file keeps; default 1 GiB. The bytes are those of the file, at least 64 KiB. */
  readonly keep?: Retention;
  /** Limits of the newest events that this process holds in memory; older ones are read from the file. */
  readonly history?: HistoryLimits;
  /** Called with errors that no pending call can report; default `console.error`. */
  readonly onProblem?: (problem: Error) => void;
}

const OPTIONS: Readonly<Record<keyof SqliteChannelOptions, Expected>> = {
  durability: {
    text: '"process" or "power"',
    accepts: (value) => value === "process" || value === "power",
  },
  keep: OBJECT,
  history: OBJECT,
  onProblem: FUNCTION,
};

/** A channel whose events are stored in a file. */
export interface SqliteChannel<S extends Schemas = Schemas> extends Channel<S> {
  /** Publishes one event; resolves once the file has it: see {@linkcode Channel.publish}. */
  publish<T extends PublishableType<S>>(type: T, ...payload: PayloadArguments<S, T>): Promise<string>;
  /**
   * Publishes several events in a row, all or none; resolves once the file has them: see {@linkcode Channel.publishBatch}. Events
   * with the same key are stored only once within ten minutes.
   */
  publishBatch(drafts: readonly Draft<S>[], key?: string): Promise<string[]>;
  /**
   * Erases every event of a subject, also from the log of the file, and from its free pages: see {@linkcode Channel.erase}.
   */
  erase(events: ErasedEvents): Promise<number>;
  /** Ends the channel: see {@linkcode EventLog.close}. Resolves once the file is closed, and can be opened again. */
  close(): Promise<void>;
}

/**
 * Makes a channel in a file, which continues where the last process left it: with its events, its epoch and its cursors.
 *
 * The file is a database of SQLite with one table of events; a log stands beside it while it is open (`FILE-wal`). One channel
 * at a time can open it.
 *
 * @param file the path of the file, which is created if it does not exist
 * @param catalogue the event types of the channel
 * @throws {EventsError} `RuntimeNotSupported` before Node 22.13, Deno 2.2 and Bun 1.4; `FileInUse` if the file is open already;
 *   `FileMismatch` if it is something else; `FileDamaged` if it is torn; `ChannelUnavailable` if it cannot be opened
 * @throws {TypeError} if there is no such option, or its value is of another kind
 * @throws {RangeError} if a limit is too small or not a whole number
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { defineEvents } from "events-endpoint";
 * import { sqliteChannel } from "events-endpoint/sqlite";
 *
 * const channel = await sqliteChannel("events.db", defineEvents({ tick: v.object({ n: v.number() }) }));
 * await channel.publish("tick", { n: 1 });
 * await channel.close();
 * ```
 */
export async function sqliteChannel<S extends Schemas>(
  file: string,
  catalogue: Catalogue<S>,
  options: SqliteChannelOptions = {},
): Promise<SqliteChannel<S>> {
  checkArgument("sqliteChannel: the file", file, FILE);
  checkArgument("sqliteChannel: the catalogue", catalogue, CATALOGUE);
  checkOptions("sqliteChannel", options, OPTIONS);
  const limits = historyLimits(options.history);
  const keep = retentionLimits({ bytes: DEFAULT_BYTES, ...options.keep }, LEAST_BYTES);
  const opened = await EventsFile.open(file, options.durability ?? "process");
  return new FileChannel(opened, catalogue, limits, keep, options);
}

const FILE: Expected = {
  text: "the path of a file",
  accepts: (value) => STRING.accepts(value) && value !== "",
};

/** The events of a page: reading one keeps the event loop busy for about a millisecond. */
const PAGE_EVENTS = 1024;

/** What an empty file and its tables take, and some events. */
const LEAST_BYTES = 64 * 1024;

class FileChannel<S extends Schemas> implements SqliteChannel<S>, HeldLog {
  readonly catalogue: Catalogue<S>;
  readonly window: History;
  readonly pages: Pages;
  readonly #file: EventsFile;
  readonly #maxEventBytes: number;
  readonly #writeEntry: EntryWriter;
  readonly #writer: Writer;
  readonly #trimmer: Trimmer;
  readonly #eraser: Eraser;
  readonly #wakeups = createWakeups();
  readonly #erasures = createErasures();
  readonly #published: ReturnType<typeof createPublishedCounts>;
  readonly #onProblem: (problem: Error) => void;
  readonly #idOf = (position: number): string => formatCursor(this.epoch, position);
  readonly #idsOf = (first: number, count: number): string[] =>
    Array.from({ length: count }, (_, index) => this.#idOf(first + index));
  /** Why events cannot be read, and the position after which. */
  #unreadable: { readonly after: number; readonly message: string } | undefined;
  /** Settles when the file is closed. */
  #closing: Promise<void> | undefined;
  /** Whether all that was published before {@linkcode close} is stored: readers end only after that. */
  #isDrained = false;

  constructor(
    file: EventsFile,
    catalogue: Catalogue<S>,
    { maxEvents, maxBytes }: { readonly maxEvents: number; readonly maxBytes: number },
    keep: RetentionLimits,
    { durability, onProblem = console.error }: SqliteChannelOptions,
  ) {
    this.catalogue = catalogue;
    this.window = createHistory(maxEvents, maxBytes, file.last);
    this.pages = createPages({
      pageEvents: PAGE_EVENTS,
      fetch: (after, last) => this.#fetch(after, last),
      refresh: () => Promise.resolve(), // What is missing in the file is known to be gone.
    });
    this.#file = file;
    this.#maxEventBytes = maxBytes;
    this.#writeEntry = createEntryWriter(catalogue.types);
    this.#onProblem = onProblem;
    this.#published = createPublishedCounts(catalogue.types);
    this.#writer = new Writer(file, {
      writeEntry: this.#writeEntry,
      survivesPowerLoss: durability === "power",
      onStored: (entries) => this.#take(entries),
      onProblem: (problem) => this.#report(problem),
    });
    this.#eraser = new Eraser(file, this.#writer);
    this.#trimmer = new Trimmer(file, keep, this.#writer, () => this.window.forgetBefore(this.first));
  }

  get epoch(): string {
    return this.#file.epoch;
  }

  get first(): number {
    return this.#trimmer.firstOf(this.window.last);
  }

  get last(): number {
    return this.window.last;
  }

  get hasErased(): boolean {
    return this.#file.hasErased;
  }

  get storedTypes(): readonly string[] {
    return this.#file.types;
  }

  get closed(): boolean {
    return this.#isDrained;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get problem(): string | undefined {
    return this.#closing !== undefined ? undefined : this.#writer.problem ?? this.#unreadable?.message;
  }

  read(position: number, maxBytes: number): Batch | Promise<Batch> {
    return readHeld(this, position, maxBytes);
  }

  locate(since: string): Start {
    return locate(this, since);
  }

  batches(since: string = "latest"): AsyncIterableIterator<Batch> {
    return iterate(this, since, this.#wakeups.listen, this.#wakeups.leave);
  }

  publish<T extends PublishableType<S>>(
    type: T,
    ...[payload, options]: PayloadArguments<S, T>
  ): Promise<string> {
    try {
      this.#checkOpen();
      const event = encodeEvent(this.catalogue, draftOf(type, payload, options), this.#maxEventBytes);
      this.#checkOpen(); // What was published may have getters.
      return this.#writer.publish([event], undefined, this.#idOf);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  publishBatch(drafts: readonly Draft<S>[], key?: string): Promise<string[]> {
    try {
      this.#checkOpen();
      const events = encodeEvents(this.catalogue, drafts, this.#maxEventBytes, key);
      this.#checkOpen(); // As above.
      return events.length === 0 ? Promise.resolve([]) : this.#writer.publish(events, key, this.#idsOf);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async erase(events: ErasedEvents): Promise<number> {
    const subject = subjectToErase(events);
    this.#checkOpen();
    return await this.#eraser.erase({
      subject,
      first: this.first,
      onErased: async (until) => {
        this.window.erase(subject, until);
        this.#writer.erase(subject, until);
        this.pages.refetch();
        this.#erasures.report();
        while (this.window.detachTexts()) await nextTurn();
      },
    });
  }

  onErase(listener: () => void): () => void {
    return this.#erasures.listen(listener);
  }

  parse({ json }: Entry): PublishedEvent<S> {
    return JSON.parse(json);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  stats(): ChannelStats {
    const { window } = this;
    return {
      events: window.size,
      bytes: window.bytes,
      published: this.#published.read(),
      readers: this.#wakeups.size,
    };
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) {
      throw new EventsError("ChannelClosed", "the channel was closed: it takes no more events");
    }
  }

  #take(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.window.push(entry);
      if (!isErased(entry)) this.#published.count(entry.type);
    }
    this.window.forgetBefore(this.first);
    this.#trimmer.stored(entries.length);
    this.#wakeups.wake();
  }

  async #fetch(after: number, last: number): Promise<Fetched | undefined> {
    await nextTurn(); // Other readers, and what is published, have a turn between two pages.
    if (this.closed) return undefined;
    try {
      const { rows, isCut } = this.#file.read(after, last);
      if (this.#unreadable?.after === after) this.#unreadable = undefined;
      const entries = rows.map((row) => entryOf(row, this.epoch, this.#writeEntry));
      return { last: isCut ? entries.at(-1)!.position : last, entries, isCut };
    } catch (error) {
      throw this.#unreadableError(after, error);
    }
  }

  #unreadableError(after: number, error: unknown): EventsError {
    const { path } = this.#file;
    const message = error instanceof EventsError
      ? error.message
      : `the events after position ${after} cannot be read from ${path}: ${(error as Error).message}`;
    if (this.#unreadable?.after !== after) this.#report(new Error(message, { cause: error }));
    this.#unreadable = { after, message };
    return new EventsError("ChannelUnavailable", message, { cause: error });
  }

  /** Reports a problem. A listener that throws must not break off what is being stored. */
  #report(problem: Error): void {
    try {
      this.#onProblem(problem);
    } catch (error) {
      console.error(error);
    }
  }

  async #close(): Promise<void> {
    this.#isDrained = this.#writer.isIdle;
    this.#wakeups.wake();
    this.#trimmer.stop();
    await this.#writer.stop();
    this.#isDrained = true;
    this.pages.clear();
    this.#wakeups.wake();
    await this.#file.close();
  }
}
