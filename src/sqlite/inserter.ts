/**
 * The inserter: adds events to the table of a file, several of them with one statement.
 *
 * @module
 */
import type { StatementSync } from "node:sqlite";
import type { EncodedEvent } from "../events/encode.ts";
import { isoTime } from "../events/time.ts";
import type { Database } from "./database.ts";

/** Number of events that one statement adds: a call for each costs half as much again as SQLite itself; more gain nothing. */
const ROWS = 16;
/** Number of columns beside the sequence. */
const COLUMNS = 4;

/** Adds events to a table. */
export class Inserter {
  readonly #one: StatementSync;
  readonly #several: StatementSync;
  /** The sequence of the first row that waits for others. */
  #first = 0;
  /** The other columns of the rows that wait. */
  #waiting: (number | string | null)[] = [];

  constructor(db: Database) {
    const insert = "INSERT INTO events (sequence, time, type, subject, json) VALUES ";
    // Their sequences follow each other: only the first one is bound.
    const rows = Array.from({ length: ROWS }, (_, row) => `(?1 + ${row}, ?, ?, ?, ?)`);
    this.#one = db.prepare(`${insert}(?, ?, ?, ?, ?)`);
    this.#several = db.prepare(insert + rows.join(", "));
  }

  /**
   * Adds an event, which was published at a time in milliseconds since 1970. It waits for {@linkcode flush}, or for others.
   *
   * @param sequence the one after that of the last call
   */
  insert(sequence: number, time: number, { type, subject, payload }: EncodedEvent): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) this.#first = sequence;
    waiting.push(isoTime(time), type, subject ?? null, payload ?? null);
    if (waiting.length < ROWS * COLUMNS) return;
    this.#waiting = [];
    this.#several.run(this.#first, ...waiting);
  }

  /** Adds the events that wait. */
  flush(): void {
    const rows = this.#waiting;
    if (rows.length === 0) return;
    this.#waiting = [];
    for (let row = 0; row * COLUMNS < rows.length; row++) {
      this.#one.run(this.#first + row, ...rows.slice(row * COLUMNS, (row + 1) * COLUMNS));
    }
  }

  /** Discards the events that wait. */
  clear(): void {
    this.#waiting = [];
  }
}
