/**
 * The fan-out of a channel in a file beside the one in memory: the loads of `npm run bench`, and one more at a fixed rate. The
 * yardstick is the one in memory with bare SQLite beside it, for which nothing waits.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bench, buildClient } from "./client.ts";
import { type LatencyLoad, type Load, LOADS } from "./loads.ts";
import { leaveServerCore } from "./machine.ts";
import { type Delivered, measure, start } from "./measure.ts";
import { cpuEach, median, milliseconds, number, rate } from "./report.ts";
import { IN_FILE } from "./servers.ts";

const ROUNDS = 5;
/** What the fan-out of a file is to reach, as a multiple of that in memory. */
const LEAST_DELIVERIES = 0.95;

const QUICK: LatencyLoad = {
  name: "L5, ten times as many",
  kind: "latency",
  title: "5 000 events/s",
  subscribers: 200,
  repeats: ROUNDS,
  plan: { perSecond: 5000, seconds: 3, bytes: 210 },
};
const COMPARED: Load[] = [...LOADS.filter(({ name }) => ["L1", "L2", "L3", "L5"].includes(name)), QUICK];

interface Value {
  readonly name: string;
  readonly of: (run: Delivered) => number;
  readonly atLeast?: number;
}

const DELIVERIES: Value = { name: "deliveries/s", of: rate, atLeast: LEAST_DELIVERIES };
const CPU: Value = { name: "µs of CPU for a delivery", of: cpuEach };
const LATENCIES: Value[] = (["p50", "p99"] as const).map((key) => ({
  name: `ms, ${key}`,
  of: milliseconds(key),
}));

/** Compares them on one runtime, where they take turns, and prints the medians. The ratio is that of a round. */
export async function compareFanOut(runtime: string): Promise<void> {
  const compared = IN_FILE.find(({ file }) => file.runtime === runtime)!;
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  leaveServerCore();
  const bench: Bench = { client: buildClient(folder).command, folder };
  try {
    for (const load of COMPARED) {
      const rounds = await takeTurns(bench, load, compared);
      console.log(`fan-out, ${load.name}: ${load.title}, ${load.subscribers} readers`);
      for (const value of load.kind === "latency" ? [...LATENCIES, CPU] : [DELIVERIES, CPU]) {
        console.log(describe(value, rounds));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Round = Readonly<Record<keyof (typeof IN_FILE)[number], Delivered>>;

async function takeTurns(bench: Bench, load: Load, compared: (typeof IN_FILE)[number]): Promise<Round[]> {
  const servers = [await start(compared.memory), await start(compared.file), await start(compared.beside)];
  try {
    const rounds: Round[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const runs: Delivered[] = [];
      for (const server of servers) runs.push(await measure(bench, server, load) as Delivered);
      const [memory, file, beside] = runs as [Delivered, Delivered, Delivered];
      if (round > 0) rounds.push({ memory, file, beside }); // The first round is for the compilers.
    }
    return rounds;
  } finally {
    for (const { child } of servers) await child.end();
  }
}

function describe({ name, of, atLeast }: Value, rounds: Round[]): string {
  const inMemory = number(median(rounds.map(({ memory }) => of(memory))));
  const inFile = number(median(rounds.map(({ file }) => of(file))));
  const ratioOf = (kind: keyof Round) => median(rounds.map((round) => of(round[kind]) / of(round.memory)));
  const ratio = ratioOf("file");
  const missedBy = (1 - ratio / (atLeast ?? 0)) * 100;
  const verdict = missedBy > 0 ? `missed by ${missedBy.toFixed(0)} %` : "met";
  const goal = atLeast === undefined ? "" : `, at least ${atLeast}: ${verdict}`;
  const least = ratioOf("beside").toFixed(2);
  return `${inFile.padStart(10)}  ${name} (in memory ${inMemory}: ${
    ratio.toFixed(2)
  } of it${goal}; with bare SQLite ${least})`;
}
