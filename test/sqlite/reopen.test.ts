/** What a file keeps when it is closed and opened again. */
import { cp, stat } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import * as assert from "uvu/assert";
import { defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { running, startScript } from "../support/children.ts";
import { linesOf, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { catalogue, readAll, rejects, ticks, upTo, withChannel, withFile } from "./channels.ts";

const test = suite("sqlite reopen");

/** Runs a statement in a closed file. */
function change(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

test("sqliteChannel() continues a file with its epoch, cursors and events", () =>
  withFile(async (file) => {
    const [epoch, ids] = await withChannel(file, async (channel) => {
      return [channel.epoch, await channel.publishBatch([...ticks(1, 3), { type: "silence" }])] as const;
    });
    const before = await withChannel(file, async (channel) => {
      assert.equal([channel.epoch, channel.first, channel.last], [epoch, 1, 4]);
      assert.equal(await readAll(channel, "earliest"), [1, 2, 3, "silence"]);
      assert.equal(await readAll(channel, ids[1]!), [3, "silence"]);
      assert.is(await channel.publish("tick", { n: 5 }), `${epoch}-5`);
      assert.equal(await readAll(channel, ids[3]!), [5]);
      return (await channel.read(0, 1e6)).entries;
    });
    await withChannel(file, async (channel) => {
      const { entries } = await channel.read(0, 1e6);
      assert.equal(entries.slice(0, 4), before.slice(0, 4), "times and texts stay the same");
      await rejects((async () => await channel.locate(`${epoch}-6`))(), "InvalidCursor", /ahead/);
    });
  }));

test("?types= names types that the file has events of, also when the catalogue has them no more", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => void await channel.publishBatch(ticks(1, 2)));
    const channel = await sqliteChannel(file, defineEvents({ ticket: null, other: null }));
    try {
      await channel.publish("ticket");
      const typesOf = async (types: string) => {
        const query = `/?since=earliest&follow=false&types=${types}`;
        const lines = (await (await eventsEndpoint(channel).request(query)).text()).trim().split("\n");
        return lines.slice(1).map((line) => JSON.parse(line).type);
      };
      assert.equal(await typesOf("tick"), ["tick", "tick"]);
      assert.equal(await typesOf("tick*"), ["tick", "tick", "ticket"]);
      const { status } = await eventsEndpoint(channel).request("/?types=silence");
      assert.is(status, 400, "no event of it was stored");
    } finally {
      await channel.close();
    }
  }));

test("sqliteChannel() reads events that left memory from the file, large and small", () =>
  withFile(async (file) => {
    const text = "é".repeat(40_000);
    await withChannel(file, async (channel) => {
      await channel.publishBatch(ticks(1, 3000));
      for (let n = 3001; n <= 3100; n++) await channel.publish("tick", { n, text });
      await channel.publishBatch(ticks(3101, 6000));
      assert.ok(channel.stats().events <= 50);
      const readers = await Promise.all(upTo(8).map(() => readAll(channel, "earliest")));
      for (const read of readers) assert.equal(read, upTo(6000));
    }, { history: { events: 50 } });
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), upTo(6000)));
  }));

test("sqliteChannel() keeps a table that other programs can read", () =>
  withFile(async (file) => {
    await withChannel(
      file,
      (channel) => channel.publishBatch([...ticks(1, 1, "naïve"), { type: "silence" }]),
    );
    const db = new DatabaseSync(file);
    const [tick, silence] = db.prepare("SELECT * FROM events").all();
    const { version } = db.prepare("SELECT user_version AS version FROM pragma_user_version").get()!;
    db.close();
    assert.is(version, 1);
    assert.equal({ ...tick, time: "" }, {
      sequence: 1,
      time: "",
      type: "tick",
      subject: null,
      json: '{"n":1,"text":"naïve"}',
    });
    assert.equal(new Date(tick!["time"] as string).toISOString(), tick!["time"]);
    assert.equal([silence!["type"], silence!["json"]], ["silence", null]);
  }));

test("sqliteChannel() rejects a file that another channel has open, which goes on", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publish("tick", { n: 1 });
      for (let attempt = 0; attempt < 3; attempt++) {
        await rejects(
          sqliteChannel(file, catalogue),
          "FileInUse",
          /^cannot open .*events\.db: it is open already/,
        );
      }
      await channel.publish("tick", { n: 2 });
      assert.equal(await readAll(channel, "earliest"), [1, 2]);
    });
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), [1, 2]));
  }));

test("sqliteChannel() rejects a file that another process has open, until that is killed", () =>
  withFile(async (file) => {
    const child = startScript("test/sqlite/publisher.ts", [file], { permissions: ["--allow-all"] });
    await running(child, async () => {
      await child.stdout.match(/^\d/);
      await rejects(sqliteChannel(file, catalogue), "FileInUse", /another process/);
      const { lines } = child.stdout;
      await child.stdout.take(lines.length + 3); // It goes on.
    });
    await withChannel(file, async (channel) => {
      const acknowledged = Number(child.stdout.lines.filter((line) => line !== "").at(-1));
      assert.ok(channel.last >= acknowledged, `${channel.last} of ${acknowledged}`);
      assert.equal(await readAll(channel, "earliest"), upTo(channel.last));
    });
  }));

test("sqliteChannel() rejects a file of something else, and leaves it as it is", () =>
  withFile(async (file) => {
    change(file, "CREATE TABLE other (a); INSERT INTO other VALUES (1)");
    const { size } = await stat(file);
    await rejects(
      sqliteChannel(file, catalogue),
      "FileMismatch",
      /cannot open .*: it is a database of something else/,
    );
    assert.is((await stat(file)).size, size);
    change(file, "INSERT INTO other VALUES (2)"); // It is not locked any more.
  }));

