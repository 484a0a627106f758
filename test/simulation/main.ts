/**
 * `npm run simulate -- --seed N` runs one seed and prints its trace; `--seeds FROM..TO` runs many, and shrinks the first
 * one that fails.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { FAULTS } from "./faults.ts";
import { load } from "./load.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1..2000" },
    faults: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});
if (values.faults) {
  await plantFaults();
  process.exit();
}
const { reportOf, runSeeds, shrink, simulate } = await load();
const [from, to] = (values.seed ?? values.seeds).split("..").map(Number) as [number, number?];
if (values.seed !== undefined) {
  const outcome = await simulate(from);
  const isShrunk = outcome.failure !== undefined && !values.whole;
  console.log(reportOf(isShrunk ? await shrink(outcome) : outcome));
  process.exitCode = outcome.failure === undefined ? 0 : 1;
} else {
  const { failed, seconds, ...sums } = await runSeeds(from, to ?? from);
  const perSecond = Math.round(sums.seeds / seconds);
  console.log(`${seconds.toFixed(1)} s, ${perSecond} seeds a second: ${JSON.stringify(sums)}`);
  if (failed !== undefined) {
    console.log(reportOf(values.whole ? failed : await shrink(failed)));
    process.exitCode = 1;
  }
}

/** Plants each fault alone, and prints which seed finds it. */
async function plantFaults(): Promise<void> {
  let found = 0;
  for (const fault of FAULTS) {
    const { runSeeds } = await load(fault);
    const { failed, seeds } = await runSeeds(1, 2000);
    if (failed !== undefined) found++;
    const how = failed === undefined
      ? "NOT FOUND"
      : `found by seed ${seeds}: ${failed.failure?.split("\n")[0]}`;
    console.log(`${fault.name}: ${how}`);
  }
  console.log(`${found} of ${FAULTS.length} faults found`);
}
