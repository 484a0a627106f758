/**
 * `npm run bench:storm`: everybody comes back at once. 200 readers connect within 100 ms and replay 50 000 events each,
 * beside nginx with the same bytes as a file; and what that does to readers that are there already. `--quick` takes one
 * turn, `--servers a,b` some of the servers.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, endAll } from "./child.ts";
import { type Bench, buildClient } from "./client.ts";
import type { LatencyLoad } from "./loads.ts";
import { describeMachine, leaveServerCore, residentKiB } from "./machine.ts";
import { publishTables } from "./page_tables.ts";
import { type Delivered, measure, publish, type RunningServer, start } from "./measure.ts";
import { SERVERS, type ServerSpec, STATIC } from "./servers.ts";
import { describeVersions } from "./versions.ts";

const READERS = 200;
const SPREAD_MS = 100;
const EVENTS = 50_000;
const STORM_SECONDS = 60;

/** Readers that are there already, at a moderate pace. */
const LIVE: LatencyLoad = {
  name: "live",
  kind: "latency",
  title: "live readers",
  subscribers: 50,
  repeats: 1,
  plan: { perSecond: 100, seconds: 3, bytes: 210 },
};

/** One storm; times in milliseconds. */
interface Storm {
  total: number;
  first50: number;
  first99: number;
}

/** What one server did: in each turn a storm, and the latency of live readers alone and beside storms. */
interface Account {
  server: ServerSpec;
  storms: Storm[];
  aloneP99: number[];
  besideP99: number[];
  grownMiB: number;
}

/** Where a storm goes, and what each of its readers has to get. */
interface Target {
  server: RunningServer;
  path: string;
  skippedLines: number;
  reference: string;
}

function buildStorm(folder: string): string {
  const binary = join(folder, "storm");
  const source = fileURLToPath(new URL("client/storm.c", import.meta.url));
  const { status, stderr } = spawnSync("cc", ["-O2", "-o", binary, source], { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench:storm needs a C compiler: ${stderr}`);
  return binary;
}

/**
 * Runs one storm.
 *
 * @param yields whether its client lets the client of the live readers go first: they share a core, and what is measured
 *   is the server
 */
async function runStorm(
  binary: string,
  yields: boolean,
  { server, path, skippedLines, reference }: Target,
): Promise<Storm> {
  const numbers = [READERS, SPREAD_MS, skippedLines].map(String);
  const command = yields ? ["nice", "-n", "15", binary] : [binary];
  const child = new Child("storm", [...command, String(server.port), path, ...numbers, reference], "client");
  try {
    const { total, first50, first99 } = await child.next<Storm>(STORM_SECONDS);
    return { total: total / 1000, first50: first50 / 1000, first99: first99 / 1000 };
  } finally {
    await child.end();
  }
}

/** Fills the history, checks the whole of it once, and writes it to a file for the readers to compare. */
async function prepare(server: RunningServer, folder: string): Promise<Target> {
  const path = "/events?since=earliest&follow=false";
  await publish(server, { perTurn: 100, events: EVENTS, seconds: 60, bytes: 210 });
  const text = await (await fetch(`http://127.0.0.1:${server.port}${path}`)).text();
  const body = text.slice(text.indexOf("\n") + 1);
  const numbers = body.trimEnd().split("\n").map((line) => JSON.parse(line).event.n as number);
  if (numbers.length !== EVENTS || numbers.some((n, i) => n !== numbers[0]! + i)) {
    throw new Error(`${server.spec.name} replays ${numbers.length} events, or not in order`);
  }
  const reference = join(folder, server.spec.name);
  writeFileSync(reference, body);
  return { server, path, skippedLines: 1, reference };
}

function peakMiB(pid: number): number {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(found?.[1]) / 1024;
}

async function takeTurn(bench: Bench, binary: string, target: Target, account: Account): Promise<void> {
  const { server } = target;
  const beforeMiB = residentKiB(server.pid) / 1024;
  account.storms.push(await runStorm(binary, false, target));
  account.grownMiB = Math.max(account.grownMiB, peakMiB(server.pid) - beforeMiB);
  if (server.spec === STATIC) return;
  account.aloneP99.push((await measure(bench, server, LIVE) as Delivered).arrived.p99 / 1000);
  const live = measure(bench, server, LIVE) as Promise<Delivered>;
  let isOver = false;
  live.finally(() => isOver = true).catch(() => {});
  await delay(500); // They connect, and warm up.
  while (!isOver) await runStorm(binary, true, target);
  account.besideP99.push((await live).arrived.p99 / 1000);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function render(accounts: Account[]): string {
  const yardstick = median(accounts[0]!.storms.map(({ total }) => total));
  const rows = accounts.map(({ server, storms, aloneP99, besideP99, grownMiB }) => {
    const total = median(storms.map(({ total }) => total));
    const cells = [
      `${server.title} | ${server.runtime}`,
      total.toFixed(0),
      (total / yardstick).toFixed(2),
      median(storms.map(({ first50 }) => first50)).toFixed(0),
      median(storms.map(({ first99 }) => first99)).toFixed(0),
      aloneP99.length > 0 ? median(aloneP99).toFixed(1) : "–",
      besideP99.length > 0 ? median(besideP99).toFixed(1) : "–",
      grownMiB.toFixed(0),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| server | on | all done, ms | × nginx | first byte p50, ms | p99, ms | live p99 alone, ms | beside storms, ms | grown by, MiB |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

async function run(folder: string, servers: ServerSpec[], turns: number): Promise<void> {
  const bench = { client: buildClient(folder).command, folder };
  const binary = buildStorm(folder);
  const targets: Target[] = [];
  for (const spec of servers) targets.push(await prepare(await start(spec), folder));
  const file = targets[0]!.reference;
  const nginx = await start({ ...STATIC, args: [file] });
  const path = `/${targets[0]!.server.spec.name}`;
  targets.unshift({ server: { ...nginx, spec: STATIC }, path, skippedLines: 0, reference: file });
  const accounts = targets.map(({ server }): Account => {
    return { server: server.spec, storms: [], aloneP99: [], besideP99: [], grownMiB: 0 };
  });
  for (let turn = 0; turn < turns; turn++) {
    for (const [i, target] of targets.entries()) await takeTurn(bench, binary, target, accounts[i]!);
  }
  const bytes = readFileSync(file).length;
  const heads = [
    `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. ${describeVersions(servers)}.`,
    `${READERS} readers connect within ${SPREAD_MS} ms and replay ${EVENTS} events (${bytes} bytes) each; medians of ${turns}.`,
  ];
  publishTables("storm", [...heads, render(accounts)].join("\n\n"));
}

const folder = mkdtempSync(join(tmpdir(), "bench-storm-"));
chmodSync(folder, 0o755); // The worker of nginx is another user.
try {
  leaveServerCore();
  const named = process.argv.find((argument) => argument.startsWith("--servers="))?.slice(10).split(",");
  const names = named ?? ["ours-node", "ours-deno", "ours-bun"];
  await run(
    folder,
    SERVERS.filter(({ name }) => names.includes(name)),
    process.argv.includes("--quick") ? 1 : 3,
  );
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
