/**
 * The pages of a channel on NATS JetStream, without NATS.
 *
 * @module
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createPages, type Fetched } from "../src/nats/pages.ts";
import { upTo } from "./nats_channels.ts";

const test = suite("nats pages");

function fetchedOf(first: number, last: number): Fetched {
  const entries = upTo(last, first).map((position) => {
    return { position, id: `epoch-${position}`, type: "silence", json: "{}", bytes: 2 };
  });
  return { last, entries, isCut: false };
}

test("a page that comes when its positions mean something else is nobody's, and nothing is fetched after it", async () => {
  const asked: number[] = [];
  let give = (_: Fetched) => {};
  const pages = createPages({
    fetch: (after) => {
      asked.push(after);
      return new Promise((resolve) => give = resolve);
    },
    refresh: () => Promise.resolve(),
  });
  const reading = pages.read(0, 5000, Infinity);
  pages.clear();
  give(fetchedOf(1, 1024));
  assert.equal(await reading, { entries: [] });
  assert.equal(asked, [0], "what would be the next page is not one there is");
  const anew = pages.read(1030, 1500, Infinity);
  give(fetchedOf(1025, 1500));
  assert.equal((await anew).entries.map(({ position }) => position), upTo(1500, 1031));
});

test.run();
