/**
 * `npm run bench:sqlite`: a channel in a file beside one in memory and beside bare `node:sqlite`, on Node 24, Deno and Bun; and by
 * `POST` beside one on NATS, and beside Durable Streams with its file store (`npm run bench:sqlite posts` for that alone,
 * `npm run bench:sqlite fan-out` for what readers receive). `--write` writes the tables into the page. This file itself measures the
 * runtime that runs it: `deno run --allow-all bench/sqlite.ts one`. Wants `nats-server` and a C compiler.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { type Channel, createChannel, defineEvents } from "../src/mod.ts";
import { sqliteChannel } from "../src/sqlite/mod.ts";
import { withNats } from "../test/nats/server.ts";
import { argumentsOf, installRuntimes, programOf } from "../test/support/runtimes.ts";
import type { RuntimeName } from "../test/suites.ts";
import { Child } from "./child.ts";
import { compareFanOut, type FanOut, renderFanOut } from "./fan_out_in_file.ts";
import { measureHolds, waitedMs } from "./holds.ts";
import { describeMachine } from "./machine.ts";
import { publishTables } from "./page_tables.ts";
import { LINE, PostLoad } from "./post_load.ts";
import { runtimeVersion } from "./servers.ts";

const ROUNDS = 5;
const SINGLES = 100_000;
const IN_FLIGHT = 32;
const BATCHES = 300;
const BATCH = 1000;
const REPLAYED = 1_000_000;
const OPENED = 5_000_000;
const READERS = 100;
/** The most milliseconds for which a commit is to hold the event loop. */
const MAX_HOLD_MS = 10;

const catalogue = defineEvents({ tick: v.object({ infohash: v.string(), name: v.string(), n: v.number() }) });
type Bench = Channel<typeof catalogue.schemas>;
const infohash = "08ada5a7a6183aae1e09d831df6748d566095a10";
const draft = (n: number) => ({ type: "tick" as const, event: { infohash, name: "some name", n } });
const batch = Array.from({ length: BATCH }, (_, n) => draft(n));

/**
 * The longest time for which the event loop was held since the last call, in milliseconds, without what the process had to wait
 * for a core.
 */
let longest = 0;
let lastTick = performance.now();
let lastWait = waitedMs();
const ticker = setInterval(() => {
  const [now, wait] = [performance.now(), waitedMs()];
  longest = Math.max(longest, now - lastTick - 1 - (wait - lastWait));
  [lastTick, lastWait] = [now, wait];
}, 1);

function takeLongest(): number {
  const taken = longest;
  longest = 0;
  [lastTick, lastWait] = [performance.now(), waitedMs()];
  return taken;
}

async function perSecond(count: number, run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return count / (performance.now() - start) * 1000;
}

async function publishSingles(channel: Bench): Promise<void> {
  let n = 0;
  const publish = async () => {
    while (n < SINGLES) await channel.publish("tick", draft(n++).event);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, publish));
}

async function publishBatches(channel: Bench, count: number = BATCHES): Promise<void> {
  for (let n = 0; n < count; n++) await channel.publishBatch(batch);
}

async function replay(channel: Bench, count: number): Promise<void> {
  let read = 0;
  for await (const { entries } of channel.batches("earliest")) {
    if ((read += entries.length) >= count) return;
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Runs each of the ways in turn, round by round, and returns the medians, in events per second. */
async function compare(ways: Record<string, () => Promise<number>>): Promise<Record<string, number>> {
  const results = Object.keys(ways).map((): number[] => []);
  takeLongest();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [name, run]] of Object.entries(ways).entries()) {
      results[index]!.push(await run());
      console.error(`${name}: the event loop was held for at most ${takeLongest().toFixed(1)} ms`);
    }
  }
  return Object.fromEntries(Object.keys(ways).map((name, index) => [name, median(results[index]!)]));
}

