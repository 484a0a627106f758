/**
 * The disk: when what SQLite has written reaches it. SQLite writes to a log beside the file, which is merged into the file now
 * and then, and would wait for the disk at certain points. Here the system does that in another thread, so that the event loop
 * is never held: the order of the steps is the one of SQLite (its documentation, Write-Ahead Logging).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  closeSync,
  fdatasync,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { copyLog } from "./copy_log.ts";
import { type Database, rowOf } from "./database.ts";
import { scrub, writeAt } from "./scrub.ts";

/** The size of the log from which it is merged, in bytes: SQLite's own default of 1000 pages. It takes some 4 ms. */
const MERGE_BYTES = 4 * 1024 * 1024;
/** A log that was larger is shortened when it is merged. */
const MAX_LOG_BYTES = 2 * MERGE_BYTES;
/**
 * The log has a head with a salt, and then pages, each behind a head of its own. Those with another salt are of an earlier log
 * (documentation of SQLite, Database File Format, section 4.1).
 */
const LOG_HEAD = { bytes: 32, saltAt: 16 };
const PAGE_HEAD = { bytes: 24, saltAt: 8 };
const SALT_BYTES = 8;

/**
 * Switches a locked database to a log, with SQLite waiting for the disk itself, and checks that the file is as long as its head
 * says.
 *
 * @throws {Error}
 */
export function openLog(db: Database): void {
  const { journal_mode: mode } = rowOf<{ journal_mode: string }>(db, "PRAGMA journal_mode = WAL");
  if (mode !== "wal") throw new Error(`it cannot have a write-ahead log: ${mode}`);
  db.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL");
  checkpoint(db, "TRUNCATE");
  const { page_count: pages } = rowOf<{ page_count: number }>(db, "PRAGMA page_count");
  const { page_size: bytes } = rowOf<{ page_size: number }>(db, "PRAGMA page_size");
  const { size } = statSync(pathOf(db));
  if (size < pages * bytes) throw new Error(`malformed: it has ${size} of ${pages * bytes} bytes`);
}

/** The file and the log of a database on the disk. */
export class Disk {
  readonly #db: Database;
  /** The path as SQLite knows it: absolute, and without links. */
  readonly #path: string;
  /** Closed after the database: closing any descriptor of a file frees the locks that SQLite holds on it (POSIX). */
  readonly #file: number;
  readonly #log: number;
  readonly #place: { readonly ino: number; readonly dev: number };
  readonly #pageBytes: number;
  /** The bytes of the log from which it is merged. */
  #mergeAt = MERGE_BYTES;
  /** Whether the log is empty: SQLite would wait for the disk when it writes the head of it. */
  #isLogEmpty = false;
  /**
   * Why the disk did not take what was merged into the file; `undefined` if it did. SQLite takes the log for merged then, and with the
   * next commit it would begin the log anew, over the only copy that the disk has.
   */
  #mergeFailure: Error | undefined;

  /** From here on SQLite does not wait for the disk. The log has something in it. */
  constructor(db: Database) {
    this.#db = db;
    this.#path = pathOf(db);
    this.#log = openSync(`${this.#path}-wal`, "r+");
    this.#file = openSync(this.#path, "r+");
    this.#place = fstatSync(this.#file);
    this.#pageBytes = rowOf<{ page_size: number }>(db, "PRAGMA page_size").page_size;
    db.exec("PRAGMA synchronous = NORMAL");
  }

