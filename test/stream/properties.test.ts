/**
 * Properties of any stream under any interleaving, tested with generated plans.
 *
 * @module
 */
import * as fc from "fast-check";
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { serving, timersLeftBy } from "../support/harness.ts";
import { inThisProcess, onSockets } from "./grounds.ts";
import { begin, type Life, publish } from "./model.ts";
import { historyBytes, plans, type Shape, small } from "./plans.ts";
import { type Plan, run, Tally } from "./run_plan.ts";

const test = suite("stream: properties");

/** Multiplies the number of runs, which the gate has on each of six runtimes, with a seed of its own on each. */
const TIMES = process.env["SOAK"] ? 100 : 1;

/** Tests this many values. */
async function always<T>(
  values: fc.Arbitrary<T>,
  numRuns: number,
  holds: (value: T) => Promise<void> | void,
): Promise<void> {
  const property = fc.asyncProperty(values, async (value) => await holds(value));
  await fc.assert(property, { numRuns: numRuns * TIMES, includeErrorInReport: true });
}

/** Tests this many plans, and the same number again, up to five times in all, until each of these things was met. */
async function holdsForPlans(
  shape: Shape,
  numRuns: number,
  wanted: readonly string[],
  runPlan: (plan: Plan, tally: Tally) => Promise<void>,
): Promise<void> {
  const tally = new Tally();
  let rounds = 0;
  do {
    await always(plans(shape), numRuns, (plan) => runPlan(plan, tally));
  } while (!wanted.every((name) => tally.has(name)) && ++rounds < 5);
  tally.includes(...wanted);
}

async function holdsHere(shape: Shape, numRuns: number, ...wanted: readonly string[]): Promise<void> {
  await holdsForPlans(
    shape,
    numRuns,
    wanted,
    (plan, tally) => inThisProcess((ground) => leavesNoTimer(() => run(ground, plan, new Map(), tally))),
  );
}

async function leavesNoTimer(use: () => Promise<void>): Promise<void> {
  const left = await timersLeftBy(use);
  assert.is(left, 0, `${left} timers are left`);
}

test("GET /events loses no event without a report, in any interleaving", async () => {
  await holdsHere(
    {
      units: small,
      maxBytes: historyBytes,
      heartbeat: fc.constant(null),
      ms: fc.constantFrom(0, 0, 1, 3, 7),
      pauses: 3,
      consumers: 4,
      maxLength: 60,
    },
    500,
    "an end",
    "history_expired",
    "slow_consumer",
    "unknown_epoch",
  );
});

test("GET /events loses no event without a report beside heartbeats, bookmarks and stalls", async () => {
  await holdsHere(
    {
      units: small,
      maxBytes: historyBytes,
      heartbeat: fc.constantFrom(5, 0.002),
      ms: fc.constantFrom(0, 3, 2500, 5001, 5001, 61_000),
      pauses: 12,
      consumers: 2,
      maxLength: 50,
    },
    250,
    "heartbeat",
    "events_bookmark",
    "move",
    "a stalled reader",
  );
});

test("GET /events loses no event without a report with large events and many hidden ones", async () => {
  await holdsHere({
    units: fc.oneof(small, fc.integer({ min: 3000, max: 6000 }), fc.integer({ min: 12_000, max: 25_000 })),
    maxBytes: fc.oneof(fc.constant(32 * 1024 * 1024), fc.integer({ min: 100_000, max: 2_000_000 })),
    heartbeat: fc.constantFrom(null, 5),
    ms: fc.constantFrom(0, 1, 7, 5001),
    pauses: 3,
    consumers: 2,
    maxLength: 40,
  }, 25);
});

test("read() returns the events after any position when thousands have expired", async () => {
  const burst = fc.record({
    count: fc.integer({ min: 1, max: 800 }),
    type: fc.nat({ max: 3 }),
    reads: fc.array(
      fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), maxBytes: fc.nat({ max: 3000 }) }),
    ),
  });
  const values = fc.record({
    maxEvents: fc.integer({ min: 1, max: 1500 }),
    maxBytes: fc.constantFrom(2000, 40_000, 1_000_000),
    bursts: fc.array(burst, { minLength: 3, maxLength: 8 }),
  });
  await always(values, 12, ({ maxEvents, maxBytes, bursts }) => {
    const life = begin({ maxEvents, maxBytes, heartbeat: null, selects: false, writeToSocket: false });
    const { published, channel } = life;
    for (const { count, type, reads } of bursts) {
      for (let i = 0; i < count; i++) publish(life, [{ type, units: i % 4 }], true);
      for (const { at, maxBytes } of reads) {
        const position = Math.round(at * published.length);
        const after = Math.max(position, life.first - 1);
        const { lost, entries } = channel.read(position, maxBytes);
        assert.is(lost?.count, after > position ? after - position : undefined);
        let size = 0;
        entries.forEach((entry, index) => {
          assert.is(entry.position, after + index + 1);
          assert.ok(entry.json.startsWith(published[entry.position - 1]!.head), "it is that event");
          size += entry.bytes;
        });
        assert.ok(size <= maxBytes || entries.length === 1, "at most the requested bytes");
        const next = published[after + entries.length];
        const isFull = entries.length > 0 && next !== undefined && size + next.bytes > maxBytes;
        assert.ok(next === undefined || isFull, "and as many events as fit");
      }
    }
  });
});

test("GET /events loses no event without a report over sockets", async () => {
  const lives = new Map<string, Life>();
  const app = {
    fetch: (request: Request, ...host: never[]) => {
      const life = lives.get(new URL(request.url).pathname.split("/")[1]!);
      return life?.app.fetch(request, ...host) ?? new Response(null, { status: 404 });
    },
  };
  const shape = {
    units: fc.oneof({ weight: 9, arbitrary: small }, { weight: 1, arbitrary: fc.nat({ max: 12_000 }) }),
    maxBytes: fc.oneof(historyBytes, fc.integer({ min: 100_000, max: 2_000_000 })),
    heartbeat: fc.constantFrom(null, 0.01),
    ms: fc.constantFrom(0, 1, 5, 15),
    pauses: 3,
    consumers: 4,
    maxLength: 40,
  };
  const wanted = ["an end", "history_expired", "unknown_epoch", "heartbeat"];
  await serving(app, async (_, port) => {
    await holdsForPlans(shape, 25, wanted, async (plan, tally) => {
      lives.clear();
      await leavesNoTimer(() => run(onSockets(port), plan, lives, tally));
    });
  });
});

test.run();
