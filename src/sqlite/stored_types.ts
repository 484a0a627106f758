/**
 * The types of the events that were ever stored in a file: a catalogue of today may lack some of them.
 *
 * They are noted when the file is opened and closed, and not with their events: until the next merge a loss of power may
 * leave the table of events older than the log says, and that of the notes newer.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { TYPE_NOTE } from "./opening.ts";

/** Maximum number of types that are noted: an open catalogue has any number of them. */
const MAX_TYPES = 10_000;

/** The types that a file notes. */
export class StoredTypes {
  readonly #db: Database;
  readonly #all: Set<string>;
  readonly #noted: Set<string>;

  /**
   * @param noted those that the file notes
   * @param since the position of the last event when it was last opened or closed: a process that was killed has noted none
   *   of what follows
   */
  constructor(db: Database, noted: readonly string[], since: number) {
    this.#db = db;
    this.#noted = new Set(noted);
    this.#all = new Set([...noted, ...typesAfter(db, since)]);
  }

  /** Returns their names. */
  names(): readonly string[] {
    return [...this.#all];
  }

  /** Adds the type of an event that is stored. */
  add(type: string): void {
    if (!this.#all.has(type) && this.#all.size < MAX_TYPES) this.#all.add(type);
  }

  /** Notes what was added. */
  note(): void {
    const put = this.#db.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES (?, '')");
    for (const type of this.#all) if (!this.#noted.has(type)) put.run(TYPE_NOTE + type);
  }
}

function typesAfter(db: Database, position: number): string[] {
  const select = db.prepare("SELECT DISTINCT type FROM events WHERE sequence > ? AND type <> ''");
  try {
    return (select.all(position) as unknown as { readonly type: string }[]).map(({ type }) => type);
  } catch {
    return []; // The file is damaged there: reading the events reports that.
  }
}
