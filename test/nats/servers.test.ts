/**
 * Servers side by side on one stream of NATS: publishers post to all, consumers disconnect from one and resume at another.
 *
 * @module
 */
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type Child, running, type RUNTIMES, startCliOn, whereItListens } from "../support/children.ts";
import { type Dictionary, openLines, until, within } from "../support/harness.ts";
import { type Random, randomOf, sleep } from "../support/hostile_proxy.ts";
import { withNats } from "./server.ts";

const test = suite("nats servers");

const PUBLISHERS = 5;
const BATCHES = 60;
const CONSUMERS = 12;
const LAST = "last";

type Runtime = (typeof RUNTIMES)[number];

/** A server; another process may take its place. */
interface Place {
  readonly runtime: Runtime;
  child: Child;
  url: string;
}

function start(runtime: Runtime, nats: string): Child {
  // A small history: most resumed events are read from the stream.
  return startCliOn(runtime, [
    "serve",
    "--port",
    "0",
    "--nats",
    nats,
    "--history",
    "50",
    "--heartbeat",
    "0.5",
  ]);
}

/** Runs `use` with a server on each of these runtimes. */
async function withServers(
  runtimes: readonly Runtime[],
  use: (places: readonly Place[], nats: string) => Promise<void>,
): Promise<void> {
  await withNats(async ({ url: nats }) => {
    const places: Place[] = [];
    const open = async (rest: readonly Runtime[]): Promise<void> => {
      const [runtime, ...others] = rest;
      if (runtime === undefined) return await use(places, nats);
      await running(start(runtime, nats), async (child) => {
        places.push({ runtime, child, url: (await whereItListens(child)).url });
        await open(others);
      });
    };
    await open(runtimes);
  });
}

const anyOf = (places: readonly Place[], random: Random) => places[Math.floor(random() * places.length)]!;

/** Publishes texts by one key until a server acknowledges them, and records the position of the last one. */
async function publish(
  places: readonly Place[],
  texts: readonly string[],
  random: Random,
  truth: Map<number, string>,
): Promise<void> {
  const body = JSON.stringify(texts.map((text) => ({ type: "upgrader_tick", event: { text } })));
  const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  for (let tries = 0; tries < 200; tries++) {
    const answer = await within(
      fetch(`${anyOf(places, random).url}/events`, { method: "POST", headers, body }).catch(() => undefined),
      "the answer to a POST",
    );
    if (answer?.status === 202) {
      const { accepted, last_id } = await answer.json();
      const positions = texts.map((_, index) => Number(last_id.split("-")[1]) - accepted + 1 + index);
      // Events of other publishers may stand between those of a batch; only its last position is known.
      assert.is(accepted, texts.length);
      const last = positions.at(-1)!;
      assert.not.ok(truth.has(last), `${last} is given once`);
      truth.set(last, texts.at(-1)!);
      return;
    }
    if (answer !== undefined) {
      const { error } = await answer.json();
      assert.is(answer.status, 503, JSON.stringify(error));
    }
    await sleep(10 + random() * 50);
  }
  throw new Error("no server accepted the events");
}

/** Reads from one server after the other until the last event. */
async function consume(places: readonly Place[], random: Random): Promise<Dictionary[]> {
  const received: Dictionary[] = [];
  let since = "earliest";
  for (let failures = 0; failures < 200;) {
    const lines = await openLines(`${anyOf(places, random).url}/events?since=${since}`).catch(() =>
      undefined
    );
    if (lines === undefined) {
      failures++; // The server was stopped.
      await sleep(20);
      continue;
    }
    const most = 1 + random() ** 2 * 200;
    try {
      for (let taken = 0; taken < most; taken++) {
        const event = await lines.event();
        since = event.id;
        if (event.type === "events_start") continue;
        received.push(event);
        if (event.event?.text === LAST) return received;
      }
    } catch {
      failures++; // The connection was cut, perhaps within a line, which does not count as received.
    } finally {
      await lines.close().catch(() => {});
    }
  }
  throw new Error("the last event did not arrive");
}

