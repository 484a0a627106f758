/**
 * Readers of server-sent events that others wrote: each resumes from our endpoint through connections that are cut.
 *
 * @module
 */
import { createRequire } from "node:module";
import { connect, createServer, type Socket } from "node:net";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { withEndpoint } from "../support/endpoint.ts";
import { openWire, until } from "../support/harness.ts";
import { type Random, randomOf } from "../support/hostile_proxy.ts";
import { suite } from "../support/suite.ts";

const test = suite("client: SSE readers");

const EVENTS = 600;
const CUTS = 15;
const SEED = 1_911;
const catalogue = defineEvents({ note: v.object({ n: v.number(), text: v.string() }) });

/** A message as the packages report it. */
interface Message {
  readonly data: string;
}

/** The part of an `EventSource` that the tests use. */
interface Source {
  addEventListener(type: string, listener: (message: Message) => void): void;
  close(): void;
}

type Listener = (type: string, message: Message) => void;
/** Reads a URL; returns what ends that. */
type Reader = (url: string, listener: Listener) => () => void;

const require = createRequire(import.meta.url);
const TYPES = ["note", "events_start", "events_lost"];

/** Makes a reader of a class that is an `EventSource`. */
function sourceReader(load: () => new (url: string) => Source): Reader {
  return (url, listener) => {
    const source = new (load())(url);
    for (const type of TYPES) source.addEventListener(type, (message) => listener(type, message));
    return () => source.close();
  };
}

/** Options of `fetchEventSource`. */
interface FetchOptions {
  readonly signal: AbortSignal;
  readonly openWhenHidden: boolean;
  readonly onmessage: (message: Message & { readonly event: string }) => void;
  readonly onclose: () => void;
  readonly onerror: () => number;
}

/** Reads with `fetchEventSource`, which is for pages: it looks for `window` and `document`. */
const fetchReader: Reader = (url, listener) => {
  Object.assign(globalThis, { window: globalThis, document: { removeEventListener: () => {} } });
  const { fetchEventSource } = require("@microsoft/fetch-event-source/lib/cjs/index.js") as {
    fetchEventSource(url: string, options: FetchOptions): Promise<void>;
  };
  const ending = new AbortController();
  void fetchEventSource(url, {
    signal: ending.signal,
    openWhenHidden: true,
    onmessage: (message) => listener(message.event, message),
    onclose: () => {
      throw new Error("it reconnects after an error only");
    },
    onerror: () => 10,
  });
  return () => {
    ending.abort();
    Reflect.deleteProperty(globalThis, "window");
    Reflect.deleteProperty(globalThis, "document");
  };
};

const READERS: Readonly<Record<string, Reader>> = {
  "eventsource 1": sourceReader(() => require("eventsource1")),
  "eventsource 2": sourceReader(() => require("eventsource2")),
  "event-source-polyfill": sourceReader(() => require("event-source-polyfill").EventSourcePolyfill),
  "fetch-event-source": fetchReader,
};

/**
 * The end of a response that is not cut there: the line of an `id` without the empty line behind it. Readers that take the
 * `id` over at once miss the event then, whatever a server does.
 */
const BETWEEN = /\nid: [^\n]*\n$/;

/** A proxy that cuts connections after some bytes of the response, and counts the cuts. */
async function cutting(
  target: number,
  random: Random,
  use: (port: number, cuts: () => number) => Promise<void>,
) {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}); // The close event follows.
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    let left = cuts < CUTS ? 1 + Math.floor(random() * 12_000) : Infinity;
    let sent = "";
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes: Uint8Array) => {
      // Readers come back soon, and not after two seconds.
      let text = new TextDecoder("latin1").decode(bytes).replace("retry: 2000", "retry: 0010");
      if (text.length >= left) {
        while (BETWEEN.test(sent + text.slice(0, left))) left++;
        text = text.slice(0, left);
        upstream.pause();
        cuts++;
        client.end(text, "latin1");
        return;
      }
      left -= text.length;
      sent = (sent + text).slice(-200);
      client.write(text, "latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as { port: number }).port, () => cuts);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

for (const [name, reader] of Object.entries(READERS)) {
  test(`eventsEndpoint() lets ${name} resume: after ${CUTS} cuts at any byte no event is missing or repeated`, async () => {
    await withEndpoint(catalogue, { heartbeat: 0.05 }, async ({ port, channel }) => {
      await cutting(port, randomOf(SEED), async (proxyPort, cuts) => {
        const { error } = console;
        console.error = () => {}; // event-source-polyfill reports each cut there.
        const received: number[] = [];
        const faults: string[] = [];
        let isWhole = true;
        const stop = reader(`http://127.0.0.1:${proxyPort}/events?since=earliest`, (type, { data }) => {
          try {
            // eventsource 1 and 2 put the data of a block that was cut off before the next one, which is events_start.
            const { event } = JSON.parse(data.split("\n").at(-1)!);
            if (data.includes("\n") && type !== "events_start") isWhole = false;
            if (type === "note") received.push(event.n);
            else if (type !== "events_start") faults.push(type);
          } catch {
            faults.push(`${type}: ${JSON.stringify(data)}`);
          }
        });
        try {
          for (let n = 1; n <= EVENTS; n++) {
            channel.publish("note", { n, text: "x".repeat((n * 37) % 200) });
            // It reads along, and is not only replayed to.
            if (n % 20 === 0) {
              await until(() => received.length >= n - 60 || faults.length > 0, `event ${n - 60}`, 30_000);
            }
          }
          await until(() => received.at(-1) === EVENTS, "the last event", 30_000);
        } finally {
          stop();
          console.error = error;
        }
        assert.equal(faults, []);
        assert.equal(received, Array.from({ length: EVENTS }, (_, index) => index + 1));
        assert.ok(isWhole);
        assert.ok(cuts() >= CUTS - 3, `${cuts()} cuts`);
      });
    });
  });
}

test("eventsEndpoint() sends heartbeats that fetch-event-source does not call back for", async () => {
  await withEndpoint(catalogue, { heartbeat: 0.02 }, async ({ url, port, channel }) => {
    const messages: string[] = [];
    const stop = fetchReader(
      `${url}/events`,
      (type, { data }) => messages.push(`${type} ${data.length > 0}`),
    );
    try {
      await until(() => messages.length === 1, "events_start");
      // It is as silent on another stream, which shows when there were heartbeats.
      const wire = await openWire(port);
      wire.write("GET /events?format=sse HTTP/1.1\r\nHost: x\r\n\r\n");
      await until(() => wire.received().split(":\n").length > 10, "heartbeats");
      wire.socket.destroy();
      channel.publish("note", { n: 1, text: "" });
      await until(() => messages.length > 1, "the event");
      assert.equal(messages, ["events_start true", "note true"]);
    } finally {
      stop();
    }
  });
});

test.run();
