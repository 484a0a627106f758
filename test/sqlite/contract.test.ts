import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { contractEvents, testChannel } from "../channel/contract.ts";
import { withFile } from "./channels.ts";

testChannel("sqlite", (events, use, catalogue = contractEvents) =>
  withFile(async (file) => {
    const channel = await sqliteChannel(file, catalogue, { history: { events } });
    try {
      await use(channel);
    } finally {
      await channel.close();
    }
  }));
