/**
 * Processes that publish to a file and are killed (SIGKILL) at random moments, and what the file has after that. `tsx
 * test/sqlite/kills.ts` does so 2000 times, on Node 24 or on the runtime of `TEST_RUNTIME`.
 *
 * @module
 */
import { build } from "esbuild";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { running, startProgram } from "../support/children.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { argumentsOf, programOf, runtimeUnderTest } from "../support/runtimes.ts";
import { withFile } from "./channels.ts";

/** The result of many kills. */
export interface Kills {
  /** The number of processes that were killed while they published. */
  readonly publishing: number;
  /** The number of acknowledged events. */
  readonly acknowledged: number;
}

/** Number of files, each with one process at a time. */
const FILES = 4;
/** A process is killed at most this many milliseconds after it was started, or after an event was acknowledged. */
const MOST_MS = 100;
/** The longest time until a process has acknowledged an event, in milliseconds: the machine may be busy. */
const LIMIT_MS = 60_000;

/** Kills this number of processes, and verifies after each that nothing acknowledged is missing. */
export async function killRepeatedly(kills: number, random: () => number = Math.random): Promise<Kills> {
  const sum = { publishing: 0, acknowledged: 0 };
  await withFile(async (path) => {
    const script = join(path, "..", "publisher.mjs");
    await bundle(script);
    const files = Array.from({ length: FILES }, (_, index) => {
      const durability = index % 2 === 0 ? "process" : "power";
      return killAt(script, `${path}.${index}`, durability, Math.ceil(kills / FILES), random);
    });
    for (const { publishing, acknowledged } of await Promise.all(files)) {
      sum.publishing += publishing;
      sum.acknowledged += acknowledged;
    }
  });
  return sum;
}

/** Bundles the publisher, so that a process starts in some ten milliseconds. */
async function bundle(outfile: string): Promise<void> {
  const entryPoints = [fileURLToPath(new URL("publisher.ts", import.meta.url))];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "warning" });
}

async function killAt(
  script: string,
  file: string,
  durability: string,
  kills: number,
  random: () => number,
): Promise<Kills> {
  let [epoch, acknowledged, publishing, from] = ["", 0, 0, 0];
  /** Starts a process. If it has opened the file, it has verified what is there. */
  async function visit(waits: () => Promise<unknown>, waitFor: RegExp | undefined): Promise<void> {
    const runtime = runtimeUnderTest();
    const own = runtime === "deno" ? argumentsOf(runtime, ["--allow-all"]) : [];
    const child = startProgram(programOf(runtime), [...own, script, file, durability, `${from}`]);
    await running(child, async () => {
      if (waitFor !== undefined) await child.stdout.match(waitFor, LIMIT_MS);
      await waits();
    });
    const { code, signal } = await child.exit();
    if (signal !== "SIGKILL") {
      throw new Error(`it ended by itself, with ${code}: ${child.stderr.lines.join("\n")}`);
    }
    const [open, ...lines] = child.stdout.lines;
    const [, ofEpoch, last] = /^open (\w+) (\d+)$/.exec(open ?? "") ?? [];
    if (ofEpoch === undefined) return;
    if (epoch !== "" && epoch !== ofEpoch) throw new Error(`the epoch changed from ${epoch} to ${ofEpoch}`);
    if (Number(last) < acknowledged) throw new Error(`the file has ${last} events of ${acknowledged}`);
    epoch = ofEpoch;
    from = acknowledged;
    // The last line may be cut, and is a smaller number then.
    for (const line of lines) acknowledged = Math.max(acknowledged, Number(line));
    if (lines.length > 0) publishing++;
  }
  for (let kill = 0; kill < kills; kill++) {
    // Some are killed while they open the file, or before.
    await visit(() => sleep(random() * MOST_MS), kill % 4 === 0 ? undefined : /^\d/);
  }
  from = 0; // The last one verifies everything.
  await visit(() => Promise.resolve(), /^open /);
  return { publishing, acknowledged };
}

if (/kills\.ts$/.test(process.argv[1] ?? "")) {
  process.env["TEST_RUNTIME"] ??= "node24"; // The Node at hand may have no SQLite.
  const { publishing, acknowledged } = await killRepeatedly(2000);
  console.log(`killed while publishing: ${publishing}, events acknowledged: ${acknowledged}, missing: 0`);
}
