/** What a file keeps, and what is reported as expired. */
import { stat } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import * as assert from "uvu/assert";
import { eventsEndpoint } from "../../src/mod.ts";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { linesOf, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { catalogue, readAll, type TestChannel, ticks, upTo, withChannel, withFile } from "./channels.ts";

const test = suite("sqlite retention");

/** Reads a stream after a cursor to its end. Returns the loss at its beginning, and the numbers of the ticks. */
async function resume(channel: TestChannel, position: number): Promise<readonly [unknown, unknown[]]> {
  const path = `/?since=${channel.epoch}-${position}&follow=false`;
  const lines = linesOf((await eventsEndpoint(channel).request(path)).body!);
  const [, first, ...rest] = await lines.rest();
  const isLoss = first?.type === "events_lost";
  const events = isLoss ? rest : [...(first === undefined ? [] : [first]), ...rest];
  return [isLoss ? first.event : undefined, events.map(({ event }) => event.n)];
}

test("keep.events drops the oldest events, and reports them as expired by their exact number, also after a restart", () =>
  withFile(async (file) => {
    const options = { keep: { events: 100 } };
    await withChannel(file, async (channel) => {
      for (let n = 1; n <= 5000; n += 50) await channel.publishBatch(ticks(n, n + 49));
      assert.equal([channel.first, channel.last], [4901, 5000]);
      assert.equal(await resume(channel, 10), [{ reason: "history_expired", count: 4890 }, upTo(5000, 4901)]);
      assert.equal(await resume(channel, 4950), [undefined, upTo(5000, 4951)]);
    }, options);
    await withChannel(file, async (channel) => {
      assert.equal([channel.first, channel.last], [4901, 5000]);
      assert.equal(await resume(channel, 10), [{ reason: "history_expired", count: 4890 }, upTo(5000, 4901)]);
    }, options);
    const db = new DatabaseSync(file);
    const { rows } = db.prepare("SELECT count(*) AS rows FROM events").get()!;
    db.close();
    assert.ok(rows as number <= 1200, `${rows} rows are left in the file`);
  }));

test("keep.age drops what is older, down to nothing, and the numbers go on", () =>
  withFile(async (file) => {
    const options = { keep: { age: "1s" } };
    await withChannel(file, async (channel) => {
      await channel.publishBatch(ticks(1, 2500));
      assert.is(channel.first, 1);
      await until(() => channel.first === 2501, "all are too old", 20_000);
      assert.equal(await readAll(channel, "earliest"), []);
      assert.equal(await resume(channel, 500), [{ reason: "history_expired", count: 2000 }, []]);
    }, options);
    await withChannel(file, async (channel) => {
      assert.equal([channel.first, channel.last], [2501, 2500]);
      await channel.publish("tick", { n: 2501 });
      assert.equal(await resume(channel, 500), [{ reason: "history_expired", count: 2000 }, [2501]]);
    }, options);
  }));

test("keep.bytes limits the size of the file", () =>
  withFile(async (file) => {
    const bytes = 512 * 1024;
    await withChannel(file, async (channel) => {
      for (let n = 1; n <= 20_000; n += 100) await channel.publishBatch(ticks(n, n + 99, "x".repeat(200)));
      await until(() => channel.first > 17_000, "most are dropped", 20_000);
      const { first, last } = channel;
      assert.is(last, 20_000);
      assert.ok(first < 19_500, `${last - first} are left`);
      assert.equal(await readAll(channel, "earliest"), upTo(20_000, channel.first));
    }, { keep: { bytes }, history: { events: 100 } });
    assert.ok((await stat(file)).size < 8 * bytes, `${(await stat(file)).size} bytes`);
  }));

test("sqliteChannel() names a limit that is none", async () => {
  const failure = (keep: object) =>
    sqliteChannel("events.db", catalogue, { keep }).then(() => "", ({ message }) => message);
  const age = (text: string) => `keep.age must be a number of seconds or a text like "7d", not ${text}`;
  assert.is(await failure({ age: "7 days" }), age('"7 days"'));
  assert.is(await failure({ age: 0 }), age("0"));
  assert.is(await failure({ events: 0 }), "keep.events must be a whole number of at least 1, not 0");
  assert.is(await failure({ bytes: 1 }), "keep.bytes must be a whole number of at least 65536, not 1");
  assert.is(await failure({ byte: 1 }), 'keep: there is no option "byte": did you mean bytes?');
});

test.run();
