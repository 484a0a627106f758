/**
 * `npm run simulate -- --seed N` runs one seed and prints its trace; `--seeds FROM..TO` runs many, and shrinks the first
 * one that fails; `--faults` plants faults, and `--faults PART` those whose names contain it.
 *
 * @module
 */
import { isBuiltin } from "node:module";
import process from "node:process";
import { parseArgs } from "node:util";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { argumentsOf, installRuntimes, programOf } from "../support/runtimes.ts";
import { FAULTS } from "./faults.ts";
import { load } from "./load.ts";

/** The runtime of simulations. */
const RUNTIME = "node26";

const { values, positionals: [part = ""] } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1..2000" },
    faults: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});

/** Runs this program again on the release of Node that simulations need, which has SQLite, and returns whether it ended with 0. */
function runOnNewNode(): boolean {
  installRuntimes([RUNTIME]);
  const script = fileURLToPath(import.meta.url);
  const { status } = spawnSync(programOf(RUNTIME), [
    ...argumentsOf(RUNTIME, []),
    script,
    ...process.argv.slice(2),
  ], { stdio: "inherit" });
  return status === 0;
}

/** Runs one seed. Returns whether it passed. */
async function runOne(seed: number): Promise<boolean> {
  const { reportOf, shrink, simulate } = await load();
  const outcome = await simulate(seed);
  const isShrunk = outcome.failure !== undefined && !values.whole;
  console.log(reportOf(isShrunk ? await shrink(outcome) : outcome));
  return outcome.failure === undefined;
}

/** Runs seeds until one fails. Returns whether all passed. */
async function runMany(from: number, to: number): Promise<boolean> {
  const { reportOf, runSeeds, shrink } = await load();
  const before = process.cpuUsage();
  const { failed, seconds, ...sums } = await runSeeds(from, to);
  const { user, system } = process.cpuUsage(before);
  const perSecond = Math.round(sums.seeds / ((user + system) / 1e6));
  console.log(`${seconds.toFixed(1)} s, ${perSecond} seeds in a second of a core: ${JSON.stringify(sums)}`);
  if (failed !== undefined) console.log(reportOf(values.whole ? failed : await shrink(failed)));
  return failed === undefined;
}

/** Plants each fault alone, and prints which seed finds it. Returns whether all were found. */
async function plantFaults(from: number, to: number): Promise<boolean> {
  const faults = FAULTS.filter(({ name }) => name.includes(part));
  let found = 0;
  for (const fault of faults) {
    const { runSeeds } = await load(fault);
    const { failed } = await runSeeds(from, to);
    if (failed !== undefined) found++;
    const how = failed && `found by seed ${failed.plan.seed}: ${failed.failure?.split("\n")[0]}`;
    console.log(`${fault.name}: ${how ?? "NOT FOUND"}`);
  }
  console.log(`${found} of ${faults.length} faults found`);
  return found === faults.length;
}

const [from = 1, to = from] = values.seeds.split("..").map(Number);
const run = () => {
  if (!isBuiltin("node:sqlite")) return runOnNewNode();
  if (values.seed !== undefined) return runOne(Number(values.seed));
  return values.faults ? plantFaults(from, to) : runMany(from, to);
};
process.exitCode = await run() ? 0 : 1;
