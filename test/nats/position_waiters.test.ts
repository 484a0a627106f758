/**
 * The waits for positions, by themselves.
 *
 * @module
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { createPositionWaiters } from "../../src/nats/position_waiters.ts";
import { timersLeftBy } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { inVirtualTime } from "../support/virtual_time.ts";

const test = suite("nats: position waiters");

/** What happens: a wait begins, a position arrives, or milliseconds pass. */
const step = fc.oneof(
  fc.record({ position: fc.nat(9), ms: fc.constantFrom(10, 20, 50) }),
  fc.record({ arrived: fc.nat(9) }),
  fc.record({ passed: fc.nat(30) }),
);

test("wait() resolves when its position has arrived, or its time is over, whatever else waits", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), (steps) =>
      inVirtualTime(async ({ elapse, now }) => {
        const waiters = createPositionWaiters();
        const outcomes: (string | undefined)[] = [];
        const expected: { position: number; due: number; outcome?: string }[] = [];
        for (const { position, ms, arrived, passed } of steps as Record<string, number | undefined>[]) {
          if (position !== undefined) {
            const index = expected.push({ position, due: now() + ms! }) - 1;
            void waiters.wait(position, ms!).then((hasArrived) =>
              outcomes[index] = `${hasArrived} at ${now()}`
            );
          } else if (arrived !== undefined) {
            waiters.arrived(arrived);
            for (const one of expected) {
              if (one.position <= arrived) one.outcome ??= `true at ${now()}`;
            }
          }
          for (let ms = 0; ms < (passed ?? 0); ms++) await elapse(1);
          for (const one of expected) if (one.due <= now()) one.outcome ??= `false at ${one.due}`;
          await elapse(0);
          assert.equal(
            [...expected].map((_, index) => outcomes[index]),
            expected.map(({ outcome }) => outcome),
          );
          assert.is(waiters.size, expected.filter(({ outcome }) => outcome === undefined).length);
        }
        waiters.end();
        await elapse(0);
        for (const one of expected) one.outcome ??= `false at ${now()}`;
        assert.equal(
          [...expected].map((_, index) => outcomes[index]),
          expected.map(({ outcome }) => outcome),
        );
      })),
    { numRuns: 100 },
  );
});

test("wait() leaves no timer behind when positions have arrived", async () => {
  const waiters = createPositionWaiters();
  const left = await timersLeftBy(async () => {
    const waits = [1, 2, 3].map((position) => waiters.wait(position, 60_000));
    waiters.arrived(2);
    assert.equal(await Promise.all(waits.slice(0, 2)), [true, true]);
    waiters.end();
    assert.is(await waits[2], false);
  });
  assert.is(left, 0);
});

test.run();
