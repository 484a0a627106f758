import process from "node:process";
import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import type { ConnectOptions, Dictionary } from "../../src/client/mod.ts";
import { consume, type Diary, LAST, TYPES } from "./consumer.ts";
import { running, startScript, whereItListens } from "../support/children.ts";
import { browsing, hasChromium, servePage, serveScript } from "../support/chromium.ts";
import { findFreePort, serving, within } from "../support/harness.ts";
import { type Proxy, randomOf, sleep, startProxy } from "../support/hostile_proxy.ts";

const test = suite("client: chaos");

/** Two minutes and more with the client's own pace and patience instead of some seconds with less of both. */
const SOAK = process.env["SOAK"] === "1";
/** How often the server is started, and for how long it is published to each time. */
const LIVES = SOAK ? 5 : 3;
const LIFE_MS = SOAK ? 25_000 : 2_000;
/** For how long after that a life waits for its consumers to connect, and for the proxy to do all that it does. */
const LONGEST_WAIT_MS = 60_000;
const PACE: ConnectOptions = SOAK ? {} : { reconnect: { min: 0.02, max: 0.3 }, idleTimeout: 2 };
const HEARTBEAT = SOAK ? "5" : "0.3";

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

/** Verifies that each event of its types came once, in order, and returns the number of `events_lost`. */
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
    // The truth has only what was posted.
    if (was === undefined) assert.is(type, "tribler_started");
    else assert.equal({ type, event }, draftOf(was.type, was.text));
  }
  assert.equal(events.at(-1)?.event, { text: LAST });
  return losses;
}

/** Starts consumers, and resolves with what they have seen once all have seen the last event. */
type Consumers = (url: string, seed: number, signal: AbortSignal) => Promise<Diary[]>;

/** Publishes to a server that dies and comes back, behind a proxy that does what it can, and settles the accounts. */
async function chaos(consumers: Consumers): Promise<void> {
  const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const truth: Truth = new Map();
  const stop = new AbortController();
  let consuming: Promise<Diary[]> | undefined;
  let failed = false;
  const port = await findFreePort();
  let proxy: Proxy | undefined;
  let n = 0;
  const startedAt = performance.now();
  try {
    for (let life = 0; life < LIVES; life++) {
      const args = [`${port}`, HEARTBEAT];
      const permissions = ["--allow-net", "--allow-env"];
      await running(startScript("test/support/open_server.ts", args, { permissions }), async (server) => {
        const { url } = await whereItListens(server);
        if (consuming === undefined) {
          proxy = await startProxy(port, randomOf(seed), { refusals: 0.1, stalls: 0.15 });
          consuming = consumers(`http://127.0.0.1:${proxy.port}`, seed, stop.signal);
          consuming.catch(() => void (failed = true)); // Why is looked at in the end.
        }
        const random = randomOf(seed + 1000 + life);
        // In its first life until the consumers are there (a browser takes its time), in its last one until the proxy has
        // done all that it does.
        const isEnough = () => life < LIVES - 1 ? proxy!.connections() > 20 : proxy!.hasDoneAll();
        for (const end = Date.now() + LIFE_MS; !failed && (Date.now() < end || !isEnough());) {
          if (Date.now() > end + LONGEST_WAIT_MS) {
            throw new Error("the consumers do not connect often enough");
          }
          const type = TYPES[Math.floor(random() * TYPES.length)]!;
          const pad = "é漢😀".repeat(random() < (SOAK ? 0.002 : 0.02) ? 2000 : random() * 20);
          await publish(url, type, `${n++} ${pad}`, truth);
          // A connection that is cut after some seconds has worked; at a high rate none of them would.
          if (SOAK) await sleep(random() * 200);
          else if (random() < 0.3) await sleep(random() * 20);
        }
        if (life < LIVES - 1) return; // It is killed, whatever is under way.
        await publish(url, TYPES[0], LAST, truth);
        await within(consuming, "the consumers", SOAK ? 240_000 : 90_000);
      });
    }
    const diaries = await consuming!;
    const losses = diaries.reduce((sum, diary) => sum + settle(diary, truth), 0);
    for (const { resumed } of diaries) assert.ok(resumed > 0, "it was cut, and went on");
    const causes = new Set(diaries.flatMap((diary) => diary.causes));
    assert.is(truth.size, LIVES);
    assert.ok(losses > 0 && losses <= (LIVES - 1) * diaries.length, `${losses} losses were reported`);
    const { cuts, refused, stalled } = proxy!;
    // A connection that fell silent may have been cut with the server, before anybody noticed.
    assert.ok(causes.has("ConnectionLost") && causes.has("Unavailable"), [...causes].join());
    if (SOAK) {
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      const received = diaries.reduce((sum, { events }) => sum + events.length, 0);
      console.log(
        `${seconds} s, ${n} events, ${received} received by ${diaries.length} consumers, ${cuts()} cuts, ` +
          `${refused()} refused, ${stalled()} silent, ${losses} losses reported`,
      );
    }
  } catch (error) {
    console.error(`to see this again: CHAOS_SEED=${seed}`);
    throw error;
  } finally {
    stop.abort();
    await Promise.allSettled([consuming]);
    await proxy?.close();
  }
}

test("connect() yields each event once while the server dies and the network cuts, stalls and refuses", () =>
  chaos((url, seed, signal) =>
    Promise.all(
      Array.from({ length: 6 }, (_, index) => consume(url, index, randomOf(seed + index), PACE, signal)),
    )
  ));

/** As many as a browser has connections to one origin, but for two that may have fallen silent. */
const IN_A_PAGE = [0, 1, 2, 3];

(hasChromium ? test : test.skip)(
  "connect() does the same in a browser",
  () =>
    chaos(async (url, _, signal) => {
      const app = new Hono();
      const reports = servePage<Diary[] | { error: string }>(
        app,
        `<script type="module" src="/js/page.js"></script>`,
      );
      await serveScript(app, "test/chaos/page.ts");
      let diaries: Diary[] | { error: string } | undefined;
      await serving(app, (origin) => {
        const query = new URLSearchParams({ url, indexes: IN_A_PAGE.join(), pace: JSON.stringify(PACE) });
        const left = new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve());
          if (signal.aborted) resolve();
        });
        return browsing(`${origin}/?${query}`, async () => {
          const reporting = reports.next(600_000).then((report) => diaries = report);
          await Promise.race([reporting, left]);
        });
      });
      if (!Array.isArray(diaries)) throw new Error(`the page failed: ${diaries?.error}`);
      return diaries;
    }),
);

test.run();
