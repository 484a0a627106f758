/**
 * A process that publishes to a file until it is killed: `publisher.ts FILE [DURABILITY [FROM]]`.
 *
 * First it verifies what the file has after the position FROM, and prints `open EPOCH LAST`. Then several publishers run in it,
 * and each prints the positions of the last events that were acknowledged.
 *
 * @module
 */
import process from "node:process";
import { type Durability, sqliteChannel } from "../../src/sqlite/mod.ts";
import { catalogue, readAll, type TestChannel, ticks } from "./channels.ts";

const PUBLISHERS = 4;
/** Makes the log grow, so that it is merged into the file some times a second. */
const TEXT = "x".repeat(2000);

const [file, durability = "process", from = "0"] = process.argv.slice(2);
const channel = await sqliteChannel(file!, catalogue, { durability: durability as Durability });
await verify(channel, Number(from));
process.stdout.write(`open ${channel.epoch} ${channel.last}\n`);
let n = channel.last;
for (let publisher = 0; publisher < PUBLISHERS; publisher++) publish();

/** The numbers are the positions, nothing that was rejected is there, and the last batch is whole. */
async function verify(channel: TestChannel, from: number): Promise<void> {
  const numbers = await readAll(channel, `${channel.epoch}-${from}`);
  const wrong = numbers.findIndex((number, index) => number !== from + index + 1);
  if (wrong !== -1) throw new Error(`position ${from + wrong + 1} has ${JSON.stringify(numbers[wrong])}`);
  if (channel.last === 0) return;
  const [last] = (await channel.read(channel.last - 1, 1)).entries;
  const event = channel.parse(last!);
  const left = event.type === "tick" ? Number(event.event.text!.split("/")[0]) : NaN;
  if (left !== 0) throw new Error(`the last batch ends ${left} events too early`);
}

async function publish(): Promise<void> {
  for (;;) {
    const rejected = channel.publishBatch([...ticks(0, 0), { type: "tick", event: { n: "none" as never } }]);
    await rejected.then(() => process.exit(1), () => {});
    const count = 1 + n % 7;
    n += count; // The calls are made in this order, so that the numbers are the positions.
    const drafts = ticks(n - count + 1, n).map(({ type, event }, index) => {
      return { type, event: { ...event, text: `${count - 1 - index}/${TEXT}` } };
    });
    const ids = await channel.publishBatch(drafts);
    process.stdout.write(`${ids.at(-1)!.split("-")[1]}\n`);
  }
}
