/** The yardstick of a channel in a file: the least that SQLite can do for each event. */
import { join } from "node:path";
import type { Tick } from "./event.ts";

/** Number of events in a transaction, as the channel has them in a flood, and in a statement. */
const GROUP_EVENTS = 512;
const ROWS = 16;
/** For how long events wait for others, in milliseconds. */
const GATHER_MS = 3;

/**
 * Makes a function that stores an event, together with others, in the same table as the channel. Nothing waits for that, not even
 * for the disk. All events have the text of the first one: it is the channel that writes them as JSON.
 *
 * @param folder where the file is made
 */
export async function bareSqlite(
  folder: string,
): Promise<(tick: Tick) => void> {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(join(folder, "events.db"));
  db.exec(
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; " +
      "CREATE TABLE events (sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, type TEXT NOT NULL, subject TEXT, json TEXT)",
  );
  const prepare = (rows: string[]) => db.prepare(`INSERT INTO events VALUES ${rows.join(", ")}`);
  const one = prepare(["(?, ?, ?, ?, ?)"]);
  const several = prepare(
    Array.from({ length: ROWS }, (_, row) => `(?1 + ${row}, ?, ?, ?, ?)`),
  );
  let json: string | undefined;
  let waiting = 0;
  let sequence = 1;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function store(): void {
    clearTimeout(timer);
    timer = undefined;
    const row = [new Date().toISOString(), "tick", null, json!];
    const rows = Array.from({ length: ROWS }, () => row).flat();
    db.exec("BEGIN");
    for (; waiting >= ROWS; waiting -= ROWS, sequence += ROWS) {
      several.run(sequence, ...rows);
    }
    for (; waiting > 0; waiting--, sequence++) one.run(sequence, ...row);
    db.exec("COMMIT");
  }

  return (tick) => {
    json ??= JSON.stringify(tick);
    if (++waiting === GROUP_EVENTS) store();
    else timer ??= setTimeout(store, GATHER_MS);
  };
}
