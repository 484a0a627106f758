/**
 * Follows a feed with nothing but `fetch()`, and loses no event when the connection is cut.
 *
 *     deno run --allow-net=127.0.0.1:8085 examples/consumer.ts http://127.0.0.1:8085/events
 *     npx tsx examples/consumer.ts http://127.0.0.1:8085/events     (or: bun …)
 *
 * A second argument is the number of events to print; without one it goes on until Ctrl-C.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";

interface Event {
  readonly type: string;
  readonly event?: unknown;
  readonly id: string;
}

/** The server understood the request and said no: asking again would not change that. */
class Refused extends Error {}

const RETRY_AFTER = 500; // milliseconds, and up to twice as many: not every client at the same moment

const [url = "http://127.0.0.1:8085/events", count = "Infinity"] = process.argv.slice(2);
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

let left = Number(count);
let lastId: string | undefined;

while (left > 0 && !stop.signal.aborted) {
  try {
    for await (const { type, id } of connect()) {
      console.log(`${type} ${id}`);
      // Remembered once the event is dealt with: what a crash interrupts comes again.
      lastId = id;
      if (--left <= 0) break;
    }
  } catch (error) {
    if (error instanceof Refused) {
      console.error(error.message);
      process.exit(1);
    }
    if (!stop.signal.aborted) console.error(`${error}; trying again`);
  }
  if (left > 0) {
    await pause(RETRY_AFTER * (1 + Math.random()), null, { signal: stop.signal }).catch(() => {});
  }
}

/** The events of one connection. It ends, or throws, when the connection does. */
async function* connect(): AsyncGenerator<Event> {
  const from = new URL(url);
  // Strictly after the last event seen. Where the server no longer has that one, it says so by `events_lost`.
  if (lastId !== undefined) from.searchParams.set("since", lastId);
  const response = await fetch(from, { signal: stop.signal });
  if (response.status >= 400 && response.status < 500) throw new Refused(await response.text());
  if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`);

  let tail = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (tail + text).split("\n");
    tail = lines.pop()!; // The beginning of a line: it counts when its end has come, and never if that is cut off.
    for (const line of lines) {
      if (line !== "") yield JSON.parse(line); // An empty line is a heartbeat.
    }
  }
}