  /**
   * To be called before a transaction begins.
   *
   * @throws {Error} if the disk did not take what was merged into the file
   */
  beforeCommit(): void {
    if (this.#mergeFailure !== undefined) throw this.#mergeFailure;
    if (this.#isLogEmpty) this.#db.exec("PRAGMA synchronous = OFF");
  }

  /** To be called after a transaction was stored. */
  afterCommit(): void {
    if (!this.#isLogEmpty) return;
    this.#isLogEmpty = false;
    this.#db.exec("PRAGMA synchronous = NORMAL");
  }

  /** Waits until the log is on the disk. */
  sync(): Promise<void> {
    return sync(this.#log);
  }

  /**
   * Whether the log is large enough to be merged, or has to be merged before anything else can be stored. The size of its file says
   * nothing: the log begins anew in it.
   */
  get isMergeDue(): boolean {
    if (this.#mergeFailure !== undefined) return true;
    const bytes = PAGE_HEAD.bytes + this.#pageBytes;
    const page = LOG_HEAD.bytes + Math.floor(this.#mergeAt / bytes) * bytes;
    const salt = this.#readLog(page + PAGE_HEAD.saltAt);
    return salt.length === SALT_BYTES && salt.equals(this.#readLog(LOG_HEAD.saltAt));
  }

  /**
   * Merges the log into the file. Each step is on the disk before the next one begins: else a loss of power could leave the
   * file with half of it.
   */
  async merge(): Promise<void> {
    this.#mergeAt += MERGE_BYTES; // If a step fails, the log grows, and is merged later.
    await sync(this.#log);
    // A system that failed to write pages may have dropped them, and says nothing the next time.
    if (this.#mergeFailure !== undefined) await copyLog(this.#log, this.#file);
    else this.#withoutWaiting(() => checkpoint(this.#db, "PASSIVE"));
    await sync(this.#file).catch((error) => {
      this.#mergeFailure = error;
      throw error;
    });
    this.#mergeFailure = undefined;
    // SQLite begins anew with the next commit, and would wait for its new head to be on the disk: pages of the old log behind it
    // are of another salt, but with the old head some of them could be read. Without a head none can. To shorten the file of the
    // log instead would hold the event loop for 2 ms, and each commit would have to allocate space again.
    if (fstatSync(this.#log).size > MAX_LOG_BYTES) this.#shortenLog();
    else await writeAt(this.#log, Buffer.alloc(LOG_HEAD.bytes), 0);
    await sync(this.#log);
    this.#isLogEmpty = true;
    this.#mergeAt = MERGE_BYTES;
  }

  /**
   * Empties the log, and overwrites what SQLite has left in the pages of the file. The log must be merged, and nothing may be
   * stored meanwhile.
   */
  async scrub(): Promise<void> {
    this.#shortenLog();
    await sync(this.#log);
    const { page_count: pages } = rowOf<{ page_count: number }>(this.#db, "PRAGMA page_count");
    await scrub(this.#file, this.#pageBytes, pages);
    await sync(this.#file);
    this.#db.exec("PRAGMA shrink_memory"); // The pages that SQLite holds are those from before.
  }

  /**
   * Checks that file and log still stand where they were opened.
   *
   * @throws {Error}
   */
  check(): void {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (found?.ino !== this.#place.ino || found.dev !== this.#place.dev) {
      throw new Error("the file was removed or replaced");
    }
    if (fstatSync(this.#log).nlink === 0) throw new Error(`${this.#path}-wal was removed`);
  }

  /** Closes the database, and then its file and its log. */
  close(): void {
    const [log, kept] = [`${this.#path}-wal`, `${this.#path}-wal-kept`];
    // SQLite removes a log that it takes for merged.
    const isKept = this.#mergeFailure !== undefined && link(log, kept);
    try {
      this.#db.close();
      if (isKept) renameSync(kept, log);
    } finally {
      closeSync(this.#file);
      closeSync(this.#log);
    }
  }

  #shortenLog(): void {
    this.#withoutWaiting(() => checkpoint(this.#db, "TRUNCATE"));
  }

  #readLog(position: number): Buffer {
    const found = Buffer.alloc(SALT_BYTES);
    return found.subarray(0, readSync(this.#log, found, 0, SALT_BYTES, position));
  }

  #withoutWaiting(run: () => void): void {
    this.#db.exec("PRAGMA synchronous = OFF");
    try {
      run();
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }
}

/** Gives a file a second name. Returns whether it has one: some systems have no such names, or the file is gone. */
function link(path: string, name: string): boolean {
  try {
    rmSync(name, { force: true });
    linkSync(path, name);
    return true;
  } catch {
    return false;
  }
}

function pathOf(db: Database): string {
  return rowOf<{ file: string }>(db, "PRAGMA database_list").file;
}

/** Copies the log into the file; `TRUNCATE` empties it after that. */
function checkpoint(db: Database, mode: "PASSIVE" | "TRUNCATE"): void {
  const { busy, log, checkpointed } = rowOf<{ busy: number; log: number; checkpointed: number }>(
    db,
    `PRAGMA wal_checkpoint(${mode})`,
  );
  if (busy !== 0 || checkpointed !== log) throw new Error("the log cannot be merged into the file");
}

function sync(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) =>
    fdatasync(descriptor, (error) => error === null || error === undefined ? resolve() : reject(error))
  );
}
