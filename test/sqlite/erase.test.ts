/** What is left of erased events: in the file, in its log, and for readers. */
import { existsSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import * as assert from "uvu/assert";
import { eventsEndpoint } from "../../src/mod.ts";
import { linesOf, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { rejects, type TestChannel, type Tick, upTo, withChannel, withFile } from "./channels.ts";

const test = suite("sqlite erase");

const SECRET = "user/secret-jane";
const WORD = "SECRET-PAYLOAD";

/** Returns how often a text stands in the file and in its log. */
function countIn(file: string, text: string): number {
  let count = 0;
  for (const path of [file, `${file}-wal`]) {
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    for (let at = -1; (at = bytes.indexOf(text, at + 1)) >= 0;) count++;
  }
  return count;
}

/** A tick that is about the secret, or else about one of many users, or about nothing. */
function draft(n: number, isSecret: boolean, length = 1): Tick & { readonly subject: string | undefined } {
  const text = isSecret ? WORD.repeat(length) : "x".repeat(length);
  const other = n % 3 === 0 ? undefined : `user/${(n * 7919) % 1009}`;
  return { type: "tick", subject: isSecret ? SECRET : other, event: { n, text } };
}

/** Reads a stream to its end. Returns its events but the first. */
async function streamed(channel: TestChannel, query: string): Promise<(number | string)[]> {
  const response = await eventsEndpoint(channel).request(`/?follow=false&${query}`);
  return (await linesOf(response.body!).rest()).slice(1).map(({ type, event }) => event?.n ?? type);
}

test("erase() leaves nothing of the events in the file or its log, whatever happened to their pages", () =>
  withFile(async (file) => {
    const options = { keep: { events: 5000 }, history: { events: 100 } };
    await withChannel(file, async (channel) => {
      let n = 0;
      // Large events have pages of their own; subjects move between the pages of their index; old events are dropped.
      for (let group = 0; group < 90; group++) {
        await channel.publishBatch(upTo(100).map(() => draft(++n, n % 20 === 0, n % 700 === 0 ? 3000 : 1)));
      }
      assert.ok(countIn(file, WORD) > 250 && countIn(file, SECRET) > 250);
      const kept = upTo(channel.last, channel.first);
      assert.is(await channel.erase({ subject: SECRET }), kept.filter((n) => n % 20 === 0).length);
      assert.equal([countIn(file, WORD), countIn(file, SECRET)], [0, 0]);
      assert.equal(await streamed(channel, "since=earliest"), kept.filter((n) => n % 20 !== 0));
      // Pages that SQLite held are written again.
      for (let group = 0; group < 30; group++) {
        await channel.publishBatch(upTo(100).map(() => draft(++n, false)));
      }
    }, options);
    assert.equal([countIn(file, WORD), countIn(file, SECRET)], [0, 0]);
    const db = new DatabaseSync(file);
    assert.equal({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    const erased = db.prepare("SELECT * FROM events WHERE type = '' ORDER BY sequence DESC LIMIT 1").get()!;
    assert.equal([erased["sequence"], erased["subject"], erased["json"]], [9000, null, null]);
    db.close();
  }));

test("erase() keeps positions after a restart, also that of the newest event", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publishBatch(upTo(10).map((n) => draft(n, n <= 2 || n >= 9)));
      assert.is(await channel.erase({ subject: SECRET }), 4);
    });
    await withChannel(file, async (channel) => {
      assert.equal([channel.first, channel.last], [1, 10]);
      assert.equal(await streamed(channel, "since=earliest"), upTo(8, 3));
      const bookmarked = await streamed(channel, `since=${channel.epoch}-0&bookmarks=true`);
      assert.equal(bookmarked, [...upTo(8, 3), "events_bookmark"]);
      assert.is(await channel.publish("tick", { n: 11 }), `${channel.epoch}-11`);
      assert.equal(await streamed(channel, `since=${channel.epoch}-8`), [11]);
    });
  }));

