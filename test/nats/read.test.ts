/**
 * Reading from the channel on NATS JetStream: the window, pages of older events, and cursors.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel } from "../../src/nats/mod.ts";
import { until, within } from "../support/harness.ts";
import { catalogue, joining, numbersOf, onNats, tickAll, upTo } from "./channels.ts";
import { deleteConsumers, gateOf } from "./faults.ts";
import { managerOf, withConnection, withLink, withNats } from "./server.ts";

const test = suite("nats read");

test("read() fetches events that left the window, and many readers share the consumers", () =>
  onNats(async (server, join) => {
    const party = await join({ history: { events: 10 } });
    await tickAll(party, 1, 3000);
    const [, second] = await party.read("earliest");
    let most = 0;
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const reading = Promise.all(Array.from({ length: 50 }, (_, index) => {
        return index % 2 ? party.read("earliest") : party.read(second!.id);
      }));
      let isOver = false;
      reading.finally(() => isOver = true).catch(() => {});
      while (!isOver) {
        const { state } = await manager.streams.info("EVENTS");
        most = Math.max(most, state.consumer_count);
      }
      for (const [index, events] of (await reading).entries()) {
        assert.equal(numbersOf(events), upTo(3000, index % 2 ? 1 : 3));
      }
    });
    assert.ok(most <= 8, `${most} consumers`);
    const { events } = party.channel.stats();
    assert.ok(events <= 10, `${events} events are held`);
  }));

test("batches() starts at the requested cursor and releases its reader on return()", () =>
  onNats(async (_, join) => {
    const party = await join({ history: { events: 5 } });
    const { channel } = party;
    const live = channel.batches();
    const coming = live.next();
    await tickAll(party, 1, 12);
    const seen: number[] = [];
    for (let batch = (await coming).value;; batch = (await live.next()).value) {
      for (const entry of batch.entries) {
        const event = channel.parse(entry);
        if (event.type === "tick") seen.push(event.event.n);
      }
      if (seen.length >= 12) break;
    }
    assert.equal(seen, upTo(12));
    await live.return?.();
    const positions: number[] = [];
    for await (const { lost, entries } of channel.batches(`${channel.epoch}-3`)) {
      assert.is(lost, undefined);
      positions.push(...entries.map(({ position }) => position));
      if (positions.at(-1) === 12) break;
    }
    assert.equal(positions, upTo(12, 4));
    const pending = channel.batches();
    const next = pending.next();
    await until(() => channel.stats().readers === 1, "the reader waits");
    await pending.return?.();
    assert.is((await within(next, "the end of the pending read")).done, true);
    assert.is(channel.stats().readers, 0);
    assert.equal(channel.stats().published, { tick: 12, note: 0, silence: 0, "a.b:c/d-e_F9": 0 });
  }));

test("locate() waits for a cursor that this server has not reached, and rejects one that does not exist", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const [ahead, behind] = [await join(), await join({}, link)];
        await tickAll(ahead, 1, 1);
        await until(() => behind.channel.last === 1, "both have received it");
        link.hold();
        await tickAll(ahead, 2, 20);
        const opening = behind.open(`since=${behind.channel.epoch}-15`);
        await new Promise((resolve) => setTimeout(resolve, 200)); // Time in which a wrong rejection would arrive.
        assert.is(behind.channel.last, 1, "the event has not arrived");
        link.release();
        const lines = await opening;
        const [start, ...events] = await lines.events(6);
        assert.is(start!.id, `${behind.channel.epoch}-15`);
        assert.equal(numbersOf(events), upTo(20, 16));
        await lines.close();
        for (const { channel, open } of [ahead, behind]) {
          const rejected = await open(`since=${channel.epoch}-21`).then(
            () => "opened",
            ({ message }) => message,
          );
          assert.match(rejected, /^400.*InvalidCursor/);
        }
      }))
  ));

test("read() fetches large events in requests that fit the max_pending of the server", () =>
  onNats(async (_, join) => {
    const party = await join({ history: { events: 5 } });
    const text = "x".repeat(60_000);
    for (let n = 0; n < 100; n += 10) {
      const drafts = Array.from({ length: 10 }, () => ({ type: "note" as const, event: { text } }));
      await party.channel.publishBatch(drafts);
    }
    const lines = [await party.open("since=earliest"), await party.open("since=earliest")];
    for (const line of lines) {
      const [start, ...events] = await line.events(101);
      assert.is(start?.type, "events_start");
      assert.equal(events.map(({ id }) => Number(id.split("-")[1])), upTo(100));
      assert.ok(events.every(({ event }) => event.text === text));
      await line.close();
    }
  }, { settings: 'write_deadline: "2s"\nmax_pending: 1048576' }));

test("locate() waits for a cursor that is newer than a shared request for the state", () =>
  onNats((server, join) =>
    withConnection(server, async (connection) => {
      const near = await join();
      await tickAll(near, 1, 3);
      const making = gateOf(connection, ".CONSUMER.CREATE.");
      const info = gateOf(connection, ".STREAM.INFO.", "responses");
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      try {
        await until(() => channel.problem === undefined, "the channel is healthy");
        const isMaking = making.close();
        await deleteConsumers(server);
        await within(isMaking, "another consumer");
        const isRequested = info.close();
        const earliest = channel.locate("earliest");
        await within(isRequested, "a response");
        const id = await near.channel.publish("tick", { n: 4 });
        const start = Promise.resolve(channel.locate(id));
        start.catch(() => {});
        info.open();
        const { epoch } = near.channel;
        assert.equal(await earliest, { epoch, position: 0, unknownEpoch: false });
        making.open();
        assert.equal(await start, { epoch, position: 4, unknownEpoch: false });
      } finally {
        making.open();
        info.open();
        channel.close();
      }
    })
  ));

test.run();
