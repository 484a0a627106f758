/**
 * The reader: reads ranges of events from the table of a file, and checks that they are whole.
 *
 * @module
 */
import type { StatementSync } from "node:sqlite";
import { EventsError } from "../events/errors.ts";
import type { Database } from "./database.ts";
import type { Range, Row } from "./entry.ts";

/** Events of a range that together have more bytes than this are read one by one, up to this size. */
const RANGE_BYTES = 1024 * 1024;

/** Reads ranges of events. */
export class RangeReader {
  readonly #path: string;
  readonly #measure: StatementSync;
  readonly #select: StatementSync;

  /** @param path the path of the file, as messages name it */
  constructor(db: Database, path: string) {
    this.#path = path;
    const range = "FROM events WHERE sequence > ? AND sequence <= ?";
    this.#measure = db.prepare(`SELECT total(octet_length(json)) AS bytes ${range}`);
    this.#select = db.prepare(
      `SELECT sequence, time, type, subject, json ${range} ORDER BY sequence`,
    );
    this.#select.setReturnArrays(true);
  }

  /**
   * Reads the events after a position up to another, or to one before it if they are large.
   *
   * @throws {EventsError} `FileDamaged` if the file is damaged there
   */
  read(after: number, last: number): Range {
    const { bytes } = this.#measure.get(after, last) as unknown as { readonly bytes: number };
    const isLarge = bytes > RANGE_BYTES;
    const found =
      (isLarge ? this.#select.iterate(after, last) : this.#select.all(after, last)) as unknown as Iterable<
        [number, string, string, string | null, string | null]
      >;
    const rows: Row[] = [];
    let size = 0;
    let previous = after;
    for (const [sequence, time, type, subject, json] of found) {
      const row = { sequence, time, type, subject, json };
      if (!(sequence > previous) || sequence > last || !isWhole(row)) {
        throw new EventsError(
          "FileDamaged",
          `${this.#path} is damaged: the event after position ${previous} cannot be read`,
        );
      }
      rows.push(row);
      previous = sequence;
      if (isLarge && (size += json?.length ?? 0) > RANGE_BYTES) return { rows, isCut: sequence < last };
    }
    return { rows, isCut: false };
  }
}

/** Whether a row is one that was written. What a torn page holds may be zeros, at which a text ends. */
function isWhole({ time, type, subject, json }: Row): boolean {
  if (typeof time !== "string" || time.length !== 24 || typeof type !== "string") return false;
  if (type === "") return subject === null && json === null; // It was erased.
  if (json === null) return true;
  if (typeof json !== "string" || json === "") return false;
  const end = ENDS[json[0]!];
  return (end === undefined || json.endsWith(end)) && !json.includes("\0");
}

const ENDS: Readonly<Record<string, string>> = { "{": "}", "[": "]", '"': '"' };
