/**
 * Starts that were located before a new epoch began.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import type { Start } from "../../src/mod.ts";
import { elsewhere, numbers, open, serve, tick } from "../support/elsewhere.ts";
import { until, within } from "../support/harness.ts";

const test = suite("channel: epochs");

test("GET /events reports unknown_epoch when the epoch changes after its start was located", async () => {
  const there = elsewhere();
  tick(there, 1, 5);
  const old = there.channel.epoch;
  let isAsked = false;
  let answer = (_: Start) => {};
  there.locate = () => {
    isAsked = true;
    return new Promise((resolve) => answer = resolve);
  };
  const { app } = serve(there);
  const opening = open(app, `since=${old}-2`);
  await until(() => isAsked, "locate() is called");
  answer({ epoch: old, position: 2, unknownEpoch: false });
  there.replaceStore(); // In the same turn: the position 2 is another event now.
  tick(there, 11, 15);
  const lines = await opening;
  assert.is((await lines.event()).id, `${old}-2`);
  const [lost, ...events] = await lines.events(6);
  assert.equal(lost?.event, { reason: "unknown_epoch", count: null });
  assert.equal(numbers(events), [11, 12, 13, 14, 15]);
  await lines.close();
});

test("batches() reports unknown_epoch when the epoch changes after its start was located", async () => {
  const there = elsewhere();
  tick(there, 1, 5);
  const { epoch } = there.channel;
  there.locate = () => Promise.resolve({ epoch, position: 2, unknownEpoch: false });
  const batches = there.channel.batches(`${epoch}-2`);
  there.replaceStore();
  tick(there, 11, 15);
  const { lost, entries } = (await within(batches.next(), "a batch")).value;
  assert.equal(lost, { reason: "unknown_epoch", count: null });
  assert.equal(entries.map(({ position }: { position: number }) => position), [1, 2, 3, 4, 5]);
  await batches.return!();
});

test.run();
