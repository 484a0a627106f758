/**
 * Pacing by the numbers: when batches are held back, and when no longer.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { createPacing, type Pacing } from "../../src/stream/pacing.ts";

const test = suite("pacing");

/** Delivers events at a fixed pace for some time, each by itself, and returns how often batches were held back. */
function deliverAtPace(pacing: Pacing, perSecond: number, costMs: number, startMs = 0): number {
  let held = 0;
  for (let sent = 0; sent < perSecond; sent++) {
    pacing.count(1, startMs + sent * 1000 / perSecond, costMs);
    if (pacing.isFlooded) held++;
  }
  return held;
}

/** Delivers events that are always there, as many as were published meanwhile, and returns how often they were held back. */
function deliverFlood(pacing: Pacing, perMs: number, costMs: number, startMs = 0): number {
  let held = 0;
  let events = 1;
  for (let sent = 0, now = startMs; sent < 1000; sent++) {
    pacing.count(events, now, costMs);
    const freeMs = pacing.isFlooded ? costMs : 0;
    if (freeMs > 0) held++;
    events = Math.max(1, perMs * freeMs);
    now += costMs + freeMs;
  }
  return held;
}

test("createPacing() holds nothing back at a pace that leaves a fifth of the time", () => {
  for (const costMs of [0.05, 0.4, 1, 1.6]) {
    assert.is(deliverAtPace(createPacing(), 500, costMs), 0, `${costMs} ms for each of 500/s`);
  }
});

test("createPacing() holds batches back when the publisher runs ahead", () => {
  for (const costMs of [0.2, 2, 20]) {
    const pacing = createPacing();
    const held = deliverFlood(pacing, 20, costMs);
    assert.ok(held > 700, `${held} of 1000 batches of ${costMs} ms were held back`);
    assert.is(pacing.isFlooded, true);
  }
});

test("createPacing() sees a flood, and no overload, at a pace a little above what can be delivered one by one", () => {
  const pacing = createPacing();
  for (let sent = 0; sent < 500; sent++) pacing.count(2, sent * 2, 1.2); // 1000 events a second, two at a time
  assert.equal([pacing.isFlooded, pacing.isOverloaded], [true, false]);
});

test("createPacing() holds nothing back 100 ms after a flood", () => {
  const pacing = createPacing();
  deliverFlood(pacing, 20, 2);
  const startMs = 1000 * 4 + 2;
  const held = deliverAtPace(pacing, 500, 1, startMs);
  assert.ok(held < 50, `${held} of 500 events were held back after the flood`);
});

test.run();
