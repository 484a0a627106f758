/** Starts by time and by number. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { locateLast, locateTime } from "../../src/channel/locate_start.ts";
import type { Batch, Entry } from "../../src/mod.ts";
import { createHistory, type History } from "../../src/channel/history.ts";
import { suite } from "../support/suite.ts";

const test = suite("locate start");

/** A log that answers at once or later, and counts how often it is asked. */
function logOf(history: History, isLater: boolean) {
  let reads = 0;
  const read = (position: number, maxBytes: number): Batch | Promise<Batch> => {
    reads++;
    const batch = history.read(position, maxBytes);
    return isLater ? Promise.resolve(batch) : batch;
  };
  return { epoch: "e", first: history.first, last: history.last, read, reads: () => reads };
}

function historyOf(times: readonly number[], kept: number): History {
  const history = createHistory(kept, 1e9);
  for (const [index, time] of times.entries()) {
    const position = index + 1;
    history.push({
      position,
      id: `e-${position}`,
      type: position % 3 === 0 ? "c" : "a",
      subject: undefined,
      json: "{}",
      bytes: 2,
      time,
    });
  }
  return history;
}

/** Times in order, several events of which may have the same. */
const times = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 60 })
  .map((steps) => steps.map((_, index) => steps.slice(0, index + 1).reduce((sum, step) => sum + step, 10)));

test("locateTime() finds the first kept event of a time or later, and whether older ones may be missing", () =>
  fc.assert(
    fc.asyncProperty(
      times,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 0, max: 120 }),
      fc.boolean(),
      async (
        times,
        kept,
        time,
        isLater,
      ) => {
        const log = logOf(historyOf(times, kept), isLater);
        const found = times.findIndex((one, index) => one >= time && index + 1 >= log.first);
        const position = found === -1 ? log.last : found;
        const start = await locateTime(log, time);
        const mayHaveExpired = position === log.first - 1 && log.first > 1;
        assert.equal(start, { epoch: "e", position, unknownEpoch: false, mayHaveExpired });
        assert.ok(log.reads() <= 7, `${log.reads()} reads`);
      },
    ),
    { numRuns: 500 },
  ));

test("locateLast() finds the start of the newest events that a filter accepts", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: 1200 }),
      fc.boolean(),
      async (events, kept, count, isLater) => {
        const log = logOf(historyOf(Array.from({ length: events }, () => 1), kept), isLater);
        const accepts = ({ type }: Entry) => type === "c";
        const { position } = await locateLast(log, count, accepts);
        const seen = [];
        for (let one = log.first; one <= log.last; one++) if (one % 3 === 0) seen.push(one);
        assert.is(position, seen.length < count ? log.first - 1 : seen.at(-count)! - 1);
        const all = await locateLast(log, count);
        assert.is(all.position, Math.max(log.first - 1, log.last - count));
      },
    ),
    { numRuns: 100 },
  ));

test.run();
