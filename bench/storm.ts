/**
 * `npm run bench:storm`: everybody comes back at once. 200 readers connect within 100 ms and replay 50 000 events each,
 * beside nginx with the same bytes as a file; and what that does to readers that are there already. `--quick` takes one
 * turn, `--servers a,b` some of the servers.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, endAll } from "./child.ts";
import { type Bench, buildClient } from "./client.ts";
import type { LatencyLoad } from "./loads.ts";
import { describeMachine, leaveServerCore, residentKiB } from "./machine.ts";
import { publishTables } from "./page_tables.ts";
import { type Delivered, measure, publish, type RunningServer, start } from "./measure.ts";
import { NCHAN_RESUME, PLAIN_RESUME, SERVERS, type ServerSpec, STATIC } from "./servers.ts";
import { describeVersions } from "./versions.ts";

const READERS = 200;
const SPREAD_MS = 100;
const EVENTS = 50_000;
const STORM_SECONDS = 60;

/** A quick restart: these readers resume so many events behind the last one. */
const RESTART = { readers: 1000, least: 10, most: 500 };

/** Readers that are there already, at a moderate pace. */
const LIVE: LatencyLoad = {
  name: "live",
  kind: "latency",
  title: "live readers",
  subscribers: 50,
  repeats: 1,
  plan: { perSecond: 100, seconds: 3, bytes: 210 },
};

/** Runs `$0` behind others. Linux compares the priorities of sessions first where it groups by them, and a child has its own. */
const YIELDING = `echo 15 > /proc/self/autogroup; exec nice -n 15 "$0" "$@"`;

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
  restarts: Storm[];
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
  /** Where a reader resumes, `%ld` for the number of the event it has; and the number of the last one. */
  resumePath: string;
  last: number;
  /** Whether what it resumes has no end: the reader leaves when it has everything. */
  hasNoEnd?: boolean;
}

function buildStorm(folder: string): string {
  const binary = join(folder, "storm");
  const source = fileURLToPath(new URL("client/storm.c", import.meta.url));
  const { status, stderr } = spawnSync("cc", ["-O2", "-o", binary, source], { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench:storm needs a C compiler: ${stderr}`);
  return binary;
}

/** Lets all readers replay the whole history. */
function runStorm(binary: string, target: Target, yields = false): Promise<Storm> {
  return runClient(binary, target, target.path, READERS, [], yields);
}

/** Lets readers resume after a quick restart. */
function runRestart(binary: string, target: Target): Promise<Storm> {
  const { readers, least, most } = RESTART;
  const end = target.hasNoEnd === true ? ["open"] : [];
  return runClient(binary, target, target.resumePath, readers, [target.last, least, most, ...end]);
}

/**
 * Runs the client once.
 *
 * @param yields whether it lets the client of the live readers go first: they share a core, and what is measured is the
 *   server
 */
async function runClient(
  binary: string,
  { server, skippedLines, reference }: Target,
  path: string,
  readers: number,
  places: (number | string)[],
  yields = false,
): Promise<Storm> {
  const command = yields ? ["sh", "-c", YIELDING, binary] : [binary];
  const numbers = [readers, SPREAD_MS, skippedLines].map(String);
  const args = [String(server.port), path, ...numbers, reference, ...places.map(String)];
  const child = new Child("storm", [...command, ...args], "client");
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
  const [epoch, last] = (JSON.parse(body.slice(body.lastIndexOf("\n", body.length - 2) + 1)).id as string)
    .split("-");
  const resumePath = `/events?since=${epoch}-%ld&follow=false`;
  return { server, path, skippedLines: 1, reference, resumePath, last: Number(last) };
}

/**
 * Fills the buffer of nchan with what the last reader of a restart is behind. An id there is a second and the number of the
 * message in it: all have to be of one second.
 */
async function prepareNchan(folder: string): Promise<Target> {
  const server = { ...await start(NCHAN_RESUME), spec: NCHAN_RESUME };
  await delay(1020 - Date.now() % 1000);
  await publish(server, { perTurn: 10, events: RESTART.most + 1, seconds: 60, bytes: 210 });
  const headers = { Accept: "text/event-stream" };
  const response = await fetch(`http://127.0.0.1:${server.port}/all`, { headers });
  let text = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.split("\n\n").length > RESTART.most + 1) break;
  }
  const ids = text.match(/^id: .*$/gm) ?? [];
  const second = /\d+/.exec(ids[0] ?? "")?.[0];
  const body = (text.match(/^data: .+$/gm) ?? []).map((line) => `${line.slice(6)}\n`).join("");
  if (ids.length === 0 || ids.some((id, i) => id !== `id: ${second}:${i}`)) {
    throw new Error(`nchan: ids of several seconds: ${ids.at(-1)}`);
  }
  const reference = join(folder, server.spec.name);
  writeFileSync(reference, body);
  const resumePath = `/resume?id=${second}:%ld`;
  return { server, path: "", skippedLines: 0, reference, resumePath, last: RESTART.most, hasNoEnd: true };
}

