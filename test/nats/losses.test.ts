/**
 * Losses that are no failure: what the stream dropped, or what was purged or deleted, is counted.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { lossOf, sequenceOf } from "./assertions.ts";
import { joining, numbersOf, onNats, tickAll, upTo } from "./channels.ts";
import { settleDuring, untilHealthy, untilUnhealthy, withManager } from "./faults.ts";
import { managerOf, withConnection, withLink, withNats } from "./server.ts";

const test = suite("nats losses");

test("locate() counts the events that the stream no longer keeps", () =>
  onNats(async (server, join) => {
    const party = await join({ history: { events: 5 } });
    const { channel } = party;
    await tickAll(party, 1, 50);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      await manager.streams.purge("EVENTS", { seq: 31 }); // All before it.
      const [loss, ...rest] = await party.read(`${channel.epoch}-10`);
      assert.equal(lossOf(loss), ["events_lost", "history_expired", 20]);
      assert.is(loss!.id, `${channel.epoch}-30`);
      assert.equal(numbersOf(rest), upTo(50, 31));
      assert.equal(numbersOf(await party.read("earliest")), upTo(50, 31));
      assert.equal(numbersOf(await party.read(`${channel.epoch}-30`)), upTo(50, 31));

      const late = await join();
      assert.equal(numbersOf(await late.read("earliest")), upTo(50, 31));
      assert.equal(lossOf((await late.read(`${channel.epoch}-0`))[0]), [
        "events_lost",
        "history_expired",
        30,
      ]);
    });
  }));

test("locate() reports only unread events as lost after a purge", () =>
  onNats(async (server, join) => {
    const party = await join();
    const { epoch } = party.channel;
    const live = await party.open();
    await tickAll(party, 1, 40);
    assert.equal(numbersOf((await live.events(41)).slice(1)), upTo(40));
    await withConnection(server, async (connection) => (await managerOf(connection)).streams.purge("EVENTS"));
    const late = await join();
    assert.is(late.channel.epoch, epoch);
    const [loss, ...none] = await late.read(`${epoch}-25`);
    assert.equal([lossOf(loss), none], [["events_lost", "history_expired", 15], []]);
    assert.equal(await late.read("earliest"), []);
    await tickAll(late, 41, 42);
    assert.equal(numbersOf(await live.events(2)), [41, 42], "a reader that was up to date misses nothing");
    assert.equal(numbersOf(await late.read(`${epoch}-40`)), [41, 42]);
    await live.close();
  }));

test("read() reports each message deleted from the middle as lost", () =>
  onNats(async (server, join) => {
    const party = await join();
    await tickAll(party, 1, 12);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      // Streams of the channel deny deletions; streams of others may permit them.
      const { config } = await manager.streams.info("EVENTS");
      assert.is(config.deny_delete, true);
      const { deny_delete: _, ...rest } = { ...config, name: "THEIRS", subjects: ["theirs.*"] };
      await manager.streams.add(rest);
      const first = await join({ stream: "THEIRS", prefix: "theirs" });
      await tickAll(first, 1, 12);
      for (const seq of [4, 5, 9]) await manager.streams.deleteMessage("THEIRS", seq);
      const late = await join({ stream: "THEIRS", prefix: "theirs" });
      const all = await late.read("earliest");
      assert.equal(
        all.map((event) => event.type === "tick" ? event.event.n : event.event.count),
        [1, 2, 3, 2, 6, 7, 8, 1, 10, 11, 12],
      );
      assert.equal(
        (await late.read(`${late.channel.epoch}-4`)).slice(0, 2).map((event) => sequenceOf(event)),
        [5, 6],
      );
    });
  }));

test("events_lost has the exact count when the stream is purged under load", () =>
  onNats(async (server, join) => {
    const parties = [await join(), await join({ history: { events: 20 } })];
    const { epochs } = await settleDuring(parties, async (account) => {
      await withManager(server, async (manager) => {
        for (let times = 0; times < 5; times++) {
          await manager.streams.purge("EVENTS");
          await account.progress(30);
        }
      });
      const [loss] = await parties[1]!.read(`${parties[1]!.channel.epoch}-0`);
      assert.is(loss?.type, "events_lost");
    });
    assert.is(epochs, 0, "the numbers continue");
  }));

test("natsChannel() passes positions that were purged before it received them", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const [ahead, behind] = [await join(), await join({}, link)];
        const live = await behind.open();
        await live.event();
        await tickAll(ahead, 1, 1);
        await live.event();
        link.hold();
        link.cut();
        await untilUnhealthy([behind]);
        await tickAll(ahead, 2, 10);
        await withManager(server, (manager) => manager.streams.purge("EVENTS"));
        link.release();
        link.cut();
        await untilHealthy([behind]);
        assert.equal([behind.channel.first, behind.channel.last], [11, 10]);
        assert.equal(await behind.read(`${ahead.channel.epoch}-10`), []);
        await tickAll(ahead, 11, 11);
        const [loss, next] = await live.events(2);
        assert.equal([loss!.type, loss!.event.count, loss!.id], [
          "events_lost",
          9,
          `${ahead.channel.epoch}-10`,
        ]);
        assert.equal(numbersOf([next!]), [11]);
        await live.close();
      }))
  ));

test.run();
