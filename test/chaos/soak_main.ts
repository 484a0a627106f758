/**
 * `npm run soak`: five minutes under load, 2 000 kills, and 100 000 simulations; with `--minutes N` each kind of channel for so long.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Kind, KINDS, longSoak } from "./long_soak.ts";

const HELP = `npm run soak [-- options]: five minutes under load (SOAK_SECONDS), servers that are killed,
and 100 000 simulations

  --minutes N       instead, a server with each kind of channel for N minutes: readers that come and go, restarts, new keys,
                    a clock that steps; TEST_RUNTIME names the runtime, and a file needs another than Node 20
  --channel NAME    only this kind: ${KINDS.join(", ")}
  --rate N          number of events a second (50)
  --readers N       number of readers (20)
  --help            show this and exit`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    channel: { type: "string" },
    rate: { type: "string", default: "50" },
    readers: { type: "string", default: "20" },
    help: { type: "boolean" },
  },
});
if (values.help) console.log(HELP);
else if (values.minutes === undefined) {
  // The gate simulates the seeds before these.
  const simulations = ["../simulation/main.ts", "--seeds", "2001..102000"] as const;
  const files = [["./soak.ts"], ["../sqlite/kills.ts"], ["../sqlite/server_kills.ts"], simulations] as const;
  for (const [file, ...options] of files) {
    const args = ["--import", "tsx", fileURLToPath(new URL(file, import.meta.url)), ...options];
    const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
} else {
  const kinds = KINDS.filter((kind) => values.channel === undefined || kind === values.channel);
  const [seconds, rate, readers] = [60 * Number(values.minutes), Number(values.rate), Number(values.readers)];
  for (const kind of kinds) {
    console.log(kind, JSON.stringify(await longSoak(kind as Kind, { seconds, rate, readers })));
  }
}
