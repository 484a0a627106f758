/**
 * The file: one table of events, in which a person can read with `sqlite3`, and what belongs to it.
 *
 * @module
 */
import { statSync } from "node:fs";
import type { StatementSync } from "node:sqlite";
import type { EncodedEvent } from "../events/encode.ts";
import { bootId } from "./boot.ts";
import { type Database, openDatabase, rowOf } from "./database.ts";
import { Disk, openLog } from "./disk.ts";
import type { Range } from "./entry.ts";
import { Inserter } from "./inserter.ts";
import { RangeReader } from "./range_reader.ts";
import { StoredTypes } from "./stored_types.ts";
import {
  LEAST_BYTES,
  lock,
  mismatch,
  newEpoch,
  NOTE_LAST,
  openingError,
  readMeta,
  writeMeta,
} from "./opening.ts";

/** What an acknowledged event survives: the end of the process, or the end of the power as well. */
export type Durability = "process" | "power";

/** A publication that was stored under a key. */
export interface StoredPublication {
  /** The position of its first event. */
  readonly first: number;
  /** The number of its events. */
  readonly count: number;
}

/** How long a key is kept, in milliseconds. */
const KEY_MS = 10 * 60_000;

/** An open file of events, which nothing else can open. All calls are synchronous but those that wait for the disk. */
export class EventsFile {
  /** The path, as messages name it. */
  readonly path: string;
  /** The epoch of all positions. */
  readonly epoch: string;
  /** The position of the newest event when the file was opened; 0 before the first. */
  readonly last: number;
  #first: number;
  #hasErased: boolean;
  readonly #types: StoredTypes;
  readonly #db: Database;
  readonly #disk: Disk;
  readonly #used: StatementSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #inserter: Inserter;
  readonly #reader: RangeReader;
  readonly #since: StatementSync;
  readonly #delete: StatementSync;
  readonly #selectKey: StatementSync;
  readonly #insertKey: StatementSync;
  readonly #deleteKeys: StatementSync;
  readonly #erase: StatementSync;

