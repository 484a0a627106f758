/**
 * Readers of events that others wrote: each resumes from our endpoint through connections that are cut.
 *
 * @module
 */
import { createRequire } from "node:module";
import { connect, createServer, type Socket } from "node:net";
import { Readable, type Transform } from "node:stream";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { defineEvents } from "../../src/mod.ts";
import { withEndpoint } from "../support/endpoint.ts";
import { openWire, until } from "../support/harness.ts";
import { type Random, randomOf, sleep } from "../support/hostile_proxy.ts";
import { suite } from "../support/suite.ts";

const test = suite("client: SSE readers");

const EVENTS = 600;
/** Bun often drops what it had received before a cut, also `retry`, and a reader then waits for 3 s. */
const CUTS = "Bun" in globalThis ? 5 : 15;
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

type SourceClass = new (url: string, options?: object) => Source;
type Listener = (type: string, message: Message) => void;
/** Reads a URL; returns what ends that. */
type Reader = (url: string, listener: Listener) => (() => void) | Promise<() => void>;

const require = createRequire(import.meta.url);
const TYPES = ["note", "events_start", "events_lost"];

/** Makes a reader of a class that is an `EventSource`. */
function sourceReader(load: () => SourceClass | Promise<SourceClass>, options: object = {}): Reader {
  return async (url, listener) => {
    const source = new (await load())(url, options);
    for (const type of TYPES) source.addEventListener(type, (message) => listener(type, message));
    return () => source.close();
  };
}

/** Loads the class of a package that has it under a name. */
async function exported(name: string): Promise<SourceClass> {
  return (await import(name) as { EventSource: SourceClass }).EventSource;
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

/** Reads with `createEventSource()` of eventsource-client. */
const clientReader: Reader = async (url, listener) => {
  const { createEventSource } = await import("eventsource-client");
  const onMessage = (message: Message & { event?: string | undefined }) =>
    listener(message.event ?? "", message);
  const client = createEventSource({ url, onMessage });
  return () => client.close();
};

/** Reads NDJSON with the package that is named so, and resumes after the last id. */
const ndjsonReader: Reader = (url, listener) => {
  const { parse } = require("ndjson") as { parse(): Transform };
  const ending = new AbortController();
  const { signal } = ending;
  const from = new URL(url);
  void (async () => {
    for (; !signal.aborted; await sleep(10)) {
      try {
        const { body } = await fetch(from, { signal, headers: { Accept: "application/x-ndjson" } });
        // A connection that is cut off is an error, and the line that has begun is dropped.
        const lines = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]);
        const events = lines.on("error", (error) => events.destroy(error)).pipe(parse());
        for await (const event of events) {
          from.searchParams.set("since", event.id);
          listener(event.type, { data: JSON.stringify(event) });
        }
      } catch {
        // The next request resumes.
      }
    }
  })();
  return () => ending.abort();
};

const READERS: Readonly<Record<string, Reader>> = {
  "eventsource 1": sourceReader(() => require("eventsource1")),
  "eventsource 2": sourceReader(() => require("eventsource2")),
  "eventsource 3": sourceReader(() => exported("eventsource3")),
  "eventsource 4": sourceReader(() => exported("eventsource4")),
  "eventsource 5": sourceReader(() => exported("eventsource5")),
  "event-source-polyfill": sourceReader(() => require("event-source-polyfill").EventSourcePolyfill),
  "reconnecting-eventsource": async (url, listener) => {
    const options = { eventSourceClass: await exported("eventsource3"), max_retry_time: 20 };
    return await sourceReader(() => require("reconnecting-eventsource").default, options)(url, listener);
  },
  "launchdarkly-eventsource": sourceReader(() => require("launchdarkly-eventsource").EventSource),
  "eventsource-client": clientReader,
  "fetch-event-source": fetchReader,
  "ndjson": ndjsonReader,
};

/** Readers that make a new `EventSource` when a response has another status; the others end then. */
const RESTARTS = ["reconnecting-eventsource"];
/** Readers that wait 3 s after every cut on Bun, whatever `retry` says. */
const SLOW_ON_BUN = ["reconnecting-eventsource"];

/**
 * The end of a response that is not cut there: the line of an `id` without the empty line behind it. Readers that take the
 * `id` over at once miss the event then, whatever a server does.
 */
const BETWEEN = /\nid: [^\n]*\n$/;

/**
 * A proxy that cuts connections after some bytes of the response, and counts the cuts.
 *
 * @param fails whether every other connection is answered with 500
 */
async function cutting(
  target: number,
  random: Random,
  fails: boolean,
  use: (port: number, cuts: () => number) => Promise<void>,
) {
  const sockets = new Set<Socket>();
  let cuts = 0;
  let connections = 0;
  const server = createServer((client) => {
    if (++connections % 2 === 0 && fails && cuts < CUTS) {
      sockets.add(client.on("error", () => {}));
      const answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      client.once("data", () => client.end(answer));
      return;
    }
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
  if ("Bun" in globalThis && SLOW_ON_BUN.includes(name)) continue;
  test(`eventsEndpoint() lets ${name} resume: after ${CUTS} cuts at any byte no event is missing or repeated`, async () => {
    await withEndpoint(catalogue, { heartbeat: 0.05 }, async ({ port, channel }) => {
      await cutting(port, randomOf(SEED), RESTARTS.includes(name), async (proxyPort, cuts) => {
        const { error } = console;
        console.error = () => {}; // event-source-polyfill reports each cut there.
        const received: number[] = [];
        const faults: string[] = [];
        let isWhole = true;
        const stop = await reader(`http://127.0.0.1:${proxyPort}/events?since=earliest`, (type, { data }) => {
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
    const stop = await fetchReader(
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
