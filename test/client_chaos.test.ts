import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, type ConnectOptions, type Dictionary } from "../src/client/mod.ts";
import { triblerEvents } from "../src/tribler/mod.ts";
import { running, startCli, whereItListens } from "./children.ts";
import { within } from "./harness.ts";
import { type Random, randomOf, sleep, startProxy } from "./hostile_proxy.ts";

const test = suite("client: chaos");

/** Two minutes and more with the client's own pace instead of some seconds at a faster one. */
const SOAK = process.env["SOAK"] === "1";
/** How often the server is started, and for how long it is published to each time. */
const LIVES = SOAK ? 5 : 3;
const LIFE_MS = SOAK ? 20_000 : 2_000;
const PACE: ConnectOptions = SOAK ? {} : { reconnect: { min: 0.02, max: 0.3 } };
const HEARTBEAT = SOAK ? "5" : "0.3";

const TYPES = ["upgrader_tick", "new_version_available"] as const;
/** The text of the last event of all: who has seen it has seen enough. */
const LAST = "last";

/** What the server has accepted: for each of its lives the type and text of each event, by its position. */
type Truth = Map<string, Map<number, { readonly type: string; readonly text: string }>>;

/** What goes into an event, and is looked for in it again. */
function draftOf(type: string, text: string): Dictionary {
  return { type, event: type === "upgrader_tick" ? { text } : { version: text } };
}

async function publish(url: string, type: string, text: string, truth: Truth): Promise<void> {
  const init = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(draftOf(type, text)),
  };
  const response = await within(fetch(`${url}/events`, init), "the answer to an event");
  const { last_id } = await response.json();
  const [epoch, position] = last_id.split("-");
  if (!truth.has(epoch)) truth.set(epoch, new Map());
  truth.get(epoch)!.set(Number(position), { type, text });
}

/** One consumer: what it asked for, and what it was given. */
interface Diary {
  readonly types: readonly string[];
  readonly events: Dictionary[];
  /** Why its connections were lost or could not be had, by code. */
  readonly causes: Set<string>;
  resumed: number;
}

/** Follows the stream until the last event, or until nothing more is to be expected. */
async function consume(url: string, index: number, random: Random, signal: AbortSignal): Promise<Diary> {
  const types = index % 3 === 2 ? TYPES.slice(0, 1) : TYPES;
  const diary: Diary = { types, events: [], causes: new Set(), resumed: 0 };
  const options: ConnectOptions<typeof triblerEvents.schemas> = {
    ...PACE,
    signal,
    since: "earliest",
    catalogue: triblerEvents,
    ...(types.length < TYPES.length ? { types } : {}),
    onStatus: (status) => {
      if (status.type === "waiting") diary.causes.add(status.cause.code);
      if (status.type === "open" && status.resumed) diary.resumed++;
    },
  };
  const connection = connect(`${url}/events?format=${index % 2 === 0 ? "ndjson" : "sse"}`, options);
  for await (const event of connection) {
    assert.is(event.id, connection.lastId);
    diary.events.push(event as Dictionary);
    if (event.type === "upgrader_tick" && event.event.text === LAST) break;
    if (random() < 0.01) await sleep(random() * 30);
  }
  return diary;
}

/** Sees that each event of its types came once, in order; how often it was told that some are lost. */
function settle({ types, events }: Diary, truth: Truth): number {
  let epoch: string | undefined;
  let position = 0;
  let losses = 0;
  for (const { type, event, id } of events) {
    const [ofEpoch, digits] = id!.split("-") as [string, string];
    if (type === "events_lost") {
      assert.equal(event, { reason: "unknown_epoch", count: null }, "nothing else is ever lost here");
      assert.is.not(ofEpoch, epoch);
      [epoch, position] = [ofEpoch, Number(digits)];
      assert.is(position, 0);
      losses++;
      continue;
    }
    epoch ??= ofEpoch;
    assert.is(ofEpoch, epoch, "another life of the server never begins in silence");
    const here = Number(digits);
    assert.ok(here > position, `${id} comes after ${position}`);
    const published = truth.get(epoch)!;
    while (++position < here) {
      const missing = published.get(position);
      assert.not.ok(missing && types.includes(missing.type), `${epoch}-${position} never came`);
    }
    const was = published.get(here);
    // What the server tells of itself is not in the books.
    if (was === undefined) assert.is(type, "tribler_started");
    else assert.equal({ type, event }, draftOf(was.type, was.text));
  }
  assert.equal(events.at(-1)?.event, { text: LAST });
  return losses;
}

test("through a server that dies and a network that cuts, stalls and refuses, each event comes once", async () => {
  const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const truth: Truth = new Map();
  const stop = new AbortController();
  const diaries: Promise<Diary>[] = [];
  let port = 0;
  let proxy: Awaited<ReturnType<typeof startProxy>> | undefined;
  let n = 0;
  try {
    for (let life = 0; life < LIVES; life++) {
      await running(startCli(["serve", "--port", `${port}`, "--heartbeat", HEARTBEAT]), async (server) => {
        const { url, port: bound } = await whereItListens(server);
        port = bound;
        if (proxy === undefined) {
          const { port } = proxy = await startProxy(bound, randomOf(seed), { refusals: 0.1, stalls: 0.15 });
          for (let index = 0; index < 6; index++) {
            diaries.push(consume(`http://127.0.0.1:${port}`, index, randomOf(seed + index), stop.signal));
          }
        }
        const random = randomOf(seed + 1000 + life);
        for (const end = Date.now() + LIFE_MS; Date.now() < end;) {
          const type = TYPES[Math.floor(random() * TYPES.length)]!;
          const pad = "é漢😀".repeat(random() < (SOAK ? 0.002 : 0.02) ? 2000 : random() * 20);
          await publish(url, type, `${n++} ${pad}`, truth);
          // A connection that is cut after some seconds has worked; at a high rate none of them would.
          if (SOAK) await sleep(random() * 200);
          else if (random() < 0.3) await sleep(random() * 20);
        }
        if (life < LIVES - 1) return; // It is killed, whatever is under way.
        await publish(url, TYPES[0], LAST, truth);
        await within(Promise.all(diaries), "the consumers", SOAK ? 240_000 : 90_000);
      });
    }
    let losses = 0;
    const causes = new Set<string>();
    for (const diary of await Promise.all(diaries)) {
      losses += settle(diary, truth);
      for (const cause of diary.causes) causes.add(cause);
      assert.ok(diary.resumed > 0, "it was cut, and went on");
    }
    assert.is(truth.size, LIVES);
    assert.ok(losses > 0 && losses <= (LIVES - 1) * diaries.length, `${losses} losses were told`);
    const { cuts, refused, stalled } = proxy!;
    assert.ok(
      cuts() > 10 && refused() > 0 && stalled() > 0,
      `${cuts()} cuts, ${refused()} refused, ${stalled()} silent`,
    );
    assert.ok(
      causes.has("ConnectionLost") && causes.has("Unavailable") && causes.has("Silence"),
      [...causes].join(),
    );
    if (SOAK) {
      console.log(
        `${n} events, ${cuts()} cuts, ${refused()} refused, ${stalled()} silent, ${losses} losses told`,
      );
    }
  } catch (error) {
    console.error(`to see this again: CHAOS_SEED=${seed}`);
    throw error;
  } finally {
    stop.abort();
    await Promise.allSettled(diaries);
    await proxy?.close();
  }
});

test.run();
