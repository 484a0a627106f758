/**
 * A process that publishes to a file until it is killed: `publisher.ts FILE [DURABILITY]`. Several publishers run in it, and each
 * prints the positions of the events that were acknowledged.
 *
 * @module
 */
import process from "node:process";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { catalogue, ticks } from "./channels.ts";

const PUBLISHERS = 4;

const [file, durability] = process.argv.slice(2);
const channel = await sqliteChannel(file!, catalogue, {
  durability: durability === "power" ? "power" : "process",
});
let n = channel.last;

for (let publisher = 0; publisher < PUBLISHERS; publisher++) {
  (async () => {
    for (;;) {
      const count = 1 + n % 7;
      n += count; // The calls are made in this order, so that the numbers are the positions.
      const ids = await channel.publishBatch(ticks(n - count + 1, n));
      process.stdout.write(`${ids.at(-1)!.split("-")[1]}\n`);
    }
  })();
}
