/**
 * The command `serve` under observation: `soak_server.ts OPTION …`. For each line that it reads it prints one of JSON:
 * how many timers are set in it, and what else keeps it alive, as far as the runtime lists it.
 *
 * @module
 */
import process from "node:process";
import { countTimers } from "../support/timers.ts";

const timers = countTimers();
const { serve } = await import("../../src/cli/serve.ts");
process.stdin.on(
  "data",
  () => console.log(JSON.stringify({ timers: timers.running(), handles: countHandles() })),
);
await serve(process.argv.slice(2));
process.exit(0);

/** How many of each kind keep the process alive, beside its timers and what is written or read just now. */
function countHandles(): Record<string, number> {
  const handles: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (!/Timeout|Immediate|Req/.test(name)) handles[name] = (handles[name] ?? 0) + 1;
  }
  return handles;
}
