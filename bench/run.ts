/** `npm run bench`: every server under every load, in one run, taking turns. `--help` tells the options. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endAll } from "./child.ts";
import { type Bench, buildClient } from "./client.ts";
import { CEILINGS, type Load } from "./loads.ts";
import { describeMachine, leaveServerCore, openFilesLimit } from "./machine.ts";
import { type Delivered, measure, type RunningServer, start, startWarm } from "./measure.ts";
import { type Options, readOptions } from "./options.ts";
import { publishTables } from "./page_tables.ts";
import { renderCeiling, renderLoad, type Results } from "./report.ts";
import { selfTest } from "./selftest.ts";
import { renderGoals } from "./goals.ts";
import { BLAST, type ServerSpec } from "./servers.ts";
import { describeVersions, unavailable } from "./versions.ts";

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Measures all servers under one load: each once, then each again. */
async function runLoad(bench: Bench, load: Load, servers: ServerSpec[]): Promise<Results[]> {
  const all = servers.map((server): Results => ({ server, measurements: [], errors: [] }));
  const running = new Map<ServerSpec, RunningServer>();
  const stop = async (spec: ServerSpec): Promise<void> => {
    await running.get(spec)?.child.end();
    running.delete(spec);
  };
  for (let turn = 0; turn < load.repeats; turn++) {
    for (const { server: spec, measurements, errors } of all) {
      try {
        const server = running.get(spec) ??
          await (load.kind === "latency" ? startWarm(bench, spec) : start(spec));
        running.set(spec, server);
        measurements.push(await measure(bench, server, load));
        progress(`${load.name} ${spec.name} ${turn + 1}/${load.repeats}`);
        // Memory that was used once is not given back: the next to be weighed is a new process.
        if (load.kind === "idle") await stop(spec);
      } catch (error) {
        const { message } = error as Error;
        errors.push(message);
        progress(`${load.name} ${spec.name} ${turn + 1}/${load.repeats} failed: ${message}`);
        progress(running.get(spec)?.child.complaints ?? "");
        await stop(spec);
      }
    }
  }
  await Promise.all(servers.map(stop));
  return all;
}

/** Fewer connections where this machine does not allow as many open files. */
function affordable(load: Load): Load {
  const SPARE_FILES = 200;
  const subscribers = Math.min(load.subscribers, openFilesLimit() - SPARE_FILES);
  if (subscribers < load.subscribers) progress(`${load.name}: only ${subscribers} subscribers, by ulimit -n`);
  return { ...load, subscribers };
}

async function run(bench: Bench, clientTitle: string, loads: Load[], servers: ServerSpec[]): Promise<void> {
  const startedAt = Date.now();
  const parts = [
    `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. ${describeVersions(servers)}.`,
  ];
  for (const server of servers) {
    const reason = unavailable(server);
    if (reason) parts.push(`Not measured: ${server.name} (${reason}).`);
  }
  const present = servers.filter((server) => !unavailable(server));
  const cases = await selfTest(bench);
  parts.push(
    `Load client: ${clientTitle}. Every byte of every subscriber is checked: each event once, in order. ` +
      `Before the run, ${cases} streams, sound and broken, were judged rightly. ` +
      "What the client takes and checks, from a source that only writes bytes made once for all subscribers:",
  );
  const ceilings: string[] = [];
  for (const load of CEILINGS) {
    const [source] = await runLoad(bench, load, [BLAST]);
    if (source?.errors[0]) {
      throw new Error(`the load client fails at its simplest source: ${source.errors[0]}`);
    }
    ceilings.push(renderCeiling(load, source?.measurements as Delivered[]));
  }
  parts.push(ceilings.join("\n"));
  for (const load of loads.map(affordable)) {
    const results = await runLoad(bench, load, present);
    parts.push(renderLoad(load, results), renderGoals(load.name, results));
    progress(parts.slice(-2).join("\n\n"));
  }
  publishTables("fan-out", parts.filter((part) => part !== "").map((part) => part.trim()).join("\n\n"));
  progress(`${Math.round((Date.now() - startedAt) / 1000)} s`);
}

async function main({ loads, servers }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const interrupted = (): void => void endAll().then(() => process.exit(130));
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    leaveServerCore();
    const { command, title } = buildClient(folder);
    await run({ client: command, folder }, title, loads, servers);
  } finally {
    await endAll();
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === "string") console.log(options);
  else await main(options);
} catch (error) {
  progress(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
