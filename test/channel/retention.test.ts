/** What a channel in memory keeps, beside its history. */
import * as assert from "uvu/assert";
import { createChannel, eventsEndpoint } from "../../src/mod.ts";
import { durationMs } from "../../src/events/time.ts";
import { linesOf, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { type ContractChannel, contractEvents } from "./contract.ts";

const test = suite("retention");

function publish(channel: ContractChannel, count: number): void {
  for (let n = 1; n <= count; n++) channel.publish("tick", { n });
}

/** Returns the types after a cursor, and the loss with which the stream begins. */
async function resume(channel: ContractChannel, position: number): Promise<readonly [unknown, number]> {
  const path = `/?since=${channel.epoch}-${position}&follow=false`;
  const [, first, ...rest] = await linesOf((await eventsEndpoint(channel).request(path)).body!).rest();
  return [first?.event, rest.length];
}

test("createChannel() keeps no more events than keep.events, nor more bytes than keep.bytes", () => {
  const few = createChannel(contractEvents, { keep: { events: 10 } });
  publish(few, 25);
  assert.equal([few.first, few.last], [16, 25]);
  const small = createChannel(contractEvents, { keep: { bytes: 2000 } });
  publish(small, 100);
  assert.ok(small.stats().bytes <= 2000 && small.stats().bytes > 1500);
  const unlimited = createChannel(contractEvents, {
    history: { events: 5 },
    keep: { events: null, age: null },
  });
  publish(unlimited, 10);
  assert.is(unlimited.first, 6);
});

test("createChannel() drops events older than keep.age, and reports them as expired by their exact number", async () => {
  const channel = createChannel(contractEvents, { keep: { age: 1 } });
  try {
    publish(channel, 20);
    assert.equal(await resume(channel, 5), [{ n: 6 }, 14]);
    await until(() => channel.first === 21, "all are too old", 5000);
    assert.is(channel.stats().events, 0);
    assert.equal(await resume(channel, 5), [{ reason: "history_expired", count: 15 }, 0]);
    channel.publish("tick", { n: 21 });
    assert.equal(await resume(channel, 5), [{ reason: "history_expired", count: 15 }, 1]);
    assert.equal(await resume(channel, 20), [{ n: 21 }, 0]);
  } finally {
    channel.close();
  }
});

test("durationMs() reads seconds, minutes, hours and days, and nothing else", () => {
  const durations = ["90s", "10m", "1.5h", "7d"].map(durationMs);
  assert.equal(durations, [90_000, 600_000, 5_400_000, 604_800_000]);
  for (const text of ["", "7", "d", "7 d", "-7d", "7w", "7D", "1e3s", "7d7h"]) {
    assert.is(durationMs(text), undefined, text);
  }
});

test.run();
