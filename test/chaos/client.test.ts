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

const test = suite("chaos: client");

/** More than two minutes with the client's default delays and timeouts, instead of some seconds with shorter ones. */
const SOAK = process.env["SOAK"] === "1";
/** Number of starts of the server, and milliseconds of publishing in each life. */
const LIVES = SOAK ? 5 : 3;
const LIFE_MS = SOAK ? 25_000 : 2_000;
/** Maximum number of milliseconds that a life continues until its consumers have connected, or the proxy has done everything. */
const LONGEST_WAIT_MS = 60_000;
const PACE: ConnectOptions = SOAK ? {} : { reconnect: { min: 0.02, max: 0.3 }, idleTimeout: 2 };
const HEARTBEAT = SOAK ? "5" : "0.3";

/** The events that the server accepted: for each of its lives the type and text of each event, by its position. */
type Truth = Map<string, Map<number, { readonly type: string; readonly text: string }>>;

/** Makes an event, which is compared with the delivered one later. */
function draftOf(type: string, text: string): Dictionary {
  return { type, event: type === "upgrader_tick" ? { text } : { version: text } };
}

async function publish(url: string, type: string, text: string, truth: Truth): Promise<void> {
  const init = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(draftOf(type, text)),
  };
  const response = await within(fetch(`${url}/events`, init), "the response to an event");
  const { last_id } = await response.json();
  const [epoch, position] = last_id.split("-");
  if (!truth.has(epoch)) truth.set(epoch, new Map());
  truth.get(epoch)!.set(Number(position), { type, text });
}

/** Verifies that each event of its types was delivered once and in order. Returns the number of `events_lost`. */
function verify({ types, events }: Diary, truth: Truth): number {
  let epoch: string | undefined;
  let position = 0;
  let losses = 0;
  for (const { type, event, id } of events) {
    const [ofEpoch, digits] = id!.split("-") as [string, string];
    if (type === "events_lost") {
      assert.equal(event, { reason: "unknown_epoch", count: null }, "no other loss");
      assert.is.not(ofEpoch, epoch);
      [epoch, position] = [ofEpoch, Number(digits)];
      assert.is(position, 0);
      losses++;
      continue;
    }
    epoch ??= ofEpoch;
    assert.is(ofEpoch, epoch, "a new life of the server is reported");
    const here = Number(digits);
    assert.ok(here > position, `${id} comes after ${position}`);
    const published = truth.get(epoch)!;
    while (++position < here) {
      const missing = published.get(position);
      assert.not.ok(missing && types.includes(missing.type), `${epoch}-${position} was never delivered`);
    }
    const was = published.get(here);
    // Events that the server published itself are not in the truth.
    if (was === undefined) assert.is(type, "tribler_started");
    else assert.equal({ type, event }, draftOf(was.type, was.text));
  }
  assert.equal(events.at(-1)?.event, { text: LAST });
  return losses;
}

/** Starts consumers. Resolves with their diaries once each has received the last event. */
type Consumers = (url: string, seed: number, signal: AbortSignal) => Promise<Diary[]>;

/** Publishes to a server that is killed and restarted behind a hostile proxy, and verifies what each consumer received. */
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
          consuming.catch(() => void (failed = true)); // The error is thrown at the end.
        }
        const random = randomOf(seed + 1000 + life);
        // The first lives last until the consumers have connected (a browser is slow), and the last one until the proxy has
        // done everything.
        const isEnough = () => life < LIVES - 1 ? proxy!.connections() > 20 : proxy!.hasDoneAll();
        for (const end = Date.now() + LIFE_MS; !failed && (Date.now() < end || !isEnough());) {
          if (Date.now() > end + LONGEST_WAIT_MS) {
            throw new Error("the consumers do not connect often enough");
          }
          const type = TYPES[Math.floor(random() * TYPES.length)]!;
          const pad = "é漢😀".repeat(random() < (SOAK ? 0.002 : 0.02) ? 2000 : random() * 20);
          await publish(url, type, `${n++} ${pad}`, truth);
          // A connection must last some seconds to count as one that worked: at a high rate none would.
          if (SOAK) await sleep(random() * 200);
          else if (random() < 0.3) await sleep(random() * 20);
        }
        if (life < LIVES - 1) return; // It is killed.
        await publish(url, TYPES[0], LAST, truth);
        await within(consuming, "the consumers", SOAK ? 240_000 : 90_000);
      });
    }
    const diaries = await consuming!;
    const losses = diaries.reduce((sum, diary) => sum + verify(diary, truth), 0);
    for (const { resumed } of diaries) assert.ok(resumed > 0, "it was cut off, and resumed");
    const causes = new Set(diaries.flatMap((diary) => diary.causes));
    assert.is(truth.size, LIVES);
    assert.ok(losses > 0 && losses <= (LIVES - 1) * diaries.length, `${losses} losses were reported`);
    const { cuts, refused, stalled } = proxy!;
    // A connection that fell silent may have been cut with the server before its timeout.
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
    console.error(`to repeat this: CHAOS_SEED=${seed}`);
    throw error;
  } finally {
    stop.abort();
    await Promise.allSettled([consuming]);
    await proxy?.close();
  }
}

test("connect() yields each event once while the server is killed and the network cuts, stalls and rejects", () =>
  chaos((url, seed, signal) =>
    Promise.all(
      Array.from({ length: 6 }, (_, index) => consume(url, index, randomOf(seed + index), PACE, signal)),
    )
  ));

/** As many as a browser has connections to one origin, less two that may have fallen silent. */
const IN_A_PAGE = [0, 1, 2, 3];

(hasChromium ? test : test.skip)(
  "connect() yields each event once in a browser while the server is killed and the network fails",
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
        const aborted = new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve());
          if (signal.aborted) resolve();
        });
        return browsing(`${origin}/?${query}`, async () => {
          const reporting = reports.next(600_000).then((report) => diaries = report);
          await Promise.race([reporting, aborted]);
        });
      });
      if (!Array.isArray(diaries)) throw new Error(`the page failed: ${diaries?.error}`);
      return diaries;
    }),
);

test.run();
