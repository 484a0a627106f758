/**
 * The plans that the properties are tested with.
 *
 * @module
 */
import * as fc from "fast-check";
import type { Wish } from "./account.ts";
import { WAYS } from "./grounds.ts";
import { FILTERS, type Setting, SUBJECTS } from "./model.ts";
import { FORMATS } from "./parsers.ts";
import type { Plan, Since, Step } from "./run_plan.ts";

const byHeader = fc.boolean();
const way = fc.constantFrom(...WAYS);

const since: fc.Arbitrary<Since> = fc.record({
  from: fc.constantFrom("nothing", "latest", "earliest", "its last", "the past", "another life"),
  at: fc.nat({ max: 100 }),
  byHeader,
});

const wish: fc.Arbitrary<Wish> = fc.record({
  format: fc.constantFrom(...FORMATS),
  filter: fc.oneof(fc.constant(0), fc.nat({ max: FILTERS.length - 1 })),
  bookmarks: fc.boolean(),
  follow: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

export interface Shape {
  /** The length of an event in units of 16 bytes. */
  readonly units: fc.Arbitrary<number>;
  readonly maxBytes: fc.Arbitrary<number>;
  readonly heartbeat: fc.Arbitrary<number | null>;
  /** Milliseconds of a pause. */
  readonly ms: fc.Arbitrary<number>;
  /** The weight of pauses among the steps. */
  readonly pauses: number;
  readonly consumers: number;
  readonly maxLength: number;
}

export function plans(
  { units, maxBytes, heartbeat, ms, pauses, consumers, maxLength }: Shape,
): fc.Arbitrary<Plan> {
  const consumer = fc.nat({ max: consumers - 1 });
  const setting: fc.Arbitrary<Setting> = fc.record({
    maxEvents: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 60 }), fc.constant(1000)),
    maxBytes,
    heartbeat,
    writeToSocket: fc.boolean(),
    selects: fc.oneof(
      { weight: 3, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  });
  const event = fc.record({ type: fc.nat({ max: 3 }), units });
  const events = fc.array(event, { minLength: 1, maxLength: 8 });
  const kinds: [number, { [K in Step["do"]]: fc.Arbitrary<Step & { do: K }> }[Step["do"]]][] = [
    [6, fc.record({ do: fc.constant("publish"), events, apart: fc.boolean() })],
    [1, fc.record({ do: fc.constant("erase"), subject: fc.constantFrom(...SUBJECTS) })],
    [3, fc.record({ do: fc.constant("microtasks"), count: fc.integer({ min: 1, max: 30 }) })],
    [pauses, fc.record({ do: fc.constant("elapse"), ms })],
    [4, fc.record({ do: fc.constant("open"), consumer, since, wish })],
    [8, fc.record({ do: fc.constant("read"), consumer, count: fc.integer({ min: 1, max: 6 }) })],
    [4, fc.record({ do: fc.constant("catch up"), consumer })],
    [1, fc.record({ do: fc.constant("drop"), consumer, way })],
    [2, fc.record({ do: fc.constant("resume"), consumer, byHeader })],
  ];
  const step: fc.Arbitrary<Step> = fc.oneof(
    ...kinds.map(([weight, arbitrary]) => ({ weight: 4 * weight, arbitrary })),
    { weight: 2, arbitrary: fc.record({ do: fc.constant("restart" as const), setting }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("ask ahead" as const), by: fc.integer({ min: 1 }) }),
    },
  );
  return fc.record({
    consumers: fc.constant(consumers),
    setting,
    steps: fc.array(step, { maxLength, size: "max" }),
    ending: fc.oneof(fc.constant("close" as const), way),
  });
}

export const small: fc.Arbitrary<number> = fc.nat({ max: 12 });
export const historyBytes: fc.Arbitrary<number> = fc.oneof(
  fc.constant(32 * 1024 * 1024),
  fc.integer({ min: 1500, max: 10_000 }),
);
