/**
 * What a channel keeps of the bodies that were published to it, and of events that were erased.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";
import { createChannel, eventsEndpoint } from "../../src/mod.ts";
import { suite } from "../support/suite.ts";
import { catalogue, JSON_TYPE, MIB, NDJSON } from "./publisher.ts";

const test = suite("http: publish memory");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Returns the number of bytes by which the heap has grown once the body was published a number of times. */
async function bytesKept(body: string, type: string, times: number): Promise<number> {
  const endpoint = eventsEndpoint(createChannel(catalogue));
  const headers = { "Content-Type": type, "Content-Length": `${body.length}` };
  const post = async () =>
    assert.is((await endpoint.request("/", { method: "POST", body, headers })).status, 202);
  await post();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < times; i++) await post();
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
    const kept = await bytesKept(body, type, 30);
    assert.ok(kept < 4 * MIB, `${kept} bytes are kept of 30 bodies of ${body.length}`);
  }
});

test("POST /events takes at most 600 bytes of memory for a small event in a body of many", async () => {
  const kept = await bytesKept(`${event}\n`.repeat(1000), NDJSON, 100);
  assert.ok(kept < 600 * 100_000, `${kept / 100_000} bytes are kept of each`);
});

test("erase() frees the memory of the events, also of those published beside others and read by streams", async () => {
  const channel = createChannel(catalogue);
  const endpoint = eventsEndpoint(channel, { heartbeat: null });
  const text = "as it is written, and longer than a part that engines copy";
  const secret = JSON.stringify({ type: "note", subject: "jane", event: { text: "x".repeat(MIB / 2) } });
  const body = [secret, JSON.stringify({ type: "note", event: { text } })].join("\n");
  const headers = { "Content-Type": NDJSON };
  const post = async () =>
    assert.is((await endpoint.request("/", { method: "POST", body, headers })).status, 202);
  const used = async () => {
    for (let i = 0; i < 5; i++) { // What one collection finds the next ones free.
      collect();
      await new Promise((resolve) => setTimeout(resolve));
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const reader = (await endpoint.request("/")).body!.getReader();
  await reader.read();
  const before = await used();
  for (let i = 0; i < 20; i++) {
    await post();
    for (let length = 0; length < body.length;) length += (await reader.read()).value!.length;
  }
  const kept = await used() - before;
  assert.ok(kept > 15 * MIB, `${kept} bytes are kept of 20 bodies, and of what was encoded for readers`);
  assert.is(channel.erase({ subject: "jane" }), 20);
  const left = await used() - before;
  assert.ok(left < 2 * MIB, `${left} bytes are left`);
  assert.is(channel.stats().events, 20);
  await reader.cancel();
});

test.run();