test("erase() hides events from readers that have come to any place, in pages and in memory", () =>
  withFile((file) =>
    withChannel(file, async (channel) => {
      const isSecret = (n: number) => n <= 2100 || n % 2 === 0; // More than two pages, and every second one.
      const rest = upTo(3000).filter((n) => !isSecret(n));
      for (let n = 1; n <= 3000; n += 500) {
        await channel.publishBatch(upTo(n + 499, n).map((n) => draft(n, isSecret(n))));
      }
      const endpoint = eventsEndpoint(channel, { heartbeat: null });
      const streams = await Promise.all([0, 1000, 2500, 2999].map(async (position) => {
        const response = await endpoint.request(`/?since=${channel.epoch}-${position}`);
        const lines = linesOf(response.body!);
        return { position, lines, first: await lines.events(2) };
      }));
      const iterator = channel.batches("earliest");
      assert.is(await channel.erase({ subject: SECRET }), 3000 - rest.length);
      const late = await endpoint.request("/?since=earliest");
      const lines = linesOf(late.body!);
      assert.equal((await lines.events(rest.length + 1)).slice(1).map(({ event }) => event.n), rest);
      await lines.close();
      assert.equal(await streamed(channel, "last=2"), [2997, 2999]);
      await channel.publish("tick", { n: 3001 });
      for (const { position, lines, first } of streams) {
        // What had been sent before the call is not recalled.
        const seen = first.slice(1).map(({ event }) => event.n as number);
        while (seen.at(-1) !== 3001) seen.push((await lines.event()).event.n);
        const wanted = [...rest, 3001].filter((n) => n > position);
        assert.equal(seen.filter((n) => !isSecret(n) || n === 3001), wanted, `after ${position}`);
        await lines.close();
      }
      const read: number[] = [];
      for await (const { lost, entries } of iterator) {
        assert.is(lost, undefined);
        read.push(...entries.map(({ position }) => position));
        if (read.at(-1) === 3001) break;
      }
      assert.equal(read, [...rest, 3001]);
      await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
    }, { history: { events: 50 } })
  ));

test("erase() erases what was published before the call, and nothing that is published after it", () =>
  withFile((file) =>
    withChannel(file, async (channel) => {
      const before = upTo(20).map((n) => channel.publishBatch(upTo(100).map(() => draft(n, true))));
      const erasing = channel.erase({ subject: SECRET });
      const after = upTo(3).map((n) => channel.publish("tick", { n }, { subject: SECRET }));
      await Promise.all([...before, ...after]);
      assert.is(await erasing, 2000);
      assert.equal(await streamed(channel, "since=earliest"), [1, 2, 3]);
      assert.is(await channel.erase({ subject: SECRET }), 3);
      assert.equal(await streamed(channel, "since=earliest"), []);
    }, { history: { events: 100 } })
  ));

test("erase() rejects while the file is elsewhere, and erases the rest when it is called again", () =>
  withFile((file) =>
    withChannel(file, async (channel) => {
      await channel.publishBatch(upTo(10).map((n) => draft(n, true)));
      await rename(file, `${file}.away`);
      await rejects(
        channel.erase({ subject: SECRET }),
        "ChannelUnavailable",
        /^not everything was erased: .*: try again/,
      );
      assert.match(channel.problem ?? "", /removed or replaced/);
      await rename(`${file}.away`, file);
      assert.is(await channel.erase({ subject: SECRET }), 10);
      assert.equal([countIn(file, WORD), countIn(file, SECRET)], [0, 0]);
      await until(() => channel.problem === undefined, "it recovers", 20_000);
    })
  ));

test("erase() leaves idempotency keys as they are", () =>
  withFile((file) =>
    withChannel(file, async (channel) => {
      const ids = await channel.publishBatch([draft(1, true), draft(2, false)], "key");
      assert.is(await channel.erase({ subject: SECRET }), 1);
      assert.equal(await channel.publishBatch([draft(1, true), draft(2, false)], "key"), ids);
      assert.is(channel.last, 2);
      assert.equal(await streamed(channel, "since=earliest"), [2]);
    })
  ));

test.run();
