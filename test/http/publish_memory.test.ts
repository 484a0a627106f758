/**
 * What a channel keeps of the bodies that were published to it, and of events that were erased.
 *
 * @module
 */
import { getHeapSnapshot, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";
import { createChannel, eventsEndpoint } from "../../src/mod.ts";
import { suite } from "../support/suite.ts";
import { catalogue, JSON_TYPE, MIB, NDJSON } from "./publisher.ts";

const test = suite("http: publish memory");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Returns the number of bytes by which the heap has grown once the body was published a hundred times. */
async function bytesKept(body: string, type: string): Promise<number> {
  const endpoint = eventsEndpoint(createChannel(catalogue));
  const headers = { "Content-Type": type, "Content-Length": `${body.length}` };
  const post = async () =>
    assert.is((await endpoint.request("/", { method: "POST", body, headers })).status, 202);
  await post();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 100; i++) await post();
  collect();
  const kept = process.memoryUsage().heapUsed - before;
  const stream = await (await endpoint.request("/?follow=false&last=1")).text();
  assert.is(stream.trim().split("\n").length, 2, "the channel has its events");
  return kept;
}

const event = '{"type":"note","event":{"text":"as it is written, and longer than a part that engines copy"}}';

test("POST /events keeps nothing of a body beside its events", async () => {
  const padding = "\n".repeat(MIB / 2);
  for (
    const [body, type] of [
      [event + padding, NDJSON],
      [padding + event, NDJSON],
      [`${event}\n{"type":"any","event":{"a":1 ${" ".repeat(MIB / 2)}}}`, NDJSON],
      [event + padding, JSON_TYPE],
    ] as const
  ) {
    const kept = await bytesKept(body, type);
    assert.ok(kept < 4 * MIB, `${kept} bytes are kept of 100 bodies of ${body.length}`);
  }
});

test("POST /events takes at most 600 bytes of memory for a small event in a body of many", async () => {
  const kept = await bytesKept(`${event}\n`.repeat(1000), NDJSON);
  assert.ok(kept < 600 * 100_000, `${kept / 100_000} bytes are kept of each`);
});

/** Returns how many texts in the memory of this process have these words one after the other. */
async function countInMemory(...words: readonly string[]): Promise<number> {
  const pieces: string[] = [];
  for await (const piece of getHeapSnapshot().setEncoding("utf8")) pieces.push(piece);
  // The words are put together here alone.
  return pieces.join("").split(words.join("-")).length - 1;
}

test("erase() leaves nothing of the events in the memory of the process, also of those published beside others", async () => {
  const channel = createChannel(catalogue);
  const endpoint = eventsEndpoint(channel, { heartbeat: null });
  const words = ["secret", "of", "jane"];
  const publish = async () => {
    const lines = Array.from({ length: 20 }, (_, n) => {
      const text = n === 0 ? words.join("-") : "as it is written, and longer than a part that engines copy";
      return JSON.stringify({ type: "note", ...(n === 0 && { subject: "jane" }), event: { text } });
    });
    const headers = { "Content-Type": NDJSON };
    assert.is((await endpoint.request("/", { method: "POST", body: lines.join("\n"), headers })).status, 202);
  };
  await publish();
  // Readers that have received it, and wait for more.
  const readers = await Promise.all(["ndjson", "sse"].map(async (format) => {
    const response = await endpoint.request(`/?since=earliest&format=${format}`);
    const reader = response.body!.getReader();
    for (let i = 0; i < 2; i++) await reader.read();
    return reader;
  }));
  assert.ok(await countInMemory(...words) > 0);
  assert.is(channel.erase({ subject: "jane" }), 1);
  assert.is(await countInMemory(...words), 0);
  for (const reader of readers) await reader.cancel();
  assert.is(channel.stats().events, 19);
});

test.run();
