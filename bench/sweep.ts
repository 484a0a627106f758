/**
 * `npm run bench:sweep`: 200 readers at a growing pace, until each server falls behind. With `--write` it writes its table
 * and a picture into the documentation.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { endAll } from "./child.ts";
import { buildClient } from "./client.ts";
import { describeMachine, leaveServerCore } from "./machine.ts";
import { type Delivered, measure, type RunningServer, startWarm } from "./measure.ts";
import { publishTables } from "./page_tables.ts";
import { cpuEach, median, milliseconds, number } from "./report.ts";
import { SERVERS, type ServerSpec } from "./servers.ts";
import { describeVersions, unavailable } from "./versions.ts";

const PICTURE = fileURLToPath(new URL("../docs/latency.svg", import.meta.url));
const PACES = [50, 200, 500, 1000, 2000, 5000];
const READERS = 200;
const SECONDS = 2;
const TURNS = 5;
/** A server whose last event arrives later than this after it was due has fallen behind. */
const BEHIND_MS = 250;

/** What one server did at one pace; `undefined` where it failed. */
interface Point {
  perSecond: number;
  p50: number;
  p99: number;
  cpu: number;
  isBehind: boolean;
}

interface Row {
  server: ServerSpec;
  points: Point[];
}

async function measureAll(servers: ServerSpec[], folder: string): Promise<Row[]> {
  const bench = { client: buildClient(folder).command, folder };
  const running: RunningServer[] = [];
  for (const spec of servers) running.push(await startWarm(bench, spec));
  const rows = servers.map((server): Row => ({ server, points: [] }));
  for (const perSecond of PACES) {
    const runs = servers.map((): Delivered[] => []);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [i, server] of running.entries()) {
        const plan = { perSecond, seconds: SECONDS, bytes: 210 };
        const load = {
          name: "sweep",
          kind: "latency",
          title: "",
          subscribers: READERS,
          repeats: 1,
          plan,
        } as const;
        runs[i]!.push(await measure(bench, server, load) as Delivered);
        process.stderr.write(`${perSecond}/s ${server.spec.name} ${turn + 1}/${TURNS}\n`);
      }
    }
    for (const [i, row] of rows.entries()) row.points.push(summarize(perSecond, runs[i]!));
  }
  return rows;
}

function summarize(perSecond: number, runs: Delivered[]): Point {
  return {
    perSecond,
    p50: median(runs.map(milliseconds("p50"))),
    p99: median(runs.map(milliseconds("p99"))),
    cpu: median(runs.map(cpuEach)),
    isBehind: median(runs.map(milliseconds("max"))) > BEHIND_MS,
  };
}

function table(rows: Row[]): string {
  const cell = ({ p50, p99, cpu, isBehind }: Point): string =>
    isBehind ? "falls behind" : `${number(p50)}, ${number(p99)} ms; ${number(cpu)} µs`;
  const lines = rows.map(({ server, points }) =>
    `| ${server.title} on ${server.name === "nchan" ? "C" : server.runtime} | ${
      points.map(cell).join(" | ")
    } |`
  );
  const head = `| p50, p99; CPU for a delivery | ${PACES.map((pace) => `${pace}/s`).join(" | ")} |`;
  return [head, `| --- | ${PACES.map(() => "---:").join(" | ")} |`, ...lines].join("\n");
}

const COLOURS = ["#888888", "#b3773b", "#3b7fb3", "#2a9d3f", "#7a4fb3", "#b33b6f"];
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [720, 360, 60, 50];
const [LEAST_MS, MOST_MS] = [0.3, 300];

/** The p99 of each server over the pace, both in logarithms; a line ends where its server falls behind. */
function picture(rows: Row[]): string {
  const x = (perSecond: number): number =>
    LEFT + Math.log(perSecond / PACES[0]!) / Math.log(PACES.at(-1)! / PACES[0]!) * (WIDTH - LEFT - 150);
  const y = (ms: number): number => {
    const share = Math.log(Math.min(Math.max(ms, LEAST_MS), MOST_MS) / LEAST_MS) /
      Math.log(MOST_MS / LEAST_MS);
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 20);
  };
  const text = (at: [number, number], words: string, more = ""): string =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${words}</text>`;
  const grid = [1, 10, 100].map((ms) =>
    `<line x1="${LEFT}" x2="${WIDTH - 150}" y1="${y(ms)}" y2="${y(ms)}" stroke="#8884"/>` +
    text([LEFT - 8, y(ms) + 4], `${ms} ms`, `text-anchor="end"`)
  );
  const paces = PACES.map((pace) =>
    text([x(pace), HEIGHT - BOTTOM + 20], String(pace), `text-anchor="middle"`)
  );
  const lines = rows.map(({ server, points }, i) => {
    const kept = points.filter(({ isBehind }) => !isBehind);
    const corners = kept.map(({ perSecond, p99 }) => `${x(perSecond).toFixed(1)},${y(p99).toFixed(1)}`);
    const colour = COLOURS[i % COLOURS.length];
    const dots = corners.map((corner) =>
      `<circle cx="${corner.split(",")[0]}" cy="${corner.split(",")[1]}" r="3" fill="${colour}"/>`
    );
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${corners.join(" ")}"/>${
      dots.join("")
    }` +
      text([WIDTH - 140, 40 + 20 * i], server.name, `fill="${colour}"`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#777">
${[...grid, ...paces, ...lines].join("\n")}
${text([LEFT, 14], `p99 of the latency, ${READERS} readers; a line ends where the server falls behind`)}
${text([(LEFT + WIDTH - 150) / 2, HEIGHT - 10], "events a second", `text-anchor="middle"`)}
</svg>
`;
}

const folder = mkdtempSync(join(tmpdir(), "bench-sweep-"));
try {
  leaveServerCore();
  const names = ["plain", "better-sse", "nchan", "ours-node", "ours-deno", "ours-bun"];
  const servers = SERVERS.filter((server) => names.includes(server.name) && !unavailable(server));
  const rows = await measureAll(servers, folder);
  const head = `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. ${
    describeVersions(servers)
  }. Medians of ${TURNS}.`;
  publishTables("sweep", `${head}\n\n${table(rows)}`);
  if (process.argv.includes("--write")) writeFileSync(PICTURE, picture(rows));
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