/** Publishes and reads during a fault, and checks what each consumer received. */
async function play(
  places: readonly Place[],
  fault: (acknowledged: () => number) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const truth = new Map<number, string>();
  const published = new Set<string>();
  const publishing = Promise.all(Array.from({ length: PUBLISHERS }, async (_, from) => {
    const random = randomOf(seed + from);
    for (let batch = 0, n = 0; batch < BATCHES; batch++) {
      const texts = Array.from({ length: 1 + Math.floor(random() * 5) }, () => `${from}:${n++}`);
      await publish(places, texts, random, truth);
      for (const text of texts) published.add(text);
      await sleep(random() * 30);
    }
  }));
  const consuming = Promise.all(Array.from({ length: CONSUMERS }, (_, index) => {
    return consume(places, randomOf(seed + 1000 + index));
  }));
  consuming.catch(() => {}); // Awaited below.
  try {
    await Promise.all([within(publishing, "the publishers", 60_000), fault(() => published.size)]);
    await publish(places, [LAST], randomOf(seed), truth);
    for (const received of await within(consuming, "the consumers", 60_000)) {
      settle(received, published, truth);
    }
  } catch (error) {
    console.error(`reproduce with CHAOS_SEED=${seed}`);
    throw error;
  }
}

/** Checks that a consumer received every event once, in the order of its publisher, and at the acknowledged position. */
function settle(
  received: readonly Dictionary[],
  published: ReadonlySet<string>,
  truth: ReadonlyMap<number, string>,
): void {
  const next = Array.from({ length: PUBLISHERS }, () => 0);
  const texts = received.filter(({ type }) => type === "upgrader_tick");
  const positions = received.map(({ id }) => Number(id.split("-")[1]));
  assert.equal(
    positions,
    positions.map((_, index) => positions[0]! + index),
    "no position is missing or repeated",
  );
  assert.equal(
    received.filter(({ type }) => type !== "upgrader_tick" && type !== "tribler_started"),
    [],
    "no loss and no other event is received",
  );
  for (const { id, event: { text } } of texts) {
    const acknowledged = truth.get(Number(id.split("-")[1]));
    if (acknowledged !== undefined) assert.is(text, acknowledged, "the event has its acknowledged position");
    if (text === LAST) continue;
    const [from, n] = text.split(":").map(Number);
    assert.is(n, next[from]!++, `the events of publisher ${from} arrive once and in order`);
  }
  assert.is(texts.length - 1, published.size);
  for (const position of truth.keys()) assert.ok(position <= positions.at(-1)! && position >= positions[0]!);
}

test("serve --nats delivers every event once at two servers, at whichever it was posted or is read", () =>
  withServers(["node", "bun"], async (places) => {
    await play(places);
    for (const { child } of places) {
      child.signal("SIGTERM");
      assert.equal(await child.exit(), { code: 0, signal: null });
      assert.equal(child.stderr.lines, []);
    }
  }));

test("serve --nats loses no event when one of three servers is killed and another receives SIGTERM", () =>
  withServers(["node", "deno", "bun"], async (places, nats) => {
    const later: Child[] = [];
    try {
      await play(places, async (acknowledged) => {
        const [first, second] = places as [Place, Place, Place];
        await until(() => acknowledged() > 100, "100 published events", 30_000);
        first.child.signal("SIGKILL");
        await first.child.exit();
        await until(() => acknowledged() > 200, "200 published events", 30_000);
        later.push(first.child = start("node", nats));
        first.url = (await whereItListens(first.child)).url;
        second.child.signal("SIGTERM");
        assert.equal(await second.child.exit(), { code: 0, signal: null });
        later.push(second.child = start("deno", nats));
        second.url = (await whereItListens(second.child)).url;
      });
    } finally {
      await Promise.all(later.map((child) => child.kill()));
    }
  }));

test.run();