test("sqliteChannel() rejects a file of a newer release", () =>
  withFile(async (file) => {
    await withChannel(file, (channel) => channel.publishBatch(ticks(1, 1)));
    change(file, "PRAGMA user_version = 2");
    await rejects(sqliteChannel(file, catalogue), "FileMismatch", /a newer release .* \(version 2, not 1\)/);
    change(file, "PRAGMA user_version = 1");
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), [1]));
  }));

test("sqliteChannel() begins another epoch after a loss of power, because acknowledged events may be missing", () =>
  withFile(async (file) => {
    const copy = `${file}.copy`;
    const id = await withChannel(file, async (channel) => {
      const id = await channel.publish("tick", { n: 1 });
      // What stands in the files while they are open is what a sudden end leaves behind.
      for (const end of ["", "-wal"]) await cp(file + end, copy + end);
      return id;
    });
    await withChannel(copy, async (channel) => assert.equal(await readAll(channel, id), []));
    await withChannel(file, ({ epoch }) => Promise.resolve(assert.ok(id.startsWith(epoch))));
    change(file, "INSERT INTO meta VALUES ('boot', 'an earlier one')");
    await withChannel(file, async (channel) => {
      assert.ok(!id.startsWith(channel.epoch));
      assert.is((await channel.locate(id)).unknownEpoch, true);
      assert.equal(await readAll(channel, "earliest"), [1]);
    });
  }));

test("read() counts events that were deleted by hand as lost, also the newest, whose numbers are not given again", () =>
  withFile(async (file) => {
    await withChannel(file, (channel) => channel.publishBatch(ticks(1, 10)));
    change(file, "DELETE FROM events WHERE sequence IN (1, 2, 5, 6, 7, 9, 10)");
    await withChannel(file, async (channel) => {
      assert.is(channel.first, 3);
      const lost = (count: number) => ({ reason: "slow_consumer", count });
      assert.equal(await readAll(channel, "earliest"), [3, 4, lost(3), 8, lost(2)]);
      assert.is(await channel.publish("tick", { n: 11 }), `${channel.epoch}-11`);
      assert.equal(await readAll(channel, "earliest"), [3, 4, lost(3), 8, lost(2), 11]);
    });
  }));

test("publishBatch() stores events with the same key once, also after a restart", () =>
  withFile(async (file) => {
    const [first] = await withChannel(file, async (channel) => {
      const twice = await Promise.all([1, 2].map(() => channel.publishBatch(ticks(1, 2), "one")));
      await channel.publishBatch(ticks(3, 3), "two");
      assert.equal(twice[0], twice[1]);
      assert.equal(channel.stats().published, { tick: 3, silence: 0 });
      return twice;
    });
    await withChannel(file, async (channel) => {
      assert.equal(await channel.publishBatch(ticks(1, 2), "one"), first);
      await channel.publishBatch(ticks(4, 4));
      assert.equal(await readAll(channel, "earliest"), [1, 2, 3, 4]);
    });
  }));

test("close() stores what was published before it, and resolves when the file can be opened again", () =>
  withFile(async (file) => {
    const channel = await sqliteChannel(file, catalogue);
    const publishing = upTo(2500).map((n) => channel.publish("tick", { n }));
    await within(channel.close(), "the end of the channel");
    assert.is((await Promise.all(publishing)).length, 2500);
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), upTo(2500)));
  }));

test("close() ends readers only when they have received what was published before it", () =>
  withFile(async (file) => {
    const channel = await sqliteChannel(file, catalogue);
    const { body } = await eventsEndpoint(channel).request("/");
    const lines = linesOf(body!);
    await lines.next();
    const publishing = upTo(600).map((n) => channel.publish("tick", { n }));
    const closing = channel.close();
    const received = await within(lines.rest(), "the end of the stream");
    assert.equal(received.map(({ event }) => event.n), upTo(600));
    await Promise.all([...publishing, closing]);
    assert.is(channel.closed, true);
  }));

test("sqliteChannel() merges its log into the file, and loses nothing by that", () =>
  withFile(async (file) => {
    const text = "x".repeat(1000);
    for (const durability of ["process", "power"] as const) {
      await withChannel(file, async (channel) => {
        const { last } = channel;
        for (let n = last + 1; n <= last + 12_000; n += 500) {
          await channel.publishBatch(ticks(n, n + 499, text));
          assert.ok((await stat(`${file}-wal`)).size < 8 * 1024 * 1024);
        }
        assert.ok((await stat(file)).size > 8 * 1024 * 1024);
      }, { durability });
    }
    await withChannel(
      file,
      async (channel) => assert.equal(await readAll(channel, "earliest"), upTo(24_000)),
    );
  }));

test("sqliteChannel() names a wrong option, a wrong file and a wrong catalogue", async () => {
  const failure = (file: unknown, options: unknown) =>
    sqliteChannel(file as string, catalogue, options as object).then(() => "", ({ message }) => message);
  assert.is(
    await failure("events.db", { durabilty: "power" }),
    'sqliteChannel: there is no option "durabilty": did you mean durability?',
  );
  assert.is(
    await failure("events.db", { durability: "disk" }),
    'sqliteChannel: durability must be "process" or "power", not "disk"',
  );
  assert.is(await failure("", {}), 'sqliteChannel: the file must be the path of a file, not ""');
});

test.run();
