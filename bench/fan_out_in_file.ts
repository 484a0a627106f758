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
import { cpuEach, median, milliseconds, rate } from "./report.ts";
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

/** What readers of a file receive on one runtime, as multiples of what they receive in memory. */
export interface FanOut {
  /** The runtime, and its release. */
  readonly name: string;
  readonly loads: readonly Compared[];
}

interface Compared {
  readonly load: Load;
  /** The deliveries per second, or the p99 of their latency at a fixed rate. */
  readonly file: number;
  readonly fileCpu: number;
  /** The same in memory with bare SQLite beside it. */
  readonly beside: number;
}

/** Compares them on one runtime, where they take turns. Each ratio is the median of those of the rounds. */
export async function compareFanOut(runtime: string, name: string): Promise<FanOut> {
  const compared = IN_FILE.find(({ file }) => file.runtime === runtime)!;
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  leaveServerCore();
  const bench: Bench = { client: buildClient(folder).command, folder };
  const loads: Compared[] = [];
  try {
    for (const load of COMPARED) {
      const rounds = await takeTurns(bench, load, compared);
      const of = load.kind === "latency" ? milliseconds("p99") : rate;
      const ratio = (kind: "file" | "beside", value: (run: Delivered) => number) =>
        median(rounds.map((round) => value(round[kind]) / value(round.memory)));
      loads.push({
        load,
        file: ratio("file", of),
        fileCpu: ratio("file", cpuEach),
        beside: ratio("beside", of),
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return { name, loads };
}

/** Returns the table: a row for each load, a column for each runtime. */
export function renderFanOut(all: readonly FanOut[]): string {
  const rows = COMPARED.map((load, index) => {
    const cells = all.map(({ loads }) => {
      const { file, fileCpu, beside } = loads[index]!;
      const verdict = load.kind !== "latency" && file < LEAST_DELIVERIES ? " missed" : "";
      return `${file.toFixed(2)}${verdict}, ${fileCpu.toFixed(2)}; ${beside.toFixed(2)}`;
    });
    const what = load.kind === "latency" ? "p99" : "deliveries/s";
    return `| ${
      [`${load.name}: ${load.title}, ${load.subscribers} readers: ${what}`, ...cells].join(" | ")
    } |`;
  });
  return [
    `| file ÷ memory, its CPU for a delivery ÷ that in memory; bare SQLite ÷ memory | ${
      all.map(({ name }) => name).join(" | ")
    } |`,
    `| --- |${" ---: |".repeat(all.length)}`,
    ...rows,
  ].join("\n");
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
