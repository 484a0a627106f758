/**
 * A channel in a file of SQLite: events outlive the process, and a reader resumes after a restart.
 *
 * @module
 */
export { sqliteChannel } from "./channel.ts";
export type { SqliteChannel, SqliteChannelOptions } from "./channel.ts";
export type { Durability } from "./file.ts";
