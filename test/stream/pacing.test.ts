/**
 * Pacing by the numbers: when batches are held back, and when no longer.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { createPacing, type Pacing } from "../../src/stream/pacing.ts";

const test = suite("pacing");

/**
 * Delivers a thousand batches of what was published meanwhile, and returns how many of them were held back. A publisher at a
 * pace publishes all the time; one that runs ahead publishes only while a batch is held back, and one event otherwise.
 */
function deliver(
  pacing: Pacing,
  { perMs, costMs, runsAhead = false }: { perMs: number; costMs: number; runsAhead?: boolean },
  startMs = 0,
): number {
  let held = 0;
  let now = startMs;
  for (let sent = 0, events = 1; sent < 1000; sent++) {
    const isHeld = pacing.holds(now);
    pacing.count(Math.round(events), now, costMs);
    if (isHeld) held++;
    const heldMs = isHeld ? 1 + (pacing.isOverloaded ? costMs : 0) : 0;
    const spentMs = Math.max(costMs + heldMs, runsAhead ? 0 : 1 / perMs);
    events = Math.max(1, perMs * (runsAhead ? heldMs : spentMs));
    now += spentMs;
  }
  return held;
}

test("createPacing() holds nothing back at a pace that leaves a third of the time", () => {
  for (const costMs of [0.05, 0.4, 1, 1.3]) {
    assert.is(deliver(createPacing(), { perMs: 0.5, costMs }), 0, `${costMs} ms for each of 500/s`);
  }
});

test("createPacing() holds a batch back now and then at a pace that fills the time", () => {
  for (const perMs of [0.9, 1, 2, 3]) {
    const pacing = createPacing();
    const held = deliver(pacing, { perMs, costMs: 1 });
    assert.ok(held > 0 && held < 15, `${held} of 1000 batches were held back at ${perMs * 1000} events/s`);
    assert.is(pacing.isOverloaded, false);
  }
});

test("createPacing() holds each batch back at a pace of several events in the time of one delivery", () => {
  const held = deliver(createPacing(), { perMs: 6, costMs: 1 });
  assert.ok(held > 900, `${held} of 1000 batches were held back`);
});

test("createPacing() holds batches back as long as they take when the publisher runs ahead", () => {
  for (const costMs of [0.2, 2, 20]) {
    const pacing = createPacing();
    const held = deliver(pacing, { perMs: 100, costMs, runsAhead: true });
    assert.ok(held > 700, `${held} of 1000 batches of ${costMs} ms were held back`);
    assert.is(pacing.isOverloaded, true);
  }
});

test("createPacing() holds nothing back after a flood", () => {
  const pacing = createPacing();
  deliver(pacing, { perMs: 100, costMs: 2, runsAhead: true });
  const held = deliver(pacing, { perMs: 0.5, costMs: 1 }, 1000 * (2 + 3));
  assert.ok(held < 50, `${held} of 1000 batches were held back`);
});

test.run();
