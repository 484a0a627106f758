/**
 * The command `serve` under observation: `soak_server.ts OPTION …`. For each line that it reads it prints a line of JSON: the
 * number of its timers, and the handles that keep it alive if the runtime lists them. A line of a number sets its clock off by
 * so many milliseconds first.
 *
 * @module
 */
import process from "node:process";
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
process.stdin.setEncoding("utf8").on("data", (line: string) => {
  if (/^-?\d+\n$/.test(line)) offMs = Number(line);
  console.log(JSON.stringify({ timers: timers.running(), handles: countHandles() }));
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