  /**
   * Opens a file, and creates it if it does not exist.
   *
   * @throws {EventsError} `FileInUse` if it is open already, `FileMismatch` if it is something else, `FileDamaged` if it is torn,
   *   `ChannelUnavailable` if it cannot be opened
   */
  static async open(path: string, durability: Durability): Promise<EventsFile> {
    let db: Database | undefined;
    try {
      // SQLite would take what is left of a torn head for a new database.
      const { size = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
      if (size > 0 && size < LEAST_BYTES) throw mismatch("it is no database of SQLite, or its head is torn");
      // A name such as ":memory:" or "file:…" has no meaning of its own.
      db = await openDatabase(/^[/\\]|^[a-z]:[/\\]/i.test(path) ? path : `./${path}`);
      lock(db);
      return new EventsFile(db, path, durability);
    } catch (error) {
      try {
        db?.close();
      } catch {
        // The first error says why.
      }
      throw openingError(path, error);
    }
  }

  private constructor(db: Database, path: string, durability: Durability) {
    this.path = path;
    this.#db = db;
    openLog(db);
    // What is deleted is overwritten, also in pages that are free then: `scrub` needs not look at it. The copies that SQLite
    // takes of pages while it changes several rows must not reach a file.
    db.exec("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY");
    const meta = readMeta(db);
    const boot = bootId();
    // After a loss of power the last events may be missing, and their positions are used again.
    const isSame = meta.boot === undefined || meta.boot === boot;
    this.epoch = isSame && meta.epoch !== undefined ? meta.epoch : newEpoch();
    const { oldest, newest } = rowOf<{ oldest: number | null; newest: number | null }>(
      db,
      // SQLite looks at the ends of the table only if each is a query of its own.
      "SELECT (SELECT min(sequence) FROM events) AS oldest, (SELECT max(sequence) FROM events) AS newest",
    );
    this.#first = Math.max(oldest ?? 1, meta.first ?? 1);
    this.#hasErased = meta.erased !== undefined;
    // Newer events than the table has are gone, and are reported as lost: a page may be damaged so that SQLite does not see it.
    this.last = Math.max(newest ?? 0, this.#first - 1, meta.last ?? 0);
    this.#types = new StoredTypes(db, meta.types, meta.last ?? 0);
    this.#types.note();
    writeMeta(db, { epoch: this.epoch, boot: durability === "process" ? boot : undefined, last: this.last });
    this.#used = db.prepare(
      "SELECT (page_count - freelist_count) * page_size AS bytes " +
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    );
    this.#begin = db.prepare("BEGIN");
    this.#commit = db.prepare("COMMIT");
    this.#inserter = new Inserter(db);
    this.#reader = new RangeReader(db, path);
    this.#since = db.prepare("SELECT min(sequence) AS first FROM events WHERE sequence < ? AND time >= ?");
    this.#delete = db.prepare("DELETE FROM events WHERE sequence < ?");
    this.#selectKey = db.prepare("SELECT first, count FROM publications WHERE key = ?");
    this.#insertKey = db.prepare("INSERT INTO publications (first, count, time, key) VALUES (?, ?, ?, ?)");
    this.#deleteKeys = db.prepare(
      "DELETE FROM publications WHERE first <= (SELECT max(first) FROM " +
        "(SELECT first, time FROM publications ORDER BY first LIMIT 100) WHERE time < ?)",
    );
    this.#erase = db.prepare(
      "UPDATE events SET type = '', subject = NULL, json = NULL WHERE sequence IN " +
        "(SELECT sequence FROM events WHERE subject = ? AND sequence <= ? LIMIT ?) RETURNING sequence",
    );
    this.#disk = new Disk(db);
  }

  /** The position of the oldest event; one after the last if there is none. */
  get first(): number {
    return this.#first;
  }

  /** The bytes of the file that are in use: what was deleted leaves room for new events. */
  get usedBytes(): number {
    return (this.#used.get() as unknown as { readonly bytes: number }).bytes;
  }

  /** Returns the position of the first event from a time on, in milliseconds since 1970; at most the limit. */
  firstSince(time: number, limit: number): number {
    const { first } = this.#since.get(limit, new Date(time).toISOString()) as unknown as {
      first: number | null;
    };
    return first ?? limit;
  }

  /** Deletes the events before a position. */
  deleteBefore(position: number): void {
    this.begin();
    try {
      this.#delete.run(position);
      this.#db.exec(`INSERT OR REPLACE INTO meta (name, value) VALUES ('first', '${position}')`);
      this.commit();
    } catch (error) {
      this.rollback();
      throw error;
    }
    this.#first = position;
  }

  /**
   * Erases events of a subject up to a position, at most this number. Their rows stay. The log holds them until it is merged.
   *
   * @returns their positions
   */
  erase(subject: string, until: number, limit: number): number[] {
    this.begin();
    try {
      const erased = this.#erase.all(subject, until, limit) as unknown as { readonly sequence: number }[];
      if (!this.#hasErased) {
        this.#db.exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('erased', 'true')");
      }
      this.commit();
      this.#hasErased = true;
      return erased.map(({ sequence }) => sequence);
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Merges the log into the file, and overwrites what SQLite has left in its pages. Nothing may be stored meanwhile. */
  async scrub(): Promise<void> {
    await this.#disk.merge();
    await this.#disk.scrub();
  }

  /** Whether events were erased. */
  get hasErased(): boolean {
    return this.#hasErased;
  }

  /** Begins to store events. */
  begin(): void {
    this.#disk.beforeCommit();
    this.#begin.run();
  }

  /** Adds an event, which was published at a time in milliseconds since 1970. */
  insert(sequence: number, time: number, event: EncodedEvent): void {
    this.#types.add(event.type);
    this.#inserter.insert(sequence, time, event);
  }

  /** The types of the events that were ever stored. */
  get types(): readonly string[] {
    return this.#types.names();
  }

  /** Returns the publication that was stored with a key, if it is still known. */
  publicationOf(key: string): StoredPublication | undefined {
    return this.#selectKey.get(key) as unknown as StoredPublication | undefined;
  }

  /** Adds the key of a publication, and removes some that have expired. */
  insertKey(key: string, { first, count }: StoredPublication, time: number): void {
    this.#deleteKeys.run(new Date(time - KEY_MS).toISOString());
    this.#insertKey.run(first, count, new Date(time).toISOString(), key);
  }

  /** Stores what was added since {@linkcode begin}: from here on it survives the end of the process. */
  commit(): void {
    this.#inserter.flush();
    this.#commit.run();
    this.#disk.afterCommit();
  }

  /** Discards what was added since {@linkcode begin}. */
  rollback(): void {
    this.#inserter.clear();
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has done so itself, as it does when the disk is full.
    }
  }

  /** Waits until everything stored survives a loss of power. */
  sync(): Promise<void> {
    return this.#disk.sync();
  }

  /** Whether the log beside the file is to be merged into it, by {@linkcode merge}, before the next commit. */
  get isMergeDue(): boolean {
    return this.#disk.isMergeDue;
  }

  /** Merges the log into the file. Nothing may be stored meanwhile. */
  merge(): Promise<void> {
    return this.#disk.merge();
  }

  /** Stores something that changes nothing, to see whether the disk accepts it. */
  probe(): void {
    this.begin();
    try {
      this.#db.exec("UPDATE meta SET value = value WHERE name = 'epoch'");
      this.commit();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Checks that the file still stands where it was opened: what is stored in a removed file would be gone.
   *
   * @throws {Error}
   */
  check(): void {
    this.#disk.check();
  }

  /**
   * Reads the events after a position up to another, or to one before it if they are large.
   *
   * @throws {EventsError} `FileDamaged` if the file is damaged there
   */
  read(after: number, last: number): Range {
    return this.#reader.read(after, last);
  }

  /** Merges the log into the file, and closes both. */
  async close(): Promise<void> {
    try {
      await this.#disk.merge();
      // From here on the file alone holds everything, however the machine ends.
      this.#db.exec("PRAGMA synchronous = FULL; BEGIN");
      this.#types.note();
      this.#db.exec(
        `DELETE FROM meta WHERE name = 'boot'; ${NOTE_LAST}; COMMIT`,
      );
    } catch {
      // The disk is full or gone: the log stays, and the next opening reads it.
    }
    this.#disk.close();
  }
}
