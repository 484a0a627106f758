/**
 * Follows the events of a Tribler, of any release from 7.0 on, over lost connections and restarts of it.
 *
 *     deno run --allow-net=127.0.0.1:8085 examples/client.ts http://127.0.0.1:8085/events
 *     npx tsx examples/client.ts http://127.0.0.1:8085/events     (or: bun …)
 *
 * A second argument is the `id` of the last event that was seen: it goes on after that.
 *
 * @module
 */
import process from "node:process";
// In a project of your own: from "events-endpoint/client" and "events-endpoint/tribler".
import { connect } from "../src/client/mod.ts";
import { triblerEvents } from "../src/tribler/mod.ts";

const [url = "http://127.0.0.1:8085/events", since = "latest"] = process.argv.slice(2);
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const connection = connect(url, {
  catalogue: triblerEvents,
  since,
  signal: stop.signal,
  onStatus: (status) => {
    if (status.type === "open") console.error(status.resumed ? "going on" : "connected");
    if (status.type === "waiting") console.error(`${status.cause.message}; trying again`);
  },
  // The catalogue is that of 7.1. Later releases have other payloads under a few of its names, which are no reason to
  // stop: since 7.12 a tribler_exception has its text elsewhere.
  onInvalid: ({ type, event }) => console.log(`${type}, otherwise than in 7.1: ${JSON.stringify(event)}`),
});

for await (const event of connection) {
  if (event.type === "torrent_finished") console.log(`finished: ${event.event.name}`);
  else if (event.type === "events_lost") console.log(`missed: ${event.event.count ?? "unknown"}`);
  else console.log(event.type);
}
// To be handed in the next time.
console.log(`last: ${connection.lastId}`);
