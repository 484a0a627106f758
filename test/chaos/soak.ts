/**
 * A server under load: `npm run soak`, or this file with `deno run --allow-all` or `bun` for another runtime. It runs for
 * `SOAK_SECONDS` (300).
 *
 * A thousand events a second are published to the command `serve` in a process of its own. Readers connect, disconnect and
 * resume, half of them over a proxy that cuts their connections; others stall. Each reader verifies that every event of its
 * range was delivered once, or reported as lost. At the end the server may have no subscriber, socket, timer, or other
 * handle that the runtime reports.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { countSockets, exchange, get, post } from "../attack/attacked.ts";
import { type Child, running, startScript, whereItListens } from "../support/children.ts";
import { openWire, until, within } from "../support/harness.ts";
import { type Random, randomOf, sleep, startProxy } from "../support/hostile_proxy.ts";
import { responseReader } from "../support/http_wire.ts";

const READERS = 30;
const STALLED = 10;
const RATE = 1000;
/** The number of events in one `POST`. */
const BATCH = 20;
/** The number of events that the server keeps: some readers are overtaken. */
const HISTORY = 10_000;
/** Number of milliseconds for which a stalled reader stays connected. */
const STALL_MS = 5000;
/** Events alternate between two types, so that the type follows from the position. */
const TYPES = ["tribler_exception", "upgrader_tick"] as const;

/** The result of a soak. */
export interface Soak {
  /** Number of published events. */
  readonly published: number;
  /** Number of connections of readers, the stalled ones included. */
  readonly connections: number;
  /** Number of connections that the proxy cut. */
  readonly cuts: number;
  /** Number of events delivered to all readers together. */
  readonly delivered: number;
  /** Number of events reported to them as lost. */
  readonly lost: number;
  /** The resident memory of the server, in KiB, each second. */
  readonly memory: readonly number[];
}

/** Publishes and reads for this many seconds. Fails if a reader missed an event, or something is left open. */
export async function soak(
  seconds: number,
  seed: number = Math.floor(Math.random() * 2 ** 32),
): Promise<Soak> {
  const permissions = ["--allow-net", "--allow-env", "--allow-read"];
  const args = ["--port", "0", "--history", String(HISTORY)];
  const child = startScript("test/chaos/soak_server.ts", args, { input: true, permissions });
  return await running(child, async () => {
    const { port } = await whereItListens(child);
    const sockets = await countSockets(child.pid);
    const alive = await whatIsAlive(child);
    const proxy = await startProxy(port, randomOf(seed));
    const end = Date.now() + seconds * 1000;
    const isOver = () => Date.now() >= end;
    const away = Math.min(15_000, seconds * 300);
    const memory: number[] = [];
    const publisher = publish(port, isOver);
    const readers = Array.from({ length: READERS }, (_, index) => {
      return read(
        index % 2 === 0 ? port : proxy.port,
        index,
        randomOf(seed + 1 + index),
        () => publisher.last(),
        away,
      );
    });
    const stalled = Array.from({ length: STALLED }, () => stall(port, isOver));
    const measured = (async () => {
      for (; !isOver(); await sleep(1000)) memory.push(await residentMemory(child.pid));
    })();
    // Readers end once they have received the last event.
    const all = Promise.all([publisher.done, measured, Promise.all(stalled), Promise.all(readers)]);
    const [published, , stalls, accounts] = await within(
      all,
      "the end of all readers",
      seconds * 1000 + 60_000,
    );
    await proxy.close();
    await until(async () => await countSubscribers(port) === 0, "no subscriber is left in the server");
    await until(async () => await countSockets(child.pid) <= sockets, "no socket is left in the server");
    await until(
      async () => await whatIsAlive(child) === alive,
      `the handles of the server are ${alive}`,
    );
    child.signal("SIGTERM");
    const exit = await child.exit();
    if (exit.code !== 0) throw new Error(`the server ended with ${exit.code}`);
    const sum = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
    return {
      published,
      connections: sum(accounts.map(({ connections }) => connections)) + sum(stalls),
      cuts: proxy.cuts(),
      delivered: sum(accounts.map(({ delivered }) => delivered)),
      lost: sum(accounts.map(({ lost }) => lost)),
      memory,
    };
  });
}

