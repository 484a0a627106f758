/**
 * The part all servers of the bench have in common: they take a plan from stdin, publish by it, and say when.
 *
 * One JSON object a line. Out: `{"ready": {"port", "pid"}}` once. In: a plan; out: `{"first", "published",
 * "startedAt"}`. The end of stdin ends the server, however the bench came to its own end.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers";
import { alignClock, FIRST, microseconds, type Tick, tick } from "./event.ts";

/**
 * Publish `perTurn` events in every turn of the event loop, up to `events` or for `seconds`, whichever ends
 * first.
 */
export interface ClosedPlan {
  perTurn: number;
  events: number;
  seconds: number;
  bytes: number;
}

/** Publish `perSecond` events a second for `seconds`, whatever the subscribers do. */
export interface OpenPlan {
  perSecond: number;
  seconds: number;
  bytes: number;
}

export type Plan = ClosedPlan | OpenPlan;

/** What a server answers to a plan: the events' numbers, and the time in microseconds of the wall clock. */
export interface Published {
  first: number;
  published: number;
  startedAt: number;
}

/** One event to all subscribers. A promise only where the publisher has to wait before the next one. */
export type Publish = (tick: Tick) => void | Promise<void>;

/**
 * A timer that comes later than this many microseconds was held up, and the events it is late with waited.
 */
const TIMER_JITTER = 2000;

let next = FIRST;

async function closedLoop(plan: ClosedPlan, publish: Publish): Promise<number> {
  const until = performance.now() + plan.seconds * 1000;
  let published = 0;
  while (published < plan.events && performance.now() < until) {
    for (let i = 0; i < plan.perTurn && published < plan.events; i++, published++) {
      const accepted = publish(tick(next++, microseconds(), plan.bytes));
      if (accepted) await accepted;
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return published;
}

/**
 * An event is stamped with the time it was due if the loop was held up, else with the time it is published:
 * the time an event waits for the server to come round to it belongs to its latency, the coarseness of timers
 * does not.
 */
async function openLoop(plan: OpenPlan, publish: Publish): Promise<number> {
  const start = microseconds();
  const events = Math.floor(plan.perSecond * plan.seconds);
  for (let published = 0; published < events;) {
    const due = start + published * 1e6 / plan.perSecond;
    const now = microseconds();
    if (now < due) {
      await new Promise<void>((resolve) => setTimeout(resolve, (due - now) / 1000));
      continue;
    }
    const accepted = publish(tick(next++, now - due > TIMER_JITTER ? Math.round(due) : now, plan.bytes));
    if (accepted) await accepted;
    published++;
  }
  return events;
}

function say(message: unknown): void {
  process.stdout.write(JSON.stringify(message) + "\n");
}

/** Where the process to measure is not this one. */
export interface Elsewhere {
  pid: number;
  /** Called before each plan, where nothing is to be delivered until all of it is published. */
  hold?(): void;
  /** Called after it; resolves when deliveries begin. */
  release?(): Promise<void>;
}

/** Serves plans until stdin ends. */
export function takePlans(
  port: number,
  publish: Publish,
  { pid, hold, release }: Elsewhere = { pid: process.pid },
): void {
  const follow = async (plan: Plan): Promise<void> => {
    alignClock();
    hold?.();
    const first = next;
    let startedAt = microseconds();
    const published = await ("perTurn" in plan ? closedLoop(plan, publish) : openLoop(plan, publish));
    if (release !== undefined) {
      await release();
      startedAt = microseconds();
    }
    say({ first, published, startedAt } satisfies Published);
  };
  createInterface({ input: process.stdin })
    .on("line", (line) => void follow(JSON.parse(line) as Plan))
    .on("close", () => process.exit(0));
  say({ ready: { port, pid } });
}
