/**
 * A server on a file that is killed (SIGKILL) and restarted under load, and the account of every client. `npx tsx
 * test/sqlite/server_kills.ts` does so for five minutes (`SOAK_SECONDS`), on Node 24 or on the runtime of `TEST_RUNTIME`.
 *
 * @module
 */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import process from "node:process";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { connect } from "../../src/client/mod.ts";
import { type Child, type ChildOptions, startCli, startProgram } from "../support/children.ts";
import { hasChromium, launchChromium } from "../support/chromium.ts";
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

/** What all readers together received, by position: each of them has to receive the same. */
class Ledger {
  /** The texts by position; a position without one is of another type. */
  readonly texts: (string | undefined)[] = [];
  #epoch: string | undefined;

  /** Opens the account of one reader. */
  account(name: string): Account {
    const account: Account = {
      name,
      position: 0,
      failure: undefined,
      take: (event) => {
        account.failure ??= this.#check(event, account.position + 1);
        account.position++;
      },
    };
    return account;
  }

  /** Returns what is wrong with an event. */
  #check(received: Received, position: number): string | undefined {
    const { type, id, event } = received;
    const [epoch, sequence] = id?.split("-") ?? [];
    this.#epoch ??= epoch;
    const text: string | undefined = type === TYPE ? event.text : undefined;
    const isKnown = type === TYPE || type === "tribler_started";
    if (this.texts.length <= position) this.texts[position] = text;
    const isExpected = isKnown && epoch === this.#epoch && sequence === `${position}`;
    return isExpected && this.texts[position] === text
      ? undefined
      : `${JSON.stringify(received)} in place of ${position}: ${this.texts[position]}`;
  }
}

/** What one reader received. */
interface Account {
  readonly name: string;
  /** The position of its last event; every one up to it was received once, and in order. */
  position: number;
  /** The first event that was missing, repeated or wrong. */
  failure: string | undefined;
  take(event: Received): void;
}