/** Returns the number of open streams in the metrics of the server. */
export async function countSubscribers(port: number, apiKey: string = ""): Promise<number> {
  const bytes = get("/metrics", "Connection: close", `X-Api-Key: ${apiKey}`);
  const [answer] = await exchange(port, { name: "metrics", bytes });
  const metrics = new TextDecoder().decode(answer?.body);
  const counts = [...metrics.matchAll(/^events_endpoint_subscribers\{.*\} (\d+)$/gm)].map(([, count]) =>
    Number(count)
  );
  if (counts.length === 0) throw new Error("the server has no metric of open streams");
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Returns what keeps the server alive, as it reports itself: its timers, and its handles if the runtime lists them. */
export async function whatIsAlive({ stdin, stdout }: Child): Promise<string> {
  const printed = stdout.lines.length;
  stdin.write("?\n");
  return (await stdout.take(printed + 1)).at(-1)!;
}

/** Publishes one batch after the other at the rate until the end. */
function publish(port: number, isOver: () => boolean) {
  let last: number | undefined;
  let published = 0;
  const done = (async () => {
    // The server has published its start, and nothing else publishes: from here on types follow from positions.
    for (const begun = Date.now(); !isOver();) {
      const due = (Date.now() - begun) * RATE / 1000;
      for (; published < due && !isOver(); published += BATCH) {
        const first = published + 1;
        const drafts = Array.from({ length: BATCH }, (_, n) => {
          return { type: TYPES[(first + n + 1) % 2], event: { text: `${first + n}` } };
        });
        const [answer] = await exchange(port, {
          name: "a batch",
          bytes: post(JSON.stringify(drafts), "application/json", "Connection: close"),
        });
        if (answer?.status !== 202) throw new Error(`the response to a POST is ${answer?.status}`);
      }
      await sleep(5);
    }
    last = published + 1; // The first event is the server's own start.
    return published;
  })();
  return { done, last: () => last };
}

/** The account of one reader. */
interface Account {
  connections: number;
  delivered: number;
  lost: number;
}

/** Reads from the earliest event to the last. It disconnects and resumes on the way. */
async function read(
  port: number,
  index: number,
  random: Random,
  last: () => number | undefined,
  away: number,
): Promise<Account> {
  const account = { connections: 0, delivered: 0, lost: 0 };
  const only = index % 3 === 0 ? TYPES[index % 2]! : undefined;
  const format = index % 4 < 2 ? "ndjson" : "sse";
  /** The last position that is accounted for. */
  let position = 1;
  let epoch: string | undefined;

  /** Returns the number of its events up to a position. */
  function countUpTo(last: number): number {
    if (only === undefined) return last;
    return TYPES.indexOf(only) === 1 ? Math.ceil(last / 2) : Math.floor(last / 2);
  }

  /** Moves to a position. No event of this reader may be before it. */
  function pass(to: number): void {
    if (to < position) throw new Error(`reader ${index}: ${to} comes after ${position}`);
    const wanted = countUpTo(to) - countUpTo(position);
    if (wanted > 0) {
      throw new Error(`reader ${index}: ${wanted} events between ${position} and ${to} were never delivered`);
    }
    position = to;
  }

  function take(line: string): void {
    const text = format === "sse" ? /^data: (.*)/.exec(line)?.[1] : line;
    if (!text) return;
    const { type, event, id } = JSON.parse(text);
    const [ofEpoch, digits] = id.split("-");
    const here = Number(digits);
    if (type === "events_start") {
      if (epoch !== undefined && here !== position) {
        throw new Error(`reader ${index}: requested ${position}, and received ${here}`);
      }
      if (epoch === undefined) position = Math.max(1, here);
      epoch = ofEpoch;
    } else if (type === "events_lost") {
      account.lost += event.count;
      pass(here - event.count);
      position = here;
    } else if (type !== "tribler_started") {
      pass(here - 1);
      position = here;
      account.delivered++;
      if (type !== TYPES[here % 2] || event.text !== `${here - 1}`) {
        throw new Error(`reader ${index}: ${here} is another event`);
      }
    }
  }

  /** Whether the last event has arrived. */
  const isDone = () => {
    const end = last();
    return end !== undefined && position >= end - (only !== undefined && TYPES[end % 2] !== only ? 1 : 0);
  };

  while (!isDone()) {
    account.connections++;
    const query = `format=${format}${only === undefined ? "" : `&types=${only}`}&since=${
      epoch === undefined ? "earliest" : `${epoch}-${position}`
    }`;
    const most = last() === undefined ? random() ** 3 * 60_000 : Infinity;
    await visit(port, `/events?${query}`, most, take, isDone);
    await sleep(random() < 0.02 ? away * random() : 50 * random()); // Some are away for longer than the history lasts.
  }
  return account;
}

/** Opens a stream, and reads until this many bytes were read, the connection has ended, or the last event has arrived. */
function visit(
  port: number,
  path: string,
  most: number,
  take: (line: string) => void,
  isDone: () => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, "127.0.0.1");
    const push = responseReader(take);
    let left = most;
    const check = setInterval(() => {
      if (isDone()) socket.destroy();
    }, 50);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    socket.on("data", (bytes: Uint8Array) => {
      if (socket.destroyed) return;
      try {
        push(bytes);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
      if ((left -= bytes.length) <= 0 || isDone()) socket.destroy();
    });
    socket.on("error", () => {}); // The close event follows.
    socket.once("close", () => {
      clearInterval(check);
      resolve();
    });
  });
}