/** Whether it is there only to be resumed, as a yardstick of a quick restart. */
const isOnlyResumed = ({ server }: Target): boolean =>
  server.spec === PLAIN_RESUME || server.spec === NCHAN_RESUME;

function peakMiB(pid: number): number {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(found?.[1]) / 1024;
}

/** Lets the peak begin at what is resident now. */
function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

async function takeTurn(bench: Bench, binary: string, target: Target, account: Account): Promise<void> {
  const { server } = target;
  if (!isOnlyResumed(target)) {
    const beforeMiB = residentKiB(server.pid) / 1024;
    forgetPeak(server.pid);
    account.storms.push(await runStorm(binary, target));
    account.grownMiB = Math.max(account.grownMiB, peakMiB(server.pid) - beforeMiB);
  }
  if (server.spec !== STATIC) account.restarts.push(await runRestart(binary, target));
  if (server.spec === STATIC || isOnlyResumed(target)) return;
  account.aloneP99.push((await measure(bench, server, LIVE) as Delivered).arrived.p99 / 1000);
  const live = measure(bench, server, LIVE) as Promise<Delivered>;
  let isOver = false;
  live.finally(() => isOver = true).catch(() => {});
  await delay(500); // They connect, and warm up.
  while (!isOver) await runStorm(binary, target, true);
  account.besideP99.push((await live).arrived.p99 / 1000);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function render(accounts: Account[]): string {
  const ms = (values: number[], digits = 0): string =>
    values.length > 0 ? median(values).toFixed(digits) : "–";
  const totals = (account: Account): number[] => account.storms.map(({ total }) => total);
  const restarts = (account: Account): number[] => account.restarts.map(({ total }) => total);
  const times = (values: number[], yardstick: number[]): string =>
    values.length > 0 ? (median(values) / median(yardstick)).toFixed(2) : "–";
  const nginx = accounts.find(({ server }) => server === STATIC)!;
  const plain = accounts.find(({ server }) => server === PLAIN_RESUME)!;
  const inC: readonly ServerSpec[] = [STATIC, NCHAN_RESUME];
  const rows = accounts.map((account) => {
    const { server, storms, aloneP99, besideP99, grownMiB } = account;
    const cells = [
      `${server.title} | ${inC.includes(server) ? "C" : server.runtime}`,
      ms(totals(account)),
      times(totals(account), totals(nginx)),
      ms(storms.map(({ first50 }) => first50)),
      ms(storms.map(({ first99 }) => first99)),
      ms(aloneP99, 1),
      ms(besideP99, 1),
      storms.length > 0 ? grownMiB.toFixed(0) : "–",
      ms(restarts(account)),
      times(restarts(account), restarts(plain)),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const titles = [
    ...["server", "on", "all done, ms", "× nginx", "first byte p50, ms", "first byte p99, ms"],
    ...["p99 of live readers alone, ms", "beside storms, ms", "memory grown by, MiB"],
    ...["restart: all up to date, ms", "× plain"],
  ];
  const head = [`| ${titles.join(" | ")} |`, `| --- | --- |${" ---: |".repeat(titles.length - 2)}`];
  return [...head, ...rows].join("\n");
}

async function run(folder: string, servers: ServerSpec[], turns: number): Promise<void> {
  const bench = { client: buildClient(folder).command, folder };
  const binary = buildStorm(folder);
  const targets: Target[] = [];
  for (const spec of servers) targets.push(await prepare(await start(spec), folder));
  const ours = targets[0]!;
  const file = ours.reference;
  const nginx = { ...await start({ ...STATIC, args: [file] }), spec: STATIC };
  const first = String(ours.last - EVENTS + 1);
  const plain = { ...await start({ ...PLAIN_RESUME, args: [file, first] }), spec: PLAIN_RESUME };
  targets.unshift(
    { ...ours, server: nginx, path: `/${basename(file)}`, skippedLines: 0 },
    { ...ours, server: plain },
    await prepareNchan(folder),
  );
  const accounts = targets.map(({ server }): Account => {
    return { server: server.spec, storms: [], restarts: [], aloneP99: [], besideP99: [], grownMiB: 0 };
  });
  for (let turn = 0; turn < turns; turn++) {
    for (const [i, target] of targets.entries()) await takeTurn(bench, binary, target, accounts[i]!);
  }
  const bytes = readFileSync(file).length;
  const heads = [
    `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. ${describeVersions(servers)}.`,
    `${READERS} readers connect within ${SPREAD_MS} ms and replay ${EVENTS} events (${bytes} bytes) each; medians of ${turns}. ` +
    `After that ${RESTART.readers} readers resume ${RESTART.least} to ${RESTART.most} events behind the last one.`,
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
    process.argv.includes("--quick") ? 1 : 5,
  );
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
