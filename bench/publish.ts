/**
 * `npm run bench:publish`: how fast events are published, by `POST` and in process, beside other servers in one run.
 *
 * The servers take turns on one core, the load client has the other. After each turn of ours the number of events in the
 * channel must have grown by what was accepted. `--quick` measures shorter, `--runtimes node,bun` only these, and `--write` writes
 * the tables into the page.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as v from "valibot";
import { createChannel, defineEvents } from "../src/mod.ts";
import { Child, endAll } from "./child.ts";
import { describeMachine, leaveServerCore } from "./machine.ts";
import { publishTables } from "./page_tables.ts";
import { type Body, EVENT, LINE, PostLoad } from "./post_load.ts";
import { runtimeCommand, runtimeVersion } from "./servers.ts";

const LINES = 1000;
const RUNTIMES = ["node", "deno", "bun"] as const;
type Runtime = (typeof RUNTIMES)[number];

const ONE: Body = { title: "one event a request", contentType: "application/json", text: LINE, events: 1 };
const MANY: Body = {
  title: `bodies of ${LINES} lines`,
  contentType: "application/x-ndjson",
  text: `${LINE}\n`.repeat(LINES),
  events: LINES,
};

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

function commandOf(runtime: Runtime, file: string, ...args: string[]): string[] {
  const flags = {
    node: ["--import", createRequire(import.meta.url).resolve("tsx")],
    deno: ["run", "--quiet", "--allow-all", "--no-lock", "--config", here("../deno.json")],
    bun: ["run"],
  }[runtime];
  return [runtimeCommand(runtime), ...flags, here(file), ...args];
}

/** A server that is published to, and its rates in events per second. */
interface Server {
  readonly kind: "bare" | "ours" | "durable";
  readonly child: Child;
  readonly port: number;
}

async function start(runtime: Runtime, kind: Server["kind"]): Promise<Server> {
  const child = new Child(`${kind} on ${runtime}`, commandOf(runtime, "servers/posts.ts", kind), "server");
  const { ready } = await child.next<{ ready: { port: number } }>(20);
  return { kind, child, port: ready.port };
}