/** Prints what holds the event loop while events are stored and erased. Every 15th has another subject. */
async function measureWhatHolds(folder: string): Promise<void> {
  const subjects = defineEvents(catalogue.schemas, {
    subject: { tick: ({ n }) => n % 15 === 0 ? "jane" : "others" },
  });
  const channel = await sqliteChannel(join(folder, "holds.db"), subjects, { keep: { bytes: null } });
  const ways = {
    "single events": () => publishSingles(channel),
    "batches": () => publishBatches(channel),
    "erase()": () => channel.erase({ subject: "jane" }),
  };
  for (const [name, run] of Object.entries(ways)) {
    const { longest, sqlite, sqliteCpu, gc } = await measureHolds(run);
    const verdict = sqlite <= MAX_HOLD_MS
      ? "met"
      : `missed by ${(sqlite / MAX_HOLD_MS * 100 - 100).toFixed(0)} %`;
    const collections = gc === undefined ? "" : `; by a garbage collection for ${gc.toFixed(1)} ms`;
    console.error(
      `${name}: the event loop is held for at most ${longest.toFixed(1)} ms; by SQLite for ${
        sqlite.toFixed(1)
      } ms ` +
        `(at most ${MAX_HOLD_MS}: ${verdict}), ${sqliteCpu.toFixed(1)} ms of them on a core${collections}`,
    );
  }
  await channel.close();
}

/** What a runtime has reached. */
interface Measured {
  /** Events per second, by what was done. */
  readonly rates: Record<string, number>;
  readonly opened: {
    readonly events: number;
    readonly mib: number;
    readonly ms: number;
    readonly grownMib: number;
  };
}

async function measureRuntime(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "events-endpoint-"));
  const { DatabaseSync } = await import("node:sqlite");
  const bare = new DatabaseSync(join(folder, "bare.db"));
  bare.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (n INTEGER PRIMARY KEY, json TEXT)",
  );
  const insert = bare.prepare("INSERT INTO t (json) VALUES (?)");
  const json = JSON.stringify(draft(1));
  const keep = { bytes: null };
  const memory = createChannel(catalogue);
  const file = await sqliteChannel(join(folder, "process.db"), catalogue, { keep });
  const power = await sqliteChannel(join(folder, "power.db"), catalogue, { keep, durability: "power" });
  const published = await compare({
    "publishes single events in memory": () => perSecond(SINGLES, () => publishSingles(memory)),
    'the same in a file, `"process"`': () => perSecond(SINGLES, () => publishSingles(file)),
    'the same in a file, `"power"`': () => perSecond(SINGLES, () => publishSingles(power)),
    "publishes batches in memory": () => perSecond(BATCHES * BATCH, () => publishBatches(memory)),
    'batches in a file, `"process"`': () => perSecond(BATCHES * BATCH, () => publishBatches(file)),
    'batches in a file, `"power"`': () => perSecond(BATCHES * BATCH, () => publishBatches(power)),
    "bare SQLite, inserts in transactions of 1 000": () =>
      perSecond(BATCHES * BATCH, () => {
        for (let n = 0; n < BATCHES; n++) {
          bare.exec("BEGIN");
          for (let i = 0; i < BATCH; i++) insert.run(json);
          bare.exec("COMMIT");
        }
        return Promise.resolve();
      }),
  });
  await power.close();
  const replayed = await compare({
    "replays a million events from the file to one reader": () =>
      perSecond(REPLAYED, () => replay(file, REPLAYED)),
    "replays from the file to 100 readers, to each": () =>
      perSecond(
        REPLAYED / 10,
        () => Promise.all(Array.from({ length: READERS }, () => replay(file, REPLAYED / 10))),
      ),
  });
  const before = process.memoryUsage().rss;
  await publishBatches(file, Math.ceil((OPENED - file.last) / BATCH));
  const grown = process.memoryUsage().rss - before;
  await file.close();
  const size = statSync(join(folder, "process.db")).size;
  const start = performance.now();
  const opened = await sqliteChannel(join(folder, "process.db"), catalogue, { keep });
  const ms = performance.now() - start;
  const opening = { events: opened.last, mib: size >> 20, ms: Math.round(ms), grownMib: grown >> 20 };
  await opened.close();
  bare.close();
  await measureWhatHolds(folder);
  rmSync(folder, { recursive: true });
  clearInterval(ticker);
  return { rates: { ...published, ...replayed }, opened: opening };
}

/** What stores what is published by `POST`, and this project in memory beside it. */
const STORES = {
  "by `POST`, in memory": "ours",
  'by `POST`, in a file, `"process"`': "process",
  'by `POST`, in a file, `"power"`': "power",
  "by `POST`, on NATS with a disk": "nats",
  "by `POST`, Durable Streams' file store, which waits for the disk": "durable",
} as const;
const POST_ROUNDS = 5;
const POST_MS = 2000;

