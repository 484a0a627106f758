/**
 * Replays of many readers: they share what is encoded, take turns, and keep nobody else waiting.
 *
 * @module
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, createFormat, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { ENTRY_BYTES } from "../../src/channel/entry_writer.ts";
import { type Chunk, CHUNK_BYTES } from "../../src/stream/chunk.ts";
import { createChunkCache } from "../../src/stream/chunk_cache.ts";
import { createHistoryChunks } from "../../src/stream/history_chunks.ts";
import { ndjson } from "../../src/stream/wire_format.ts";
import { createTurns } from "../../src/stream/turns.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("replays");

/** The size of the text of each event. */
const EVENT_BYTES = 500;

/** A chunk of the events after one position up to another, a byte each. */
function chunkOf(after: number, last: number): Chunk {
  const entries = Array.from({ length: last - after }, () => ({ bytes: EVENT_BYTES }));
  return { after, last, entries, bytes: new Uint8Array(last - after) } as unknown as Chunk;
}

/** The memory that a chunk takes with its events. */
function sizeOf({ bytes, entries }: Chunk): number {
  return CHUNK_BYTES + bytes.length + entries.length * (EVENT_BYTES + ENTRY_BYTES);
}

test("createHistoryChunks() finds the chunk of every event that it has, within its size", () => {
  const step = fc.record({ from: fc.nat(60), length: fc.integer({ min: 1, max: 8 }), firstKept: fc.nat(20) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const most = 20_000;
    const chunks = createHistoryChunks(most);
    for (const { from, length, firstKept } of steps) {
      const known = chunks.chunkAfter(from);
      if (known !== undefined) {
        assert.ok(known.after <= from && from < known.last);
        continue;
      }
      const last = Math.min(from + length, chunks.nextStart(from));
      const chunk = chunkOf(from, last);
      chunks.add(chunk, firstKept);
      for (let position = from; position < last; position++) assert.is(chunks.chunkAfter(position), chunk);
      const kept = new Set<Chunk>();
      for (let position = 0; position < 80; position++) {
        const found = chunks.chunkAfter(position);
        if (found !== undefined) kept.add(found);
      }
      const bytes = [...kept].reduce((sum, chunk) => sum + sizeOf(chunk), 0);
      assert.ok(bytes <= most, `${bytes} bytes are kept`);
    }
  }));
});

test("createChunkCache() keeps small chunks together, in little more memory than it may take", () => {
  const [chunkBytes, maxBytes] = [100, 1024 ** 2];
  const cache = createChunkCache(ndjson, maxBytes);
  const last = 20_000;
  for (let after = 0; after < last; after++) {
    const bytes = new Uint8Array(chunkBytes);
    cache.add({ ...chunkOf(after, after + 1), bytes } as Chunk, 1);
  }
  let pieces = 0;
  for (let position = cache.after; position < last; position = cache.chunkAfter(position)!.last) pieces++;
  const size = (last - cache.after) * chunkBytes;
  assert.ok(pieces < 20, `${pieces} pieces are kept`);
  assert.ok(size <= maxBytes && size > maxBytes / 2, `${size} bytes are kept`);
});

test("createTurns() lets readers take one piece each, in their order, and the event loop turn between", async () => {
  const taken: string[] = [];
  const left = new Map(["a", "b", "c"].map((name) => [name, 40]));
  const turns = createTurns<string>((name) => {
    taken.push(name);
    for (const end = performance.now() + 0.1; performance.now() < end;);
    left.set(name, left.get(name)! - 1);
    if (left.get(name)! > 0) turns.queue(name);
  });
  for (const name of left.keys()) turns.queue(name);
  let timers = 0;
  const timer = setInterval(() => timers++, 1);
  await until(() => taken.length === 120, "all have taken their pieces");
  clearInterval(timer);
  assert.is(taken.join(""), "abc".repeat(40));
  assert.ok(timers >= 3, `${timers} timers of a millisecond fired beside 12 ms of turns`);
});

test("createTurns() gives a turn at once while nobody waits, for a limited time", async () => {
  const given: number[] = [];
  const turns = createTurns<number>((reader) => given.push(reader));
  let taken = 0;
  while (turns.take()) taken++;
  assert.ok(taken > 0, "the first turn is free");
  turns.queue(1);
  assert.is(turns.take(), false, "one waits");
  turns.queue(2);
  turns.leave(1);
  await until(() => given.length > 0, "the queue is served");
  assert.equal(given, [2]);
});

test("eventsEndpoint() encodes the history once for all that replay it", async () => {
  let written = 0;
  const wireFormat = createFormat({
    name: "counted",
    mediaType: "text/plain",
    event: ({ json }) => (written++, json + "\n"),
    control: () => "",
  });
  const catalogue = defineEvents({ tick: v.object({ n: v.number() }) });
  const channel = createChannel(catalogue);
  channel.publishBatch(Array.from({ length: 5000 }, (_, n) => ({ type: "tick", event: { n } })));
  const app = eventsEndpoint(channel, { wireFormat });
  const since = [0, 0, 0, 0, 100, 2500, 4999].map((position) => `${channel.epoch}-${position}`);
  const responses = await Promise.all(since.map((cursor) => app.request(`/?since=${cursor}&follow=false`)));
  const texts = await Promise.all(responses.map((response) => response.text()));
  const counts = texts.map((text) => text.split("\n").length - 1);
  assert.equal(counts, [5000, 5000, 5000, 5000, 4900, 2500, 1]);
  // Where a reader begins within a chunk, a format of unknown length is asked again for what is in it.
  assert.ok(written < 6500, `${written} events were encoded for 5000`);
});

test.run();
