/**
 * The pages of a channel whose events are kept elsewhere.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { erasedEntry } from "../../src/channel/erased.ts";
import { ENTRY_BYTES } from "../../src/channel/entry_writer.ts";
import { createPages, type Fetched } from "../../src/channel/pages.ts";
import { until } from "../support/harness.ts";

const test = suite("pages");

/** Returns the positions from one up to another. */
function upTo(last: number, first: number = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function fetchedOf(first: number, last: number, bytes = 2, isCut = false): Fetched {
  const entries = upTo(last, first).map((position) => {
    return {
      position,
      id: `epoch-${position}`,
      type: "silence",
      subject: undefined,
      json: "{}",
      bytes,
      time: 0,
    };
  });
  return { last, entries, isCut };
}

test("refetch() fetches a pending page again, for all that wait for it", async () => {
  const gives: ((fetched: Fetched) => void)[] = [];
  const pages = createPages({
    pageEvents: 1024,
    fetch: () => new Promise((resolve) => gives.push(resolve)),
    refresh: () => Promise.resolve(),
  });
  const reading = [pages.read(0, 5, 1e6), pages.read(2, 5, 1e6)];
  assert.is(gives.length, 1);
  pages.refetch();
  gives[0]!(fetchedOf(1, 5)); // It was read before the erasure.
  await until(() => gives.length === 2, "it is fetched again");
  const erased = fetchedOf(1, 5).entries.map((entry) =>
    entry.position === 3 || entry.position === 5 ? erasedEntry(entry.position, 0) : entry
  );
  gives[1]!({ last: 5, entries: erased, isCut: false });
  const positions = (await Promise.all(reading)).map(({ entries, last }) => [
    ...entries.map(({ position }) => position),
    last,
  ]);
  assert.equal(positions, [[1, 2, 4, 5], [4, 5]]);
  assert.is(gives.length, 2);
});

test("clear() discards a pending page, and no page is fetched after it", async () => {
  const fetched: number[] = [];
  let give = (_: Fetched) => {};
  const pages = createPages({
    pageEvents: 1024,
    fetch: (after) => {
      fetched.push(after);
      return new Promise((resolve) => give = resolve);
    },
    refresh: () => Promise.resolve(),
  });
  const reading = pages.read(0, 5000, Infinity);
  pages.clear();
  give(fetchedOf(1, 1024));
  assert.equal(await reading, { entries: [] });
  assert.equal(fetched, [0], "the next page is not prefetched");
  const next = pages.read(1030, 1500, Infinity);
  give(fetchedOf(1025, 1500));
  assert.equal((await next).entries.map(({ position }) => position), upTo(1500, 1031));
});

test("read() fetches each large event once for one reader", async () => {
  let fetched = 0;
  const pages = createPages({
    pageEvents: 1024,
    fetch: (after, end) => {
      if (++fetched > 500) throw new Error("pages are fetched repeatedly");
      const last = Math.min(after + 10, end);
      return Promise.resolve(fetchedOf(after + 1, last, 100_000, last < end));
    },
    refresh: () => Promise.resolve(),
  });
  const seen: number[] = [];
  while (seen.length < 2500) {
    const { entries } = await pages.read(seen.length, 2500, 256 * 1024);
    seen.push(...entries.map(({ position }) => position));
  }
  assert.equal(seen, upTo(2500));
  assert.ok(fetched <= 260, `${fetched} pages were fetched`);
});

test("read() keeps no more pages of small events than there is memory for", async () => {
  const pages = createPages({
    pageEvents: 1024,
    fetch: (after, last) => Promise.resolve(fetchedOf(after + 1, last)),
    refresh: () => Promise.resolve(),
  });
  const last = 200 * 1024;
  for (let after = 0; after < last; after += 1024) await pages.read(after, last, Infinity);
  const bytes = pages.size * 1024 * ENTRY_BYTES;
  assert.ok(bytes > 30 * 1024 ** 2 && bytes < 32 * 1024 ** 2, `${bytes} bytes are kept`);
});

test.run();
