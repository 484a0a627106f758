/** This project on NATS: started by `ours_nats.ts`, which publishes. Says its port, and ends with its stdin. */
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import process from "node:process";
import * as v from "valibot";
import { defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";
import { listen } from "../../src/server/listen.ts";

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), at: v.number(), pad: v.string() }) });
const connection = await connect({ servers: process.env["BENCH_NATS"]!, maxReconnectAttempts: -1 });
const channel = await natsChannel(connection, catalogue, { stream: process.argv[2]!.toUpperCase() });
const app = new Hono();
app.route("/events", eventsEndpoint(channel, { writeToSocket: true }));

const { port } = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
process.stdin.on("end", () => process.exit(0)).resume();
console.log(JSON.stringify({ port }));
