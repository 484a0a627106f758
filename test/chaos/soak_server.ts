/**
 * The command `serve` under observation: `soak_server.ts OPTION …`. For each line that it reads it prints a line of JSON: the
 * number of its timers, and the handles that keep it alive if the runtime lists them. A line of a number sets its clock off by
 * so many milliseconds first. For a line `memory` it prints the number of bytes that it holds after a garbage collection.
 *
 * @module
 */
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { countTimers } from "../support/timers.ts";

let offMs = 0;
const { now } = Date;
Date.now = () => now() + offMs;
globalThis.Date = class extends Date {
  constructor(...parts: unknown[]) {
    super(...(parts.length === 0 ? [Date.now()] : parts) as [number]);
  }
} as DateConstructor;
const timers = countTimers();
const { serve } = await import("../../src/cli/serve.ts");
process.stdin.setEncoding("utf8").on("data", async (text: string) => {
  for (const line of text.split("\n").slice(0, -1)) {
    if (/^-?\d+$/.test(line)) offMs = Number(line);
    const answer = line === "memory"
      ? { held: await heldMemory() }
      : { timers: timers.running(), handles: countHandles() };
    console.log(JSON.stringify(answer));
  }
});
await serve(process.argv.slice(2));
process.exit(0);

/** Counts the handles that keep the process alive by kind, without timers, and reads and writes in progress. */
function countHandles(): Record<string, number> {
  const handles: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (!/Timeout|Immediate|Req/.test(name)) handles[name] = (handles[name] ?? 0) + 1;
  }
  return handles;
}

/** Returns the bytes that are left after garbage collections: what is resident is what the engine has not given back yet. */
async function heldMemory(): Promise<number> {
  const { Bun } = globalThis as { Bun?: { gc(isSynchronous: true): void } };
  if (Bun === undefined) setFlagsFromString("--expose-gc");
  const collect = Bun === undefined ? runInNewContext("gc") as () => void : () => Bun.gc(true);
  for (let i = 0; i < 3; i++) { // What one collection finds the next ones free.
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