/** A reader that reconnects by itself. Its calls go to its account. */
interface Reader {
  readonly account: Account;
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

function connected(url: string, account: Account, format: "ndjson" | "sse"): Reader {
  const stop = new AbortController();
  const reading = (async () => {
    const options = { since: "earliest", signal: stop.signal, reconnect: { min: 0.02, max: 0.1 } };
    for await (const event of connect(`${url}/events?format=${format}`, options)) account.take(event);
  })();
  reading.catch((error) => account.failure ??= String(error));
  return { account, stop: () => stop.abort() };
}

const TYPES = [TYPE, "tribler_started", "events_lost"];

/** Reads with the package `eventsource`. */
function eventSource(url: string, account: Account): Reader {
  const require = createRequire(import.meta.url);
  const source = new (require("eventsource2"))(`${url}/events?since=earliest`);
  for (const type of TYPES) {
    source.addEventListener(type, ({ data }: { data: string }) => account.take(JSON.parse(data)));
  }
  return { account, stop: () => source.close() };
}

/** Reads with the `EventSource` of Chromium, in a page of the server. */
async function inBrowser(browser: Browser, url: string, account: Account): Promise<Reader> {
  const page = await browser.newPage();
  await page.goto(`${url}/healthz`);
  await page.evaluate(`{
    globalThis.received = [];
    globalThis.source = new EventSource("/events?since=earliest");
    for (const type of ${JSON.stringify(TYPES)}) {
      source.addEventListener(type, ({ data }) => received.push(data));
    }
    0
  }`);
  let isOver = false;
  (async () => {
    for (; !isOver; await sleep(100)) {
      for (const data of await page.evaluate("received.splice(0)") as string[]) {
        account.take(JSON.parse(data));
      }
    }
  })().catch((error) => account.failure ??= String(error));
  return {
    account,
    stop: () => {
      isOver = true;
    },
  };
}

/** Reads with `curl`, again and again from the last cursor. */
function curl(url: string, account: Account): Reader {
  let child: Child | undefined;
  let isOver = false;
  (async () => {
    for (let since = "earliest"; !isOver; await sleep(50)) {
      child = startProgram("curl", ["-sN", `${url}/events?since=${since}`]);
      const { lines } = child.stdout;
      let read = 0;
      // The last line may be cut: it has no end.
      const take = (count: number) => {
        for (; read < count; read++) {
          const line = lines[read]!;
          if (line === "") continue;
          const event: Received = JSON.parse(line);
          since = event.id!;
          if (event.type !== "events_start") account.take(event);
        }
      };
      const ended = child.exit(600_000).then(() => true);
      while (!await Promise.race([ended, sleep(20)])) take(lines.length);
      const isCut = lines.length > 0 && lines.at(-1) !== "" && !isJson(lines.at(-1)!);
      take(lines.length - (isCut ? 1 : 0));
    }
  })().catch((error) => account.failure ??= String(error));
  return {
    account,
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
  /** Number of readers of each kind. */
  readonly readersEach: number;
  /** Whether the `EventSource` of Chromium reads as well. */
  readonly browser: boolean;
  /** Called after each kill; `false` to go on. */
  isOver(kills: number): boolean;
  /** The longest time from a start to the next kill, in milliseconds, once publishing goes on. */
  readonly mostMs: number;
}

/** The result, in which nothing is missing, repeated or reported as lost. */
export interface ServerKills {
  readonly kills: number;
  readonly readers: number;
  readonly acknowledged: number;
  readonly delivered: number;
}

/** Kills and restarts a server, and verifies the account of each reader. */
export async function killServer(file: string, load: Load): Promise<ServerKills> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  let server = await start(file, port);
  const ledger = new Ledger();
  const readers: Reader[] = [];
  const browser = load.browser ? await launchChromium() : undefined;
  try {
    for (let n = 0; n < load.readersEach; n++) {
      readers.push(
        connected(url, ledger.account("connect() by NDJSON"), "ndjson"),
        connected(url, ledger.account("connect() by SSE"), "sse"),
        eventSource(url, ledger.account("eventsource")),
        curl(url, ledger.account("curl")),
      );
      if (browser !== undefined) {
        readers.push(await inBrowser(browser, url, ledger.account("EventSource in Chromium")));
      }
    }
    const acknowledged = new Map<string, string>();
    let hasEnough = false;
    const publishing = Promise.all(Array.from({ length: load.publishers }, async (_, publisher) => {
      for (let n = 0; !hasEnough; n++) {
        const text = `${publisher}/${n}`;
        acknowledged.set(await publish(url, text), text);
      }
    }));
    publishing.catch(() => {}); // It is awaited below.
    let kills = 0;
    for (; !load.isOver(kills); kills++) {
      const before = acknowledged.size;
      const goesOn = until(() => acknowledged.size > before + 50, "publishing goes on", 60_000);
      await Promise.race([goesOn, publishing]);
      await sleep(Math.random() * load.mostMs);
      await server.kill();
      server = await start(file, port);
    }
    hasEnough = true;
    await within(publishing, "the publishers", 60_000);
    const last = await publish(url, "last");
    acknowledged.set(last, "last");
    const position = positionOf(last);
    for (const { account, stop } of readers) {
      const isDone = () => account.failure !== undefined || account.position >= position;
      await until(isDone, `${account.name} has the last event`, 60_000);
      stop();
      assert.is(account.failure, undefined, account.name);
      assert.is(account.position, position, account.name);
    }
    check(ledger, acknowledged);
    server.signal("SIGTERM");
    assert.equal(await server.exit(), { code: 0, signal: null });
    return {
      kills,
      readers: readers.length,
      acknowledged: acknowledged.size,
      delivered: position * readers.length,
    };
  } finally {
    for (const { stop } of readers) stop();
    await browser?.close();
    await server.kill();
  }
}

function positionOf(id: string): number {
  return Number(id.split("-")[1]);
}

/** Each event that was acknowledged was delivered under its id, and nothing else. */
function check({ texts }: Ledger, acknowledged: ReadonlyMap<string, string>): void {
  for (const [id, text] of acknowledged) assert.is(texts[positionOf(id)], text, id);
  const delivered = texts.filter((text) => text !== undefined);
  assert.is(new Set(delivered).size, delivered.length, "no publication is stored twice");
  assert.is(delivered.length, acknowledged.size, "nothing else is there");
}

if (/server_kills\.ts$/.test(process.argv[1] ?? "")) {
  process.env["TEST_RUNTIME"] ??= "node24"; // The Node at hand may have no SQLite.
  const end = Date.now() + Number(process.env["SOAK_SECONDS"] || 300) * 1000;
  const load = {
    publishers: 5,
    readersEach: 6,
    browser: hasChromium,
    isOver: () => Date.now() > end,
    mostMs: 5000,
  };
  await withFile(async (file) => {
    const { kills, readers, acknowledged, delivered } = await killServer(file, load);
    console.log(
      `${process.env["TEST_RUNTIME"]}: killed: ${kills}, acknowledged: ${acknowledged}, delivered to ` +
        `${readers} readers: ${delivered}, missing or repeated: 0`,
    );
  });
  process.exit(0);
}
