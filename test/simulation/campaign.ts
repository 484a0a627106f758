/**
 * Many simulations in a row, and the report of one that failed. `load.ts` loads it.
 *
 * @module
 */
import { describeStep } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { type Outcome, planOf, simulate } from "./simulate.ts";

export { planOf, shrink, simulate };

/** What a campaign did. */
export interface Campaign {
  readonly seeds: number;
  readonly seconds: number;
  readonly published: number;
  readonly delivered: number;
  readonly lost: number;
  readonly connections: number;
  /** The first seed that failed. */
  readonly failed: Outcome | undefined;
}

/** Runs seeds in a row until one fails, or for some time. */
export async function runSeeds(from: number, to: number, maxMs: number = Infinity): Promise<Campaign> {
  const start = performance.now();
  const sums = { published: 0, delivered: 0, lost: 0, connections: 0 };
  let failed: Outcome | undefined;
  let seeds = 0;
  for (let seed = from; seed <= to && failed === undefined && performance.now() - start < maxMs; seed++) {
    const outcome = await simulate(seed);
    seeds++;
    for (const name of ["published", "delivered", "lost", "connections"] as const) {
      sums[name] += outcome[name];
    }
    if (outcome.failure !== undefined) failed = outcome;
  }
  return { seeds, seconds: (performance.now() - start) / 1000, ...sums, failed };
}

/** Returns the text of a simulation: its settings, its steps, what happened, and how to see it again. */
export function reportOf({ plan, failure, trace }: Outcome): string {
  const { steps, ...settings } = plan;
  return [
    JSON.stringify(settings),
    "",
    ...steps.map(describeStep),
    "",
    ...trace,
    "",
    failure === undefined ? "no violation" : `VIOLATION: ${failure}`,
    `again: npm run simulate -- --seed ${plan.seed}`,
  ].join("\n");
}
