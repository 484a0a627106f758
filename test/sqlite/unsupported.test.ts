/** The channel in a file on a runtime without SQLite. */
import process from "node:process";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { suite } from "../support/suite.ts";
import { catalogue, rejects } from "./channels.ts";

const test = suite("sqlite unsupported");

test("sqliteChannel() says which runtimes it needs on Node 20", async () => {
  if (!process.version.startsWith("v20.")) return; // Chosen by --runtime: the others have SQLite.
  const text =
    `^a channel in a file needs Node 22\\.13, Deno 2\\.2, Bun 1\\.4, or a newer one: this is Node `;
  await rejects(sqliteChannel("events.db", catalogue), "RuntimeNotSupported", new RegExp(`${text}20\\..*$`));
});

test.run();
