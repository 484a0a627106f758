/**
 * What the tests of simulations share: the seeds that run always.
 *
 * @module
 */
import * as assert from "uvu/assert";
import type * as Simulator from "./campaign.ts";

/** Runs seeds, which must all pass: the same ones each time, so that a failure comes from the change at hand. */
export async function checkSeeds(
  { reportOf, runSeeds, shrink }: typeof Simulator,
  from: number,
  to: number,
  maxMs?: number,
): Promise<Simulator.Campaign> {
  const campaign = await runSeeds(from, to, maxMs);
  assert.is(campaign.failed && reportOf(await shrink(campaign.failed)), undefined);
  assert.ok(campaign.delivered > 0 && campaign.connections > campaign.seeds, "readers received events");
  return campaign;
}
