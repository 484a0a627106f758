/**
 * What the channel in a file imports of `node:sqlite`: the real one, on a disk of the simulation, which sees what is stored.
 * `load.ts` puts it in the place of the module.
 *
 * @module
 */
import { DatabaseSync as RealDatabase, type StatementSync } from "node:sqlite";
import { diskOf, type SimulatedDisk, type StoredRow } from "./disk.ts";

/** A database on a disk of the simulation. */
export class DatabaseSync extends RealDatabase {
  readonly #disk: SimulatedDisk;
  /** The rows and the erased positions of the transaction. */
  #rows: StoredRow[] = [];
  #erased: number[] = [];
  /** Whether SQLite waits for the disk itself. */
  #isSynchronous = true;

  constructor(path: string) {
    super(path);
    this.#disk = diskOf(path)!;
    this.#disk.databases.add(this);
  }

  override exec(sql: string): void {
    if (sql.includes("COMMIT")) this.#requireRoom();
    if (sql === "ROLLBACK") this.#forget();
    super.exec(sql);
    const mode = /PRAGMA synchronous = (\w+)/.exec(sql)?.[1];
    // Up to here SQLite has waited for the disk at each step.
    if (this.#isSynchronous || mode === "FULL") this.#disk.syncAll();
    if (mode !== undefined) this.#isSynchronous = mode === "FULL";
  }

  override prepare(sql: string): StatementSync {
    const statement = super.prepare(sql);
    const { run, all } = statement;
    if (sql.startsWith("INSERT INTO events")) {
      statement.run = ((first: number, ...values: (string | null)[]) => {
        if (this.#disk.random() < 0.5) this.#requireRoom();
        const result = run.apply(statement, [first, ...values] as never);
        for (let at = 0; at < values.length; at += 4) {
          const [time, type, subject, json] = values.slice(at, at + 4);
          const sequence = first + at / 4;
          this.#rows.push({
            sequence,
            time: time!,
            type: type!,
            subject: subject ?? null,
            json: json ?? null,
          });
        }
        return result;
      }) as unknown as StatementSync["run"];
    } else if (sql === "COMMIT") {
      statement.run = (() => {
        this.#requireRoom();
        const result = run.apply(statement);
        const [rows, erased] = [this.#rows, this.#erased];
        this.#forget();
        if (rows.length > 0) this.#disk.listener.onCommitted(rows);
        if (erased.length > 0) this.#disk.listener.onErased(erased);
        return result;
      }) as StatementSync["run"];
    } else if (sql.startsWith("UPDATE events SET type")) {
      statement.all = ((...values: never[]) => {
        const rows = all.apply(statement, values as never) as unknown as { readonly sequence: number }[];
        this.#erased.push(...rows.map(({ sequence }) => sequence));
        return rows;
      }) as unknown as StatementSync["all"];
    }
    return statement;
  }

  override close(): void {
    this.#disk.databases.delete(this);
    super.close();
  }

  #forget(): void {
    this.#rows = [];
    this.#erased = [];
  }

  /** @throws {Error} as SQLite does when the disk is full */
  #requireRoom(): void {
    if (this.#disk.isFull) throw new Error("database or disk is full");
  }
}