/** Compares publishing by `POST`, one event a request over 32 connections: the servers take turns. Returns events per second. */
async function comparePosts(runtime: RuntimeName, load: PostLoad): Promise<Record<string, number>> {
  const medians: Record<string, number> = {};
  await withNats(async ({ url }) => {
    process.env["BENCH_NATS"] = url;
    const folder = mkdtempSync(join(tmpdir(), "events-endpoint-"));
    const script = fileURLToPath(new URL("servers/posts.ts", import.meta.url));
    const body = { title: "", contentType: "application/json", text: LINE, events: 1 };
    const servers: { name: string; child: Child; port: number; rates: number[]; isOurs: boolean }[] = [];
    try {
      for (const [name, kind] of Object.entries(STORES)) {
        const args = [...argumentsOf(runtime, ["--allow-all"]), script, kind];
        if (kind !== "ours") args.push(folder);
        const child = new Child(name, [programOf(runtime), ...args], "server");
        const { ready } = await child.next<{ ready: { port: number } }>(60);
        servers.push({ name, child, port: ready.port, rates: [], isOurs: kind !== "durable" });
      }
      for (let round = 0; round <= POST_ROUNDS; round++) {
        for (const { port, rates, isOurs } of servers) {
          const { events, seconds } = await load.post(port, body, POST_MS, isOurs);
          if (round > 0) rates.push(events / seconds); // The first round is for the compilers.
        }
      }
      for (const { name, rates } of servers) medians[name] = median(rates);
    } finally {
      for (const { child } of servers) await child.end();
      rmSync(folder, { recursive: true });
    }
  });
  return medians;
}

/** Measures one runtime in a process of its own. */
function measureOn(runtime: RuntimeName): Measured {
  const args = [...argumentsOf(runtime, ["--allow-all"]), fileURLToPath(import.meta.url), "one"];
  const { status, stdout } = spawnSync(programOf(runtime), args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`bench:sqlite failed on ${runtime}`);
  return JSON.parse(stdout);
}

/** Returns a table of events per second: a row for each way, a column for each runtime. */
function renderRates(rates: ReadonlyMap<string, Record<string, number>>): string {
  const ways = Object.keys([...rates.values()][0]!);
  const rounded = (rate: number) => Number(rate.toPrecision(3)).toLocaleString("en").replaceAll(",", " ");
  return [
    `| events per second | ${[...rates.keys()].join(" | ")} |`,
    `| --- |${" ---: |".repeat(rates.size)}`,
    ...ways.map((way) => `| ${[way, ...[...rates.values()].map((of) => rounded(of[way]!))].join(" | ")} |`),
  ].join("\n");
}

function renderOpened(opened: ReadonlyMap<string, Measured["opened"]>): string {
  const [{ events, mib }] = [...opened.values()] as [Measured["opened"]];
  const of = (value: (one: Measured["opened"]) => number) => [...opened.values()].map(value).join(", ");
  return `A file with ${events.toLocaleString("en").replaceAll(",", " ")} events (${mib} MiB) opens in ${
    of(({ ms }) => ms)
  } ms. While it was written, the memory of the process grew by ${
    of(({ grownMib }) => Math.max(0, grownMib))
  } MiB.`;
}

async function main(part: string | undefined): Promise<void> {
  const runtimes = ["node24", "deno", "bun"] as const;
  installRuntimes(runtimes);
  spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  });
  const measured = `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. Medians of ${ROUNDS}.`;
  const load = new PostLoad();
  const [rates, opened] = [new Map<string, Record<string, number>>(), new Map<string, Measured["opened"]>()];
  const fanOut: FanOut[] = [];
  for (const runtime of runtimes) {
    const name = `${runtime} ${runtimeVersion(runtime)}`;
    const alone = part === undefined ? measureOn(runtime) : undefined;
    if (alone !== undefined) opened.set(name, alone.opened);
    if (part !== "posts") fanOut.push(await compareFanOut(runtime, name));
    if (part !== "fan-out") rates.set(name, { ...alone?.rates, ...await comparePosts(runtime, load) });
  }
  load.remove();
  if (part !== "fan-out") {
    const tables = [renderRates(rates), ...(opened.size > 0 ? [renderOpened(opened)] : [])];
    publishTables("sqlite", [measured, ...tables].join("\n\n"));
  }
  if (part !== "posts") publishTables("fan-out in a file", [measured, renderFanOut(fanOut)].join("\n\n"));
}

const [part] = process.argv.slice(2).filter((argument) => argument !== "--write");
if (part === "one") console.log(JSON.stringify(await measureRuntime()));
else if (part === "holds") {
  const folder = mkdtempSync(join(tmpdir(), "events-endpoint-"));
  await measureWhatHolds(folder);
  rmSync(folder, { recursive: true });
  clearInterval(ticker);
} else {
  await main(part);
  process.exit(0);
}
