/**
 * A server on a file that is killed (SIGKILL) and restarted under load, and the account of every client. `npx tsx
 * test/sqlite/server_kills.ts` does so for five minutes (`SOAK_SECONDS`), on Node 24 or on the runtime of `TEST_RUNTIME`.
 *
 * @module
 */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import process from "node:process";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { type Child, type ChildOptions, startCli, startProgram } from "../support/children.ts";
import { findFreePort, until, within } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { withFile } from "./channels.ts";

const TYPE = "upgrader_tick";

/** An event that a reader received. */
interface Received {
  readonly type: string;
  readonly id?: string;
  // deno-lint-ignore no-explicit-any
  readonly event?: any;
}

/** A reader that reconnects by itself. */
interface Reader {
  readonly name: string;
  readonly received: Received[];
  stop(): void;
}

/** The permissions on Deno for the folder of a file. */
export function permissionsFor(file: string): ChildOptions {
  return { permissions: [`--allow-read=${dirname(file)}`, `--allow-write=${dirname(file)}`] };
}

/** Starts a server on the file. Resolves when it listens. */
export async function start(file: string, port: number, args: readonly string[] = []): Promise<Child> {
  const child = startCli(["serve", "--port", `${port}`, "--data", file, ...args], permissionsFor(file));
  await child.stdout.match(/listens on/, 60_000); // The machine may be busy.
  return child;
}

/** Publishes by POST until it is acknowledged: always the same by the same key, as an app should. */
async function publish(url: string, text: string): Promise<string> {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  const body = JSON.stringify({ type: TYPE, event: { text } });
  for (;;) {
    const response = await fetch(`${url}/events`, { method: "POST", headers, body }).catch(() => undefined);
    if (response?.status === 202) {
      const answer = await response.json().catch(() => undefined); // Cut while it was read.
      if (answer !== undefined) return answer.last_id;
    } else if (response !== undefined) {
      throw new Error(`${response.status}: ${await response.text()}`);
    }
    await sleep(20);
  }
}

function connected(url: string, format: "ndjson" | "sse"): Reader {
  const stop = new AbortController();
  const received: Received[] = [];
  const reading = (async () => {
    const options = { since: "earliest", signal: stop.signal, reconnect: { min: 0.02, max: 0.1 } };
    for await (const event of connect(`${url}/events?format=${format}`, options)) received.push(event);
  })();
  reading.catch(() => {}); // Stopped.
  return { name: `connect() by ${format}`, received, stop: () => stop.abort() };
}

function eventSource(url: string): Reader {
  const require = createRequire(import.meta.url);
  const source = new (require("eventsource2"))(`${url}/events?since=earliest`);
  const received: Received[] = [];
  for (const type of [TYPE, "tribler_started", "events_lost"]) {
    source.addEventListener(type, ({ data }: { data: string }) => received.push(JSON.parse(data)));
  }
  return { name: "EventSource", received, stop: () => source.close() };
}

