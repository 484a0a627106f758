/** Measurements in, Markdown tables out. */
import type { Load } from "./loads.ts";
import type { Delivered, Idle, Measurement, Stalled } from "./measure.ts";
import type { ServerSpec } from "./servers.ts";

/** What one server showed under one load; the errors are of the runs that failed. */
export interface Results {
  server: ServerSpec;
  measurements: Measurement[];
  errors: string[];
}

const YARDSTICK = "plain";
const NOTEWORTHY_SHARE = 0.05;
const ERROR_CHARACTERS = 160;

interface Column<Kind> {
  title: string;
  cell: (runs: Kind[], server: ServerSpec) => string;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}

/** Three digits that count, thousands apart. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString("en", { maximumFractionDigits: Math.max(0, 2 - digits) }).replaceAll(
    ",",
    " ",
  );
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : "–";
}

/** "median (min–max)", in the same way of writing. */
function spread(values: number[], write: (value: number) => string = number): string {
  if (values.length < 2) return write(median(values));
  return `${write(median(values))} (${write(Math.min(...values))}–${write(Math.max(...values))})`;
}

export const rate = (run: Delivered): number => run.deliveries / run.seconds;
export const cpuEach = (run: Delivered): number => run.cpu.server / run.deliveries * 1e6;
export const milliseconds = (key: "p50" | "p99" | "max") => (run: Delivered): number =>
  run.arrived[key] / 1000;

/** A server's median as a multiple of another's, which may not have been measured. */
function ratio<Run>(all: Results[], of: Run[], to: string | undefined, value: (run: Run) => number): string {
  const base = all.find(({ server }) => server.name === to)?.measurements as Run[] | undefined;
  return base?.length ? number(median(of.map(value)) / median(base.map(value))) : "–";
}

const cpuColumns: Column<Delivered>[] = [
  { title: "server CPU, µs per delivery", cell: (runs) => number(median(runs.map(cpuEach))) },
  {
    title: "server's core",
    cell: (runs) => percent(median(runs.map((run) => run.cpu.server / run.seconds))),
  },
  {
    title: "client's core",
    cell: (runs) => percent(median(runs.map((run) => run.cpu.client / run.seconds))),
  },
];

function throughputColumns(all: Results[]): Column<Delivered>[] {
  return [
    { title: "events", cell: (runs) => number(median(runs.map(({ events }) => events))) },
    { title: "deliveries/s", cell: (runs) => spread(runs.map(rate)) },
    { title: "× plain", cell: (runs) => ratio(all, runs, YARDSTICK, rate) },
    { title: "× own bare stream", cell: (runs, { yardstick }) => ratio(all, runs, yardstick, rate) },
    ...cpuColumns,
  ];
}

function latencyColumns(all: Results[]): Column<Delivered>[] {
  return [
    { title: "p50, ms", cell: (runs) => spread(runs.map(milliseconds("p50"))) },
    { title: "p99, ms", cell: (runs) => spread(runs.map(milliseconds("p99"))) },
    { title: "max, ms", cell: (runs) => number(Math.max(...runs.map(milliseconds("max")))) },
    { title: "deliveries/s", cell: (runs) => number(median(runs.map(rate))) },
    { title: "CPU × plain", cell: (runs) => ratio(all, runs, YARDSTICK, cpuEach) },
    ...cpuColumns,
  ];
}

const stallColumns: Column<Stalled>[] = [
  {
    title: "events/s at each, all reading",
    cell: (runs) => number(median(runs.map((run) => run.allReading))),
  },
  {
    title: "events/s at each reader, some stalled",
    cell: (runs) => number(median(runs.map((run) => run.someStalled))),
  },
  {
    title: "of the rate",
    cell: (runs) => spread(runs.map((run) => run.someStalled / run.allReading), percent),
  },
];

const idleColumns: Column<Idle>[] = [
  { title: "KiB of resident memory each", cell: (runs) => spread(runs.map((run) => run.kibEach)) },
];

function table<Kind extends Measurement>(all: Results[], columns: Column<Kind>[]): string {
  const row = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  const rows = all.map(({ server, measurements, errors }) => {
    const runs = measurements as Kind[];
    const name = [
      `${server.title}`,
      server.runtime === "node" && server.name === "nchan" ? "C" : server.runtime,
    ];
    const fault = errors[0] &&
      `**failed ${errors.length} ×**: ${errors[0].slice(0, ERROR_CHARACTERS).replaceAll("|", "¦")}`;
    if (runs.length === 0) return row([...name, fault ?? "–", ...columns.slice(1).map(() => "")]);
    const cells = columns.map(({ cell }) => cell(runs, server));
    return row(fault ? [...name, `${cells[0]}; ${fault}`, ...cells.slice(1)] : [...name, ...cells]);
  });
  const titles = ["server", "on", ...columns.map(({ title }) => title)];
  return [row(titles), row(titles.map((_, i) => i < 2 ? "---" : "---:")), ...rows].join("\n");
}

function describe(load: Load): string {
  const grouped = (count: number): string => count.toLocaleString("en").replaceAll(",", " ");
  const many = `${grouped(load.subscribers)} subscribers`;
  switch (load.kind) {
    case "throughput":
      return `${many}, ${load.title}, ${load.plan.bytes}-byte lines, up to ${
        grouped(load.plan.events)
      } events`;
    case "latency":
      return `${many}, ${load.title} for ${load.plan.seconds} s, whatever they do`;
    case "stall":
      return `${load.title}, ${load.plan.bytes}-byte lines`;
    case "idle":
      return many;
  }
}

/** A line that tells how quiet the machine was, where it was not. */
function disturbance(all: Results[]): string {
  const shares = all.flatMap(({ measurements }) => measurements).flatMap((run) =>
    run.kind === "delivered"
      ? [run.cpu.others / run.seconds]
      : run.kind === "stalled"
      ? [run.othersShare]
      : []
  );
  const [typical, most] = [median(shares), Math.max(...shares)];
  if (!(most > NOTEWORTHY_SHARE)) return "";
  return `\nOther processes took ${percent(typical)} of the server's core (median), at most ${
    percent(most)
  }.\n`;
}

export function renderLoad(load: Load, all: Results[]): string {
  const rows = {
    throughput: () => table(all, throughputColumns(all)),
    latency: () => table(all, latencyColumns(all)),
    stall: () => table(all, stallColumns),
    idle: () => table(all, idleColumns),
  }[load.kind]();
  return `### ${load.name}: ${describe(load)}\n\n${rows}\n${disturbance(all)}`;
}

/** What came from a source that only writes, and how busy the client was with it: the client's ceiling. */
export function renderCeiling(load: Load, runs: Delivered[]): string {
  const busy = median(runs.map((run) => run.cpu.client / run.seconds));
  const most = median(runs.map((run) => run.deliveries / run.cpu.client));
  return `- ${load.title}: ${spread(runs.map(rate))} deliveries/s, the client busy ${
    percent(busy)
  } of the time; ` +
    `at that price its core is good for ${number(most)}`;
}
