/**
 * The same on NATS. What it hands out is put into the stream as another server would have, without a word of it here: it
 * comes by the stream alone. How fast a channel publishes is measured elsewhere.
 */
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import process from "node:process";
import * as v from "valibot";
import { defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";
import { listen } from "../../src/server/runtime.ts";
import { takePlans } from "./control.ts";

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), at: v.number(), pad: v.string() }) });
const connection = await connect({ servers: process.env["BENCH_NATS"]!, maxReconnectAttempts: -1 });
const channel = await natsChannel(connection, catalogue, { stream: "FANOUT" });
const app = new Hono();
app.route("/events", eventsEndpoint(channel, { direct: true }));

const { port } = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
takePlans(port, (event) => connection.publish("fanout.tick", JSON.stringify({ type: "tick", event })));
