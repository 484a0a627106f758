/**
 * Simulations: always the same seeds, so that a failure comes from the change at hand; fresh ones for as many seconds as
 * `SIMULATION_SECONDS` says.
 *
 * @module
 */
import process from "node:process";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { load } from "./load.ts";

const test = suite("simulation");

/** The number of seconds for fresh seeds. */
const SECONDS = Number(process.env["SIMULATION_SECONDS"] ?? 0);
/** The seeds that run always: 1 to this number. */
const SEEDS = 2000;

const { reportOf, runSeeds, shrink, simulate } = await load();

test("simulate() repeats itself for the same seed", async () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 8, 21]) {
    const [first, second] = [await simulate(seed), await simulate(seed)];
    assert.equal(first.trace, second.trace);
    assert.ok(first.trace.length > 20, "something happened");
  }
});

test("eventsEndpoint() and connect() keep their promises in simulations", async () => {
  const fixed = await runSeeds(1, SEEDS);
  assert.is(fixed.failed && reportOf(await shrink(fixed.failed)), undefined);
  assert.ok(fixed.delivered > 0 && fixed.connections > fixed.seeds, "readers received events");
  if (SECONDS === 0) return;
  const base = Math.floor(Math.random() * 1e9);
  const fresh = await runSeeds(base, Infinity, SECONDS * 1000);
  console.log(
    `${fresh.seeds} seeds from ${base} on: ${fresh.delivered} events delivered, ${fresh.lost} reported lost`,
  );
  assert.is(fresh.failed && reportOf(await shrink(fresh.failed)), undefined);
});

test("simulate() finds a fault that is planted", async () => {
  const faulty = await load({
    file: "stream/hub.ts",
    from: "subscriber.position === chunk.after && subscriber.filter === undefined;",
    to: "subscriber.position === chunk.after;",
  });
  const { failed } = await faulty.runSeeds(1, 200);
  assert.match(failed?.failure ?? "", /hidden from it/);
  const { plan } = await faulty.shrink(failed!);
  assert.ok(plan.steps.length < 8, `${plan.steps.length} steps are left`);
});

test.run();
