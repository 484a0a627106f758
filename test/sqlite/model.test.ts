import { cpSync, rmSync } from "node:fs";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { contractEvents } from "../channel/contract.ts";
import { testModel, type WithStore } from "../channel/model.ts";
import { withFile } from "./channels.ts";

const withStore: WithStore = (held, kept, use) =>
  withFile(async (path) => {
    const open = (file: string) =>
      sqliteChannel(file, contractEvents, { history: { events: held }, keep: { events: kept } });
    let file = path;
    let channel = await open(file);
    try {
      await use({
        channel,
        kept,
        reopen: async () => {
          await channel.close();
          return channel = await open(file);
        },
        crash: async () => {
          const copy = `${file}.`; // What stands in the files now is what a killed process leaves.
          for (const end of ["", "-wal"]) cpSync(file + end, copy + end);
          await channel.close();
          for (const end of ["", "-wal"]) rmSync(file + end, { force: true });
          return channel = await open(file = copy);
        },
      });
    } finally {
      await channel.close();
    }
  });

testModel("sqlite", 60, (use) => use(withStore));