/** Opens streams that it does not read, one after the other. Returns their number. */
async function stall(port: number, isOver: () => boolean): Promise<number> {
  let count = 0;
  for (; !isOver(); count++) {
    const { socket, write, closed } = await openWire(port);
    socket.pause();
    write("GET /events?since=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (const end = Date.now() + STALL_MS; Date.now() < end && !isOver();) await sleep(100);
    socket.destroy();
    await closed;
  }
  return count;
}

/** The resident memory of a process, in KiB. */
export async function residentMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

/** Returns what the server holds after a garbage collection, in KiB. */
export async function heldMemory({ stdin, stdout }: Child): Promise<number> {
  const printed = stdout.lines.length;
  const found = () => stdout.lines.slice(printed).find((line) => line.startsWith('{"held":'));
  stdin.write("memory\n");
  await until(() => found() !== undefined, "the memory is measured");
  return JSON.parse(found()!).held / 1024;
}

/** Returns the growth of memory over the second half in KiB a minute. */
export function slopeOf(memory: readonly number[]): number {
  return slopePerMinute(memory.slice(Math.floor(memory.length / 2)));
}

/** Returns the slope of the least-squares line through values of one second each, for a minute. */
export function slopePerMinute(values: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(values.map((_, second) => second)), mean(values)];
  const covariance = values.reduce((sum, value, second) => sum + (second - x) * (value - y), 0);
  const variance = values.reduce((sum, _, second) => sum + (second - x) ** 2, 0);
  return variance === 0 ? 0 : 60 * covariance / variance;
}

if (/\/soak\.ts$/.test(process.argv[1] ?? "")) {
  const seconds = Number(process.env["SOAK_SECONDS"] || 300);
  const { memory, ...counts } = await soak(seconds);
  for (const [name, count] of Object.entries(counts)) console.log(`${name}: ${count}`);
  const most = Math.max(...memory);
  console.log(
    `memory: ${Math.round(memory.at(-1)! / 1024)} MiB at the end, ${Math.round(most / 1024)} MiB at the most`,
  );
  console.log("left open: no subscriber, no socket, no timer");
  console.log(`slope over the second half: ${slopeOf(memory).toFixed(0)} KiB/min`);
  process.exit(0);
}
