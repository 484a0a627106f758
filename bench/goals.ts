/** The goals: what this project is to reach under a load, as a multiple of another server in the same run. */
import { cpuEach, median, milliseconds, number, rate, type Results } from "./report.ts";
import type { Idle, Measurement } from "./measure.ts";

interface Goal {
  load: string;
  server: string;
  /** The server that it is compared with. */
  to: string;
  what: string;
  value: (run: never) => number;
  atLeast?: number;
  atMost?: number;
}

const p50 = { what: "p50", value: milliseconds("p50") };
const p99 = { what: "p99", value: milliseconds("p99") };
const cpu = { what: "CPU for a delivery", value: cpuEach };
const deliveries = { what: "deliveries", value: rate };
const memory = { what: "memory", value: (run: Idle) => run.kibEach };

const onNode = { server: "ours-node", to: "plain" };
const onDeno = { server: "ours-deno", to: "bare-deno" };
const onBun = { server: "ours-bun", to: "bare-bun" };

const GOALS: readonly Goal[] = [
  { load: "L1", ...onNode, ...deliveries, atLeast: 83 },
  { load: "L2", ...onNode, ...deliveries, atLeast: 14 },
  { load: "L3", ...onNode, ...deliveries, atLeast: 23 },
  { load: "L4", ...onNode, ...p99, atMost: 1 },
  ...[onNode, onDeno, onBun].flatMap((servers) => [
    { load: "L5", ...servers, ...p50, atMost: 1.2 },
    { load: "L5", ...servers, ...p99, atMost: 1.2 },
    { load: "L5", ...servers, ...cpu, atMost: 0.9 },
  ]),
  { load: "L7", ...onNode, ...memory, atMost: 1 },
  { load: "L7", ...onDeno, ...memory, atMost: 1.05 },
  { load: "L7", ...onBun, ...memory, atMost: 1.15 },
];

/** Says for each goal of a load by how much it is met or missed; empty where none can be judged. */
export function renderGoals(load: string, all: Results[]): string {
  const runsOf = (name: string): Measurement[] =>
    all.find(({ server }) => server.name === name)?.measurements ?? [];
  const lines = GOALS.filter((goal) => goal.load === load).flatMap((goal) => {
    const [ours, theirs] = [runsOf(goal.server), runsOf(goal.to)];
    if (ours.length === 0 || theirs.length === 0) return [];
    const value = goal.value as (run: Measurement) => number;
    const times = median(ours.map(value)) / median(theirs.map(value));
    const { atLeast, atMost } = goal;
    const isMet = atLeast === undefined ? times <= atMost! : times >= atLeast;
    const bound = atLeast === undefined ? `at most ${atMost} ×` : `at least ${atLeast} ×`;
    const missedBy = Math.abs(times / (atLeast ?? atMost!) - 1) * 100;
    const verdict = isMet ? "met" : `missed by ${missedBy.toFixed(0)} %`;
    return [`- ${goal.server}, ${goal.what}: ${number(times)} × ${goal.to}, ${bound}: **${verdict}**`];
  });
  return lines.length === 0 ? "" : `Goals:\n\n${lines.join("\n")}\n`;
}
