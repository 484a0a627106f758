/**
 * This project, as an application uses it: a channel with a catalogue of its own behind the endpoint. `ours.ts file` keeps the events
 * in a file, in a folder of its own.
 */
import { Hono } from "hono";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as v from "valibot";
import { type Channel, createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { listen } from "../../src/server/listen.ts";
import { takePlans } from "./control.ts";

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), at: v.number(), pad: v.string() }) });

async function inFile(): Promise<Channel<typeof catalogue.schemas>> {
  const { sqliteChannel } = await import("../../src/sqlite/mod.ts");
  const folder = mkdtempSync(join(tmpdir(), "events-endpoint-"));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  return await sqliteChannel(join(folder, "events.db"), catalogue);
}

const channel = process.argv[2] === "file" ? await inFile() : createChannel(catalogue);
const app = new Hono();
app.route("/events", eventsEndpoint(channel, { writeToSocket: true }));

const { port } = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
takePlans(port, (tick) => void channel.publish("tick", tick));
