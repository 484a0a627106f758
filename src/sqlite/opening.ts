/**
 * The opening of a file: its lock, its tables, what it notes about itself, and the errors.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";
import { type Database, rowOf } from "./database.ts";

/** "EVTS" in ASCII: `file events.db` shows it. */
const APPLICATION_ID = 0x45565453;
/** The version of the tables, as `PRAGMA user_version` has it. A later release brings older ones up to date. */
const SCHEMA_VERSION = 1;
/** `publications` are those with a key; `first` is the position of their first event. */
const SCHEMA = `
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,
  time     TEXT NOT NULL,
  type     TEXT NOT NULL,
  subject  TEXT,
  json     TEXT
);
CREATE INDEX events_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE publications (
  first INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  time  TEXT NOT NULL,
  key   TEXT NOT NULL UNIQUE
);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;
/** Notes the position of the last event. */
export const NOTE_LAST: string = `
UPDATE meta SET value = max(CAST(value AS INTEGER), (SELECT coalesce(max(sequence), 0) FROM events)) WHERE name = 'last'`;
/** The size of the smallest database. */
export const LEAST_BYTES = 512;

/** Takes the lock that keeps all others out, before anything else is read, and checks what the file is. */
export function lock(db: Database): void {
  // The lock is held for as long as the file is open, and the system frees it when the process ends.
  db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  const { application_id: id } = rowOf<{ application_id: number }>(db, "PRAGMA application_id");
  const { user_version: version } = rowOf<{ user_version: number }>(db, "PRAGMA user_version");
  const { tables } = rowOf<{ tables: number }>(db, "SELECT count(*) AS tables FROM sqlite_schema");
  if (id === 0 && version === 0 && tables === 0) db.exec(SCHEMA);
  else if (id !== APPLICATION_ID) throw mismatch("it is a database of something else");
  else if (version > SCHEMA_VERSION) {
    throw mismatch(`a newer release of this package made it (version ${version}, not ${SCHEMA_VERSION})`);
  }
  db.exec("COMMIT");
}

/** Makes the error of a file that is something else. */
export function mismatch(reason: string): EventsError {
  return new EventsError("FileMismatch", reason);
}

/** What a file notes about itself. */
export interface Meta {
  /** The epoch of all positions. */
  readonly epoch?: string | undefined;
  /** The boot of the machine in which the file was opened for the durability "process", until it is closed. */
  readonly boot?: string | undefined;
  /** The position of the first event that is kept. */
  readonly first?: number | undefined;
  /** The position of the last event when the file was last opened or closed. */
  readonly last?: number | undefined;
  /** Whether events were erased. */
  readonly erased?: string | undefined;
}

/** The name of the note that there was an event of a type. */
export const TYPE_NOTE = "type:";

/**
 * Reads what a file notes about itself.
 *
 * @throws {EventsError} `FileDamaged` if its epoch is missing
 */
export function readMeta(db: Database): Meta & { readonly types: readonly string[] } {
  const rows = db.prepare("SELECT name, value FROM meta").all() as unknown as {
    name: string;
    value: string;
  }[];
  const { epoch, boot, first, last, erased } = Object.fromEntries(
    rows.map(({ name, value }) => [name, value]),
  );
  if (epoch === undefined && rows.length > 0 || epoch !== undefined && !/^[0-9a-z]{1,32}$/.test(epoch)) {
    throw new EventsError("FileDamaged", "it has no epoch");
  }
  const numberOf = (text: string | undefined) => text === undefined ? undefined : Number(text);
  const types = rows.filter(({ name }) => name.startsWith(TYPE_NOTE)).map(({ name }) =>
    name.slice(TYPE_NOTE.length)
  );
  return { epoch, boot, erased, first: numberOf(first), last: numberOf(last), types };
}

/** Notes something in a file; the boot is removed if there is none. */
export function writeMeta(db: Database, meta: Meta): void {
  const put = db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)");
  db.exec("BEGIN; DELETE FROM meta WHERE name = 'boot'");
  for (const [name, value] of Object.entries(meta)) if (value !== undefined) put.run(name, `${value}`);
  db.exec("COMMIT");
}

/** Makes an epoch that no file has. */
export function newEpoch(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}

/** Names the file in the error of a failed opening, and what it means. */
export function openingError(path: string, error: unknown): unknown {
  const { message } = error as Error;
  if (error instanceof EventsError && error.code !== "FileMismatch" && error.code !== "FileDamaged") {
    return error;
  }
  if (/\blocked\b/.test(message)) {
    return new EventsError(
      "FileInUse",
      `cannot open ${path}: it is open already, in another process or another channel of this one`,
      { cause: error },
    );
  }
  if (error instanceof EventsError) return new EventsError(error.code, `cannot open ${path}: ${message}`);
  if (/not a database/.test(message)) {
    return new EventsError(
      "FileMismatch",
      `cannot open ${path}: it is no database of SQLite, or its head is torn`,
      {
        cause: error,
      },
    );
  }
  if (/malformed/.test(message)) {
    return new EventsError("FileDamaged", `cannot open ${path}: it is damaged: ${message}`, { cause: error });
  }
  const hint = /unable to open|readonly|I\/O error/.test(message)
    ? ": this process must be able to write to the file and its folder"
    : "";
  return new EventsError("ChannelUnavailable", `cannot open ${path}: ${message}${hint}`, { cause: error });
}
