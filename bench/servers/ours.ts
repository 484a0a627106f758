/** This project, as an application uses it: a channel with a catalogue of its own behind the endpoint. */
import { Hono } from "hono";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { listen } from "../../src/server/listen.ts";
import { takePlans } from "./control.ts";

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), at: v.number(), pad: v.string() }) });
const channel = createChannel(catalogue);
const app = new Hono();
app.route("/events", eventsEndpoint(channel, { writeToSocket: true }));

const { port } = await listen(app.fetch, { host: "127.0.0.1", port: 0 });
takePlans(port, (tick) => void channel.publish("tick", tick));
