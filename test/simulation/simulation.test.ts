/**
 * Simulations: the first half of the seeds that run always, and what is expected of the simulator itself.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { load } from "./load.ts";
import { checkSeeds } from "./seeds.ts";

const test = suite("simulation");

const simulator = await load();
const { simulate } = simulator;

test("simulate() repeats itself for the same seed", async () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 8, 21]) {
    const [first, second] = [await simulate(seed), await simulate(seed)];
    assert.equal(first.trace, second.trace);
    assert.ok(first.trace.length > 20, "something happened");
  }
});

test("eventsEndpoint() and connect() keep their promises in simulations", async () => {
  await checkSeeds(simulator, 1, 1000);
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
