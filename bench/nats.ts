/**
 * `npm run bench:nats`: a channel on NATS beside the bare client of JetStream, and a server on it beside the same server
 * in memory, in one run. Wants `nats-server`.
 */
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as v from "valibot";
import { type Channel, defineEvents } from "../src/mod.ts";
import { natsChannel } from "../src/nats/mod.ts";
import { connectTo, withNats } from "../test/nats/server.ts";
import { endAll } from "./child.ts";
import { type Bench, buildClient } from "./client.ts";
import { LOADS, type ThroughputLoad } from "./loads.ts";
import { describeMachine, firstLine, leaveServerCore } from "./machine.ts";
import { type Delivered, measure, type RunningServer, start } from "./measure.ts";
import { publishTables } from "./page_tables.ts";
import { MORE_SERVERS, SERVERS } from "./servers.ts";

const EVENTS = 50_000;
/** The number of events that are published at a time, and acknowledged before the next ones. */
const AT_ONCE = 500;
const ROUNDS = 5;
/** The number of turns of each server; odd, for the median. */
const TURNS = 7;
/** Each round has streams of its own. */
const STREAM_BYTES = 2 ** 26;

const catalogue = defineEvents({ tick: v.looseObject({ n: v.number(), pad: v.string() }) });
/** With it an event is 210 bytes on the wire. */
const pad = "x".repeat(115);
const draft = (n: number) => ({ type: "tick" as const, event: { n, pad } });

/** A way to publish or to read: resolves when all events have gone through it. */
interface Way {
  readonly name: string;
  run(connection: NatsConnection, round: number): Promise<void>;
}

async function inPortions(publish: (from: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < EVENTS; from += AT_ONCE) await publish(from);
}

async function makeStream(connection: NatsConnection, name: string): Promise<void> {
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name,
    subjects: [`${name.toLowerCase()}.*`],
    max_bytes: STREAM_BYTES,
    max_age: 3600e9,
  });
}

function publishBare(connection: NatsConnection, subject: string): Promise<void> {
  const client = jetstream(connection);
  return inPortions((from) =>
    Promise.all(
      Array.from({ length: AT_ONCE }, (_, i) => client.publish(subject, JSON.stringify(draft(from + i)))),
    )
  );
}

/** Reads so many events by a bare ordered consumer. */
async function readBare(
  connection: NatsConnection,
  stream: string,
  take: (data: Uint8Array) => void,
): Promise<void> {
  const consumer = await jetstream(connection).consumers.get(stream, { deliver_policy: DeliverPolicy.All });
  let left = EVENTS;
  await new Promise<void>((resolve, reject) => {
    consumer
      .consume({
        max_messages: 1000,
        callback: (message) => {
          take(message.data);
          if (--left === 0) resolve();
        },
      })
      .then((messages) => void messages.closed().catch(() => {}), reject);
  });
  await consumer.delete();
}

async function withChannel(
  connection: NatsConnection,
  stream: string,
  use: (channel: Channel<typeof catalogue.schemas>) => Promise<void>,
): Promise<void> {
  const channel = await natsChannel(connection, catalogue, { stream, keep: { bytes: STREAM_BYTES } });
  try {
    await use(channel);
  } finally {
    channel.close();
  }
}

const PUBLISHING: readonly Way[] = [
  {
    name: "the bare client",
    run: async (connection, round) => {
      await makeStream(connection, `BARE_${round}`);
      await publishBare(connection, `bare_${round}.tick`);
    },
  },
  {
    name: "the bare client, and an ordered consumer that reads it",
    run: async (connection, round) => {
      await makeStream(connection, `BOTH_${round}`);
      await Promise.all([
        readBare(connection, `BOTH_${round}`, () => {}),
        publishBare(connection, `both_${round}.tick`),
      ]);
    },
  },
  {
    name: "**a channel**, `publish`",
    run: (connection, round) =>
      withChannel(connection, `ONE_${round}`, (channel) =>
        inPortions((from) =>
          Promise.all(
            Array.from({ length: AT_ONCE }, (_, i) => channel.publish("tick", draft(from + i).event)),
          )
        )),
  },
  {
    name: "**a channel**, `publishBatch`",
    run: (connection, round) =>
      withChannel(connection, `BATCH_${round}`, (channel) =>
        inPortions(
          async (from) =>
            await channel.publishBatch(Array.from({ length: AT_ONCE }, (_, i) => draft(from + i))),
        )),
  },
];

const decoder = new TextDecoder();

const READING: readonly Way[] = [
  { name: "a bare ordered consumer", run: (connection) => readBare(connection, "READ", () => {}) },
  {
    name: "the same, and `JSON.parse`",
    run: (connection) => readBare(connection, "READ", (data) => void JSON.parse(decoder.decode(data))),
  },
  {
    name: "**a channel** that has to read it from the stream",
    run: (connection) =>
      withChannel(connection, "READ", async (channel) => {
        let left = EVENTS;
        for await (const { entries } of channel.batches("earliest")) {
          left -= entries.length;
          if (left === 0) return;
        }
      }),
  },
];

