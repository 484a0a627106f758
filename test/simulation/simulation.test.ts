/**
 * Simulations with fresh seeds. `SIMULATION_SECONDS` makes them run for longer than in the gate.
 *
 * @module
 */
import process from "node:process";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { load } from "./load.ts";

const test = suite("simulation");

const SECONDS = Number(process.env["SIMULATION_SECONDS"] ?? 6);
/** The least number of seeds that count: a machine that manages fewer in this time is not to fail for it. */
const LEAST = 20;

const { reportOf, runSeeds, shrink, simulate } = await load();

test("simulate() repeats itself for the same seed", async () => {
  for (const seed of [3, 8, 21, 34]) {
    const [first, second] = [await simulate(seed), await simulate(seed)];
    assert.equal(first.trace, second.trace);
    assert.ok(first.trace.length > 20, "something happened");
  }
});

test("eventsEndpoint() and connect() keep their promises in simulations of fresh seeds", async () => {
  const base = Math.floor(Math.random() * 1e9);
  console.log(`seeds from ${base} on`);
  const first = await runSeeds(base, base + LEAST - 1);
  const rest = first.failed ? first : await runSeeds(base + LEAST, Infinity, SECONDS * 1000);
  console.log(
    `${first.seeds + rest.seeds} seeds, ${rest.delivered} events delivered, ${rest.lost} reported lost`,
  );
  const failed = first.failed ?? rest.failed;
  if (failed !== undefined) {
    assert.unreachable(`seed ${failed.plan.seed}:\n${reportOf(await shrink(failed))}`);
  }
  assert.ok(first.delivered > 0 && first.connections > first.seeds, "readers received events");
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
