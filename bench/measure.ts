/** One measurement: connect, warm up, publish, wait for the last delivery, check what came. */
import { setTimeout as delay } from "node:timers/promises";
import { checkStream } from "./check.ts";
import type { Child } from "./child.ts";
import { type Arrived, type Bench, LoadClient, type Subscribers } from "./client.ts";
import { FIRST_EVENTS, type IdleLoad, type Load, warmUp } from "./loads.ts";
import { cpuSeconds, residentKiB, serverCoreSeconds } from "./machine.ts";
import type { Plan, Published } from "./servers/control.ts";
import { type ServerSpec, startServer } from "./servers.ts";

const START_SECONDS = 20;
const PUBLISH_SECONDS = 60;
const MEMORY_SETTLES_MS = 1500;

/** Seconds of CPU time during a measurement; NaN where the system does not tell. */
interface CpuTimes {
  server: number;
  client: number;
  /** What other processes took from the server's core. */
  others: number;
}

export interface Delivered {
  kind: "delivered";
  events: number;
  deliveries: number;
  seconds: number;
  cpu: CpuTimes;
  arrived: Arrived;
}

export interface Stalled {
  kind: "stalled";
  /** Events per second at each reading subscriber, with all reading and with some stalled. */
  allReading: number;
  someStalled: number;
  /** The share of its time in which the server's core worked for others. */
  othersShare: number;
}

export interface Idle {
  kind: "idle";
  kibEach: number;
}

export type Measurement = Delivered | Stalled | Idle;

/** A server that runs, and where. `pid` is the process to measure. */
export interface RunningServer {
  spec: ServerSpec;
  child: Child;
  port: number;
  pid: number;
}

export async function start(spec: ServerSpec): Promise<RunningServer> {
  const child = startServer(spec);
  try {
    const { ready } = await child.next<{ ready: { port: number; pid: number } }>(START_SECONDS);
    return { spec, child, ...ready };
  } catch (error) {
    await child.end();
    throw error;
  }
}

function openClient(bench: Bench, server: RunningServer, subscribers: Subscribers): LoadClient {
  return new LoadClient(bench, { ...server.spec, port: server.port }, subscribers);
}

export async function publish(server: RunningServer, plan: Plan): Promise<Published> {
  server.child.send(JSON.stringify(plan));
  return await server.child.next<Published>(PUBLISH_SECONDS);
}

/** Starts counting CPU time; what it returns stops. */
function countCpu(server: number, client: number): () => CpuTimes {
  const read = (): CpuTimes => {
    const used = cpuSeconds(server);
    return { server: used, client: cpuSeconds(client), others: serverCoreSeconds() - used };
  };
  const before = read();
  return () => {
    const now = read();
    return {
      server: now.server - before.server,
      client: now.client - before.client,
      others: Math.max(0, now.others - before.others),
    };
  };
}

/**
 * Publishes by `plan` to `subscribers`, and throws unless every one that reads got everything once and in
 * order.
 */
async function deliver(
  bench: Bench,
  server: RunningServer,
  plan: Plan,
  subscribers: Subscribers,
): Promise<Delivered> {
  const client = openClient(bench, server, subscribers);
  try {
    await client.connected();
    const warm = await publish(server, warmUp(plan));
    await client.expect(warm.published);
    client.mark();
    const stop = countCpu(server.pid, client.pid);
    const { published, startedAt } = await publish(server, plan);
    const lastAt = await client.expect(warm.published + published);
    const cpu = stop();
    const { arrived, stream } = await client.finish();
    if (arrived.behind > 0) throw new Error(`${arrived.behind} subscribers did not get everything`);
    checkStream(stream, server.spec.format, warm.first, warm.published + published);
    const deliveries = published * (subscribers.count - subscribers.stalled);
    const seconds = (lastAt - startedAt) / 1e6;
    return { kind: "delivered", events: published, deliveries, seconds, cpu, arrived };
  } finally {
    await client.end();
  }
}

/**
 * The memory each further connection takes, between a fifth of them and all: what the first ones cost is not
 * the price.
 */
async function idle(bench: Bench, server: RunningServer, load: IdleLoad): Promise<Idle> {
  const clients: LoadClient[] = [];
  const open = async (count: number): Promise<number> => {
    const client = openClient(bench, server, { count, stalled: 0, latency: false });
    clients.push(client);
    await client.connected();
    await delay(MEMORY_SETTLES_MS);
    return residentKiB(server.pid);
  };
  try {
    const first = Math.round(load.subscribers / 5);
    const before = await open(first);
    const after = await open(load.subscribers - first);
    return { kind: "idle", kibEach: (after - before) / (load.subscribers - first) };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Starts a server, and lets it deliver its first events before its latency is measured. */
export async function startWarm(bench: Bench, spec: ServerSpec): Promise<RunningServer> {
  const server = await start(spec);
  const { plan, subscribers: count } = FIRST_EVENTS;
  try {
    await deliver(bench, server, plan, { count, stalled: 0, latency: false });
    return server;
  } catch (error) {
    await server.child.end();
    throw error;
  }
}

export async function measure(bench: Bench, server: RunningServer, load: Load): Promise<Measurement> {
  if (load.kind === "idle") return await idle(bench, server, load);
  const { plan, subscribers: count } = load;
  const reading = { count, stalled: 0, latency: load.kind === "latency" };
  if (load.kind !== "stall") return await deliver(bench, server, plan, reading);
  const all = await deliver(bench, server, plan, reading);
  const some = await deliver(bench, server, plan, { ...reading, stalled: load.stalled });
  return {
    kind: "stalled",
    allReading: all.events / all.seconds,
    someStalled: some.events / some.seconds,
    othersShare: (all.cpu.others + some.cpu.others) / (all.seconds + some.seconds),
  };
}
