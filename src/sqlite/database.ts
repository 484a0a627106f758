/**
 * SQLite as the runtime has it: the one module that imports it.
 *
 * @module
 */
import process from "node:process";
import type { DatabaseSync } from "node:sqlite";
import { EventsError } from "../events/errors.ts";

/** An open database. */
export type Database = DatabaseSync;

/**
 * Opens a database. A file that does not exist is created.
 *
 * @throws {EventsError} `RuntimeNotSupported` if the runtime has no SQLite
 */
export async function openDatabase(path: string): Promise<Database> {
  const { DatabaseSync } = await importSqlite();
  return new DatabaseSync(path);
}

async function importSqlite(): Promise<typeof import("node:sqlite")> {
  try {
    return await import("node:sqlite");
  } catch (cause) {
    const { deno, bun, node } = process.versions;
    const name = deno !== undefined ? `Deno ${deno}` : bun !== undefined ? `Bun ${bun}` : `Node ${node}`;
    throw new EventsError(
      "RuntimeNotSupported",
      `a channel in a file needs Node 22.13, Deno 2.2, Bun 1.4, or a newer one: this is ${name}`,
      { cause },
    );
  }
}

/** Returns the one row of a query. */
export function rowOf<T>(db: Database, sql: string): T {
  return db.prepare(sql).get() as unknown as T;
}
