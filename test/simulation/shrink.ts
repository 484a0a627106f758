/**
 * Shrinking: a plan that fails, without the steps that it does not need for that.
 *
 * @module
 */
import type { Plan } from "./plan.ts";
import { type Outcome, simulate } from "./simulate.ts";

/** The most runs that shrinking may take. */
const MAX_RUNS = 400;

/** Removes steps for as long as the plan fails in the same way. */
export async function shrink(outcome: Outcome): Promise<Outcome> {
  const kind = kindOf(outcome);
  let best = outcome;
  let runs = 0;
  for (let size = Math.ceil(best.plan.steps.length / 2); size >= 1;) {
    let isSmaller = false;
    for (let from = 0; from < best.plan.steps.length && runs < MAX_RUNS;) {
      const steps = best.plan.steps.toSpliced(from, size);
      const plan: Plan = { ...best.plan, steps };
      runs++;
      const tried = await simulate(plan.seed, plan);
      if (kindOf(tried) === kind) {
        best = tried;
        isSmaller = true;
      } else from += size;
    }
    if (!isSmaller || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return best;
}

/** What failed, without the names and numbers of this run. */
function kindOf({ failure }: Outcome): string | undefined {
  return failure?.replaceAll(/[0-9a-f]{12}-\d+|\d+(?:\.\d+)?/g, "…").slice(0, 60);
}
