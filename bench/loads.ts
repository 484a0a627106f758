/** The loads: who listens, what is published, and how a run of it is read. */
import type { ClosedPlan, OpenPlan, Plan } from "./servers/control.ts";

/** The length of an event's line, as in the prototypes' figures. */
const EVENT_BYTES = 210;

interface Common {
  name: string;
  title: string;
  subscribers: number;
  /** How often each server is measured, the servers taking turns. */
  repeats: number;
}

/**
 * As fast as the server publishes: the time runs from the first publish to the last event at the last
 * subscriber.
 */
export interface ThroughputLoad extends Common {
  kind: "throughput";
  plan: ClosedPlan;
}

/** At a fixed rate: how old an event is when it arrives, and what it costs. */
export interface LatencyLoad extends Common {
  kind: "latency";
  plan: OpenPlan;
}

/** Some subscribers stop reading: what it does to the others. */
export interface StallLoad extends Common {
  kind: "stall";
  plan: ClosedPlan;
  stalled: number;
}

/** Nothing is published: what a connection costs. */
export interface IdleLoad extends Common {
  kind: "idle";
}

export type Load = ThroughputLoad | LatencyLoad | StallLoad | IdleLoad;

/**
 * A closed loop ends at its number of events, or where the server is slow, when its time to publish is up;
 * what was published until then is waited for, so a slow server's row stands on fewer events and no less
 * time.
 */
const PUBLISH_SECONDS = 1;

export const LOADS: Load[] = [
  {
    name: "L1",
    kind: "throughput",
    title: "one event per event-loop turn",
    subscribers: 500,
    repeats: 5,
    plan: { perTurn: 1, events: 20_000, seconds: PUBLISH_SECONDS, bytes: EVENT_BYTES },
  },
  {
    name: "L2",
    kind: "throughput",
    title: "bursts of 10 events per event-loop turn",
    subscribers: 200,
    repeats: 5,
    plan: { perTurn: 10, events: 40_000, seconds: PUBLISH_SECONDS, bytes: EVENT_BYTES },
  },
  {
    name: "L3",
    kind: "throughput",
    title: "a flood, 100 events per event-loop turn",
    subscribers: 500,
    repeats: 5,
    plan: { perTurn: 100, events: 20_000, seconds: 2 * PUBLISH_SECONDS, bytes: EVENT_BYTES },
  },
  {
    name: "L4",
    kind: "latency",
    title: "20 events/s",
    subscribers: 1000,
    repeats: 5,
    plan: { perSecond: 20, seconds: 3, bytes: EVENT_BYTES },
  },
  {
    name: "L5",
    kind: "latency",
    title: "500 events/s",
    subscribers: 200,
    repeats: 5,
    plan: { perSecond: 500, seconds: 3, bytes: EVENT_BYTES },
  },
  {
    name: "L6",
    kind: "stall",
    title: "20 of 200 subscribers never read",
    subscribers: 200,
    stalled: 20,
    repeats: 3,
    // Larger events, so that a stalled reader's share does not fit into the kernel's buffers.
    plan: { perTurn: 1, events: 10_000, seconds: PUBLISH_SECONDS, bytes: 2048 },
  },
  { name: "L7", kind: "idle", title: "idle connections", subscribers: 5000, repeats: 1 },
];

/** What the load client is tried with: a source that only writes, in large pieces and in small ones. */
export const CEILINGS: ThroughputLoad[] = [
  {
    name: "ceiling, large writes",
    kind: "throughput",
    title: "300 events in a write",
    subscribers: 500,
    repeats: 3,
    plan: { perTurn: 300, events: 20_000, seconds: 5, bytes: EVENT_BYTES },
  },
  {
    name: "ceiling, small writes",
    kind: "throughput",
    title: "one event in a write",
    subscribers: 500,
    repeats: 3,
    plan: { perTurn: 1, events: 20_000, seconds: 0.5, bytes: EVENT_BYTES },
  },
];

/**
 * What a server delivers before its latency is measured for the first time. Compilers share its core, and need some thousands of
 * events: those delivered until then would be the slowest hundredth.
 */
export const FIRST_EVENTS: { plan: OpenPlan; subscribers: number } = {
  plan: { perSecond: 1000, seconds: 5, bytes: EVENT_BYTES },
  subscribers: 100,
};

/** A tenth of a plan, on the same connections and not measured: compilers and socket buffers warm up. */
export function warmUp(plan: Plan): Plan {
  if ("perTurn" in plan) return { ...plan, events: Math.ceil(plan.events / 10), seconds: plan.seconds / 5 };
  return { ...plan, seconds: plan.seconds / 5 };
}

/** One measurement each, of half the length. */
export function quick(load: Load): Load {
  if (load.kind === "idle") return { ...load, subscribers: load.subscribers / 5 };
  if (load.kind === "latency") {
    return { ...load, repeats: 1, plan: { ...load.plan, seconds: load.plan.seconds / 2 } };
  }
  const plan = { ...load.plan, events: load.plan.events / 2, seconds: load.plan.seconds / 2 };
  return { ...load, repeats: 1, plan };
}
