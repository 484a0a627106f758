/**
 * This project, as an application uses it: a channel with a catalogue of its own behind the endpoint. `ours.ts file` keeps the events
 * in a file, in a folder of its own. `ours.ts beside` keeps them in memory, and beside that in a file by bare SQLite.
 */
import { Hono } from "hono";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as v from "valibot";
import { type Channel, createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { listen } from "../../src/server/listen.ts";
import { bareSqlite } from "./bare_sqlite.ts";
import { takePlans } from "./control.ts";

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), at: v.number(), pad: v.string() }) });

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "events-endpoint-"));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  return folder;
}

async function inFile(): Promise<Channel<typeof catalogue.schemas>> {
  const { sqliteChannel } = await import("../../src/sqlite/mod.ts");
  return await sqliteChannel(join(makeFolder(), "events.db"), catalogue);
}

const kind = process.argv[2];
const channel = kind === "file" ? await inFile() : createChannel(catalogue);
const store = kind === "beside" ? await bareSqlite(makeFolder()) : undefined;
const app = new Hono();
app.route("/events", eventsEndpoint(channel, { writeToSocket: true }));

const { port } = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
takePlans(port, (tick) => {
  void channel.publish("tick", tick);
  store?.(tick);
});