/** Each way once, then each again; the median rate of each, in events per second. */
async function compare(ways: readonly Way[], connection: NatsConnection): Promise<Map<Way, number>> {
  const rates = new Map(ways.map((way) => [way, [] as number[]]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const way of ways) {
      const from = performance.now();
      await way.run(connection, round);
      const rate = (EVENTS / (performance.now() - from)) * 1000;
      if (round > 0) rates.get(way)!.push(rate); // The first one warms up.
    }
  }
  return new Map([...rates].map(([way, all]) => [way, medianOf(all)]));
}

function medianOf(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

/** @param yardstick the index of the way that the others are compared with */
function table(title: string, rates: ReadonlyMap<Way, number>, yardstick: number): string {
  const of = [...rates.values()][yardstick]!;
  const rows = [...rates].map(([{ name }, rate]) => {
    const ratio = rate === of ? "1" : (rate / of).toFixed(2);
    return row([name, `${Math.round(rate / 100) * 100}`, ratio]);
  });
  const { name } = [...rates.keys()][yardstick]!;
  return [row([title, "events/s", `÷ ${name}`]), row(["---", "---:", "---:"]), ...rows].join("\n");
}

/** In memory, where the server publishes itself; on NATS, where another process publishes; and where it has done so. */
const FAN_OUT = ["ours-node", "ours-nats", "ours-nats-stored"];

/**
 * The same server in memory and on NATS, taking turns. On two cores NATS, who publishes and who reads have one, so that
 * while it is published the rate is also theirs.
 */
async function compareFanOut(bench: Bench, load: ThroughputLoad): Promise<string[]> {
  const running: RunningServer[] = [];
  const rates: number[][] = [];
  const costs: number[][] = [];
  try {
    for (const name of FAN_OUT) {
      running.push(await start([...SERVERS, ...MORE_SERVERS].find((spec) => spec.name === name)!));
      rates.push([]);
      costs.push([]);
    }
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [index, server] of running.entries()) {
        const { deliveries, seconds, events, cpu } = (await measure(bench, server, load)) as Delivered;
        rates[index]!.push(deliveries / seconds);
        costs[index]!.push(cpu.server / events);
      }
    }
  } finally {
    await Promise.all(running.map(({ child }) => child.end()));
  }
  const [memory, live, stored] = rates.map(medianOf) as [number, number, number];
  const [memoryCost, liveCost, storedCost] = costs.map(medianOf) as [number, number, number];
  const million = (rate: number) => (rate / 1e6).toFixed(2);
  const percent = (part: number, whole: number) => `${Math.round((100 * part) / whole)} %`;
  const micro = (seconds: number) => `${(seconds * 1e6).toFixed(1)} µs`;
  return [
    `${load.name}: ${load.title}, ${load.subscribers} readers`,
    million(memory),
    `${million(stored)} (${percent(stored, memory)})`,
    `${million(live)} (${percent(live, memory)})`,
    micro(memoryCost),
    `${micro(storedCost)} (${percent(storedCost, memoryCost)})`,
    `${micro(liveCost)} (${percent(liveCost, memoryCost)})`,
  ];
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** Compares publishing and reading, and returns the tables. */
async function compareChannels(): Promise<string[]> {
  const tables: string[] = [];
  await withNats(async (server) => {
    const connection = await connectTo(server);
    tables.push(table("publishing, each event acknowledged", await compare(PUBLISHING, connection), 1));
    await makeStream(connection, "READ");
    await publishBare(connection, "read.tick");
    tables.push(table("reading what the stream holds", await compare(READING, connection), 0));
    await connection.close();
  });
  return tables;
}

/** Compares what readers receive, and returns the table. */
async function compareLoads(): Promise<string> {
  const [stored, live] = ["published before", "published meanwhile"];
  const rows = [
    row(["million deliveries/s", "in memory", stored, live, "CPU for an event", stored, live]),
    row(["---", ...Array.from({ length: 6 }, () => "---:")]),
  ];
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    leaveServerCore();
    const { command } = buildClient(folder);
    await withNats(async ({ url }) => {
      process.env["BENCH_NATS"] = url;
      for (const load of LOADS) {
        if (load.kind === "throughput") {
          rows.push(row(await compareFanOut({ client: command, folder }, load)));
        }
      }
    });
  } finally {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  }
  return rows.join("\n");
}

const server = firstLine("nats-server", "--version") ?? "nats-server";
const measured =
  `On ${new Date().toISOString().slice(0, 10)}: ${describeMachine()}. ${server}, Node ${process.version}. ` +
  `Medians of ${ROUNDS} and of ${TURNS}.`;
publishTables("nats", [measured, ...(await compareChannels()), await compareLoads()].join("\n\n"));