/** The sequence number of the last event of our channel, after one more was published. */
async function lastPosition(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/events`, {
    method: "POST",
    body: ONE.text,
    headers: { "Content-Type": ONE.contentType },
  });
  const { last_id } = (await response.json()) as { last_id: string };
  return Number(last_id.split("-")[1]);
}

/** Sends requests for some time. Returns the events accepted per second. */
async function post({ kind, port }: Server, body: Body, ms: number, load: PostLoad): Promise<number> {
  const before = kind === "ours" ? await lastPosition(port) : 0;
  const { events, seconds } = await load.post(port, body, ms, kind !== "durable");
  if (kind === "ours" && (await lastPosition(port)) !== before + events + 1) {
    throw new Error(`${events} events were accepted, and the channel has another number`);
  }
  return events / seconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function rate(values: readonly number[]): string {
  return Math.round((median(values) / 100) * 100)
    .toLocaleString("en")
    .replaceAll(",", " ");
}

/** The median of the ratios within each round. */
function ratio(values: readonly number[], others: readonly number[]): string {
  return median(values.map((value, round) => value / others[round]!)).toFixed(2);
}

/** Rates by what was measured, one for each round. */
type Rates = Record<string, number[]>;

async function measure(runtime: Runtime, rounds: number, ms: number, load: PostLoad): Promise<Rates> {
  const rates: Rates = {};
  const add = (name: string, value: number) => (rates[name] ??= []).push(value);
  const servers: Server[] = [];
  const inProcess = new Child(
    `in process on ${runtime}`,
    commandOf(runtime, "publish.ts", "--in-process"),
    "server",
  );
  try {
    for (const kind of ["bare", "ours", "durable"] as const) {
      servers.push(await start(runtime, kind));
    }
    await inProcess.next(20);
    for (let round = 0; round <= rounds; round++) {
      const turn = round % 2 === 0 ? servers : servers.toReversed();
      const turns: [string, number][] = [];
      for (const server of turn) {
        turns.push([server.kind, await post(server, ONE, ms, load)]);
      }
      const own = servers.find(({ kind }) => kind === "ours")!;
      turns.push(["lines", await post(own, MANY, ms, load)]);
      inProcess.send(`${ms / 2}`);
      turns.push(...Object.entries(await inProcess.next<Record<string, number>>(20)));
      // The first round is for the compilers.
      if (round > 0) {
        for (const [name, value] of turns) add(name, value);
      }
    }
    return rates;
  } finally {
    for (const { child } of servers) await child.end();
    await inProcess.end();
  }
}

/** Calls it for some time. Returns how often a second. */
function often(ms: number, call: () => unknown): number {
  const started = performance.now();
  let calls = 0;
  while (performance.now() - started < ms) {
    for (let i = 0; i < 1000; i++) call();
    calls += 1000;
  }
  return (calls / (performance.now() - started)) * 1000;
}

/** For each line of stdin: measures what happens without a server for so many milliseconds. */
function measureInProcess(): void {
  const catalogue = defineEvents({
    tick: v.looseObject({ n: v.number(), infohash: v.string(), name: v.string() }),
  });
  const channel = createChannel(catalogue);
  const schema = catalogue.schemas.tick["~standard"];
  const text = JSON.stringify(EVENT.event);
  const say = (message: object) => console.log(JSON.stringify(message));
  process.stdin
    .setEncoding("utf8")
    .on("data", (line: string) => {
      const ms = Number(line);
      say({
        parse: often(ms, () => JSON.parse(LINE)),
        publish: often(ms, () => channel.publish("tick", EVENT.event)),
        floor: often(ms, () => {
          schema.validate(EVENT.event);
          return text + JSON.stringify(EVENT.event);
        }),
      });
    })
    .on("end", () => process.exit(0));
  say({ ready: true });
}

function renderPosts(all: ReadonlyMap<Runtime, Rates>): string {
  const rows = [...all].map(([runtime, rates]) => {
    const { bare, ours, durable } = rates as Record<Server["kind"], number[]>;
    const cells = [rate(bare), rate(durable), rate(ours), ratio(ours, bare), ratio(ours, durable)];
    return `| ${runtime} ${runtimeVersion(runtime)}, ${ONE.title} | ${cells.join(" | ")} |`;
  });
  return [
    "| | bare `c.req.json()` | Durable Streams in memory | **events-endpoint** | of bare | of Durable Streams |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function renderLines(all: ReadonlyMap<Runtime, Rates>): string {
  const rows = [...all].map(([runtime, { parse, lines, publish, floor }]) => {
    const cells = [
      rate(parse!),
      rate(lines!),
      ratio(lines!, parse!),
      rate(publish!),
      ratio(publish!, floor!),
    ];
    return `| ${runtime} | ${cells.join(" | ")} |`;
  });
  return [
    `| | \`JSON.parse\` of the lines | ${MANY.title} | of \`JSON.parse\` | \`channel.publish\` | of schema and \`JSON.stringify\` |`,
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      runtimes: { type: "string" },
      write: { type: "boolean" },
    },
  });
  const runtimes = RUNTIMES.filter((name) => values.runtimes?.split(",").includes(name) ?? true);
  const [rounds, ms] = values.quick ? [3, 500] : [7, 2000];
  const { error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: here("."),
  });
  if (error) {
    throw new Error("cannot install what is compared with: npm ci in bench/");
  }
  const load = new PostLoad();
  leaveServerCore();
  try {
    const all = new Map<Runtime, Rates>();
    for (const runtime of runtimes) {
      all.set(runtime, await measure(runtime, rounds, ms, load));
    }
    const measured =
      `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}; medians of ${rounds} rounds ` +
      `of ${ms} ms; an event has ${LINE.length} bytes`;
    publishTables("publish", [measured, renderPosts(all), renderLines(all)].join("\n\n"));
  } finally {
    await endAll();
    load.remove();
  }
}

if (process.argv[2] === "--in-process") measureInProcess();
else await main();