/** Reads with `curl`, again and again from the last cursor. */
function curl(url: string): Reader {
  const received: Received[] = [];
  let child: Child | undefined;
  let isOver = false;
  (async () => {
    for (let since = "earliest"; !isOver; await sleep(50)) {
      child = startProgram("curl", ["-sN", `${url}/events?since=${since}`]);
      const { stdout } = child;
      let read = 0;
      // The last line may be cut: it has no end.
      const take = (count: number) => {
        for (; read < count; read++) {
          const line = stdout.lines[read]!;
          if (line === "") continue;
          const event: Received = JSON.parse(line);
          since = event.id!;
          if (event.type !== "events_start") received.push(event);
        }
      };
      const ended = child.exit(120_000).then(() => true);
      while (!await Promise.race([ended, sleep(20)])) take(stdout.lines.length);
      const isCut = stdout.lines.at(-1) !== "" && !isJson(stdout.lines.at(-1) ?? "");
      take(stdout.lines.length - (isCut ? 1 : 0));
    }
  })().catch((error) => received.push({ type: String(error) }));
  return {
    name: "curl",
    received,
    stop: () => {
      isOver = true;
      child?.signal("SIGKILL");
    },
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** How much is done. */
export interface Load {
  readonly publishers: number;
  /** Number of readers of each of the four kinds. */
  readonly readersEach: number;
  /** Called after each kill; `false` to go on. */
  isOver(kills: number): boolean;
  /** The longest time from a start to the next kill, in milliseconds, once publishing goes on. */
  readonly mostMs: number;
}

/** The result, in which nothing is missing, repeated or reported as lost. */
export interface ServerKills {
  readonly kills: number;
  readonly acknowledged: number;
  readonly delivered: number;
}

/** Kills and restarts a server, and verifies the account of each reader. */
export async function killServer(
  file: string,
  { publishers, readersEach, isOver, mostMs }: Load,
): Promise<ServerKills> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  let server = await start(file, port);
  const kinds = [
    () => connected(url, "ndjson"),
    () => connected(url, "sse"),
    () => eventSource(url),
    () => curl(url),
  ];
  const readers = kinds.flatMap((open) => Array.from({ length: readersEach }, open));
  try {
    const acknowledged = new Map<string, string>();
    let hasEnough = false;
    const publishing = Promise.all(Array.from({ length: publishers }, async (_, publisher) => {
      for (let n = 0; !hasEnough; n++) {
        const text = `${publisher}/${n}`;
        acknowledged.set(await publish(url, text), text);
      }
    }));
    publishing.catch(() => {}); // It is awaited below.
    let kills = 0;
    for (; !isOver(kills); kills++) {
      const before = acknowledged.size;
      const goesOn = until(() => acknowledged.size > before + 50, "publishing goes on", 60_000);
      await Promise.race([goesOn, publishing]);
      await sleep(Math.random() * mostMs);
      await server.kill();
      server = await start(file, port);
    }
    hasEnough = true;
    await within(publishing, "the publishers", 60_000);
    const last = await publish(url, "last");
    acknowledged.set(last, "last");
    let delivered = 0;
    for (const { name, received, stop } of readers) {
      await until(() => received.at(-1)?.id === last, `${name} has the last event`, 60_000);
      stop();
      check(name, received, acknowledged);
      delivered += received.length;
    }
    server.signal("SIGTERM");
    assert.equal(await server.exit(), { code: 0, signal: null });
    return { kills, acknowledged: acknowledged.size, delivered };
  } finally {
    for (const { stop } of readers) stop();
    await server.kill();
  }
}

/** Every event once, in order, and each that was acknowledged under its id. */
function check(name: string, received: readonly Received[], acknowledged: ReadonlyMap<string, string>): void {
  const wrong = received.find(({ type }) => type !== TYPE && type !== "tribler_started");
  assert.is(wrong, undefined, `${name}: ${JSON.stringify(wrong)}`);
  const epochs = new Set(received.map(({ id }) => id!.split("-")[0]));
  assert.is(epochs.size, 1, name);
  received.forEach(({ id }, index) => assert.is(Number(id!.split("-")[1]), index + 1, name));
  const texts = new Map(
    received.filter(({ type }) => type === TYPE).map(({ id, event }) => [id, event.text]),
  );
  for (const [id, text] of acknowledged) assert.is(texts.get(id), text, `${name}: ${id}`);
  assert.is(new Set(texts.values()).size, texts.size, `${name}: no publication is stored twice`);
  assert.is(texts.size, acknowledged.size, `${name}: nothing else is there`);
}

if (/server_kills\.ts$/.test(process.argv[1] ?? "")) {
  process.env["TEST_RUNTIME"] ??= "node24"; // The Node at hand may have no SQLite.
  const end = Date.now() + Number(process.env["SOAK_SECONDS"] || 300) * 1000;
  const load = { publishers: 5, readersEach: 8, isOver: () => Date.now() > end, mostMs: 5000 };
  await withFile(async (file) => {
    const { kills, acknowledged, delivered } = await killServer(file, load);
    console.log(
      `killed: ${kills}, acknowledged: ${acknowledged}, delivered: ${delivered}, missing or repeated: 0`,
    );
  });
  process.exit(0);
}
