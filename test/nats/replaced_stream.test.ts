/**
 * A stream that is replaced while requests to it are pending.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel } from "../../src/nats/mod.ts";
import { until, within } from "../support/harness.ts";
import { codeOf } from "./assertions.ts";
import { catalogue, onNats, tick, tickAll, upTo } from "./channels.ts";
import {
  deleteConsumers,
  gateOf,
  loseNext,
  replaceStream,
  settleDuring,
  untilHealthy,
  withManager,
} from "./faults.ts";
import { withConnection } from "./server.ts";

const test = suite("nats replaced stream");

test("natsChannel() creates a deleted stream again, and every reader receives unknown_epoch once", () =>
  onNats(async (server, join) => {
    const parties = [await join(), await join({ history: { events: 20 } })];
    const { lost, epochs } = await settleDuring(parties, async (account) => {
      const before = parties[0]!.channel.epoch;
      await withManager(server, (manager) => manager.streams.delete("EVENTS"));
      await until(
        () => parties.every(({ channel }) => channel.epoch !== before),
        "all have another epoch",
        30_000,
      );
      await untilHealthy(parties);
      await account.progress(30);
      // Unconfirmed publications are repeated in the new stream, which does not know their keys.
    }, true);
    assert.is(lost, 0);
    assert.is(epochs, 6, "each reader receives one events_lost");
  }));

test("natsChannel() reads a replaced stream from its beginning when its consumer was being created", () =>
  onNats((server, join) =>
    withConnection(server, async (connection) => {
      const gate = gateOf(connection, ".CONSUMER.CREATE.");
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      try {
        await channel.publishBatch(upTo(10).map(tick));
        await until(() => channel.last === 10, "all events are received");
        const isRequested = gate.close();
        await deleteConsumers(server);
        await within(isRequested, "another consumer");
        const near = await replaceStream(server, join);
        await tickAll(near, 11, 13);
        const { epoch } = near.channel;
        assert.equal(await channel.locate("earliest"), { epoch, position: 0, unknownEpoch: false });
        assert.is(channel.epoch, near.channel.epoch);
        gate.open();
        await until(() => channel.last === 3, "the events of the new stream");
      } finally {
        gate.open();
        channel.close();
      }
    })
  ));

test("locate() of a closed channel rejects a cursor that it has not received as unavailable, also when its stream was replaced", () =>
  onNats(async (server, join) => {
    const [closed, open] = [await join(), await join()];
    await tickAll(open, 1, 2);
    await until(() => closed.channel.last === 2, "both have the events");
    closed.channel.close();
    await tickAll(open, 3, 3);
    const { epoch } = open.channel;
    await replaceStream(server, join);
    const located = Promise.resolve(closed.channel.locate(`${epoch}-3`));
    assert.is(await codeOf(located), "ChannelUnavailable");
    assert.equal(await closed.channel.locate(`${epoch}-2`), { epoch, position: 2, unknownEpoch: false });
  }));

test("natsChannel() delivers nothing of a replaced stream before it reports unknown_epoch", () =>
  onNats((server, join) =>
    withConnection(server, async (connection) => {
      const first = await join();
      await tickAll(first, 1, 10);
      first.channel.close();
      const gate = gateOf(connection, ".CONSUMER.CREATE.");
      const isRequested = gate.close();
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      const reader = channel.batches();
      try {
        await within(isRequested, "a consumer");
        const near = await replaceStream(server, join);
        await tickAll(near, 11, 25);
        gate.open();
        const { value } = await within(reader.next(), "a batch");
        assert.equal(value, { lost: { reason: "unknown_epoch", count: null }, entries: [] });
        assert.is(channel.epoch, near.channel.epoch);
      } finally {
        gate.open();
        channel.close();
      }
    })
  ));

test("publish() reports PublishUnconfirmed when the stream was replaced meanwhile", () =>
  onNats((server, join) =>
    withConnection(server, async (connection) => {
      const first = await join();
      await tickAll(first, 1, 3);
      first.channel.close();
      const gate = gateOf(connection, ".STREAM.INFO.");
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      try {
        await until(() => channel.problem === undefined, "the channel is healthy");
        gate.close();
        const { epoch } = channel;
        const near = await replaceStream(server, join);
        await tickAll(near, 11, 20);
        assert.is(channel.epoch, epoch, "the change is not known yet");
        const publishing = codeOf(channel.publish("tick", { n: 21 }));
        await until(() => near.channel.last === 11, "the event is stored");
        gate.open();
        assert.is(await within(publishing, "a response"), "PublishUnconfirmed");
        assert.is(channel.epoch, near.channel.epoch);
      } finally {
        gate.open();
        channel.close();
      }
    })
  ));

test("batches() reports unknown_epoch at once when the stream is replaced while a page is pending", () =>
  onNats(async (server, join) => {
    const { channel, connection } = await join({ history: { events: 5 } });
    await channel.publishBatch(upTo(100).map(tick));
    await until(() => channel.last === 100 && channel.problem === undefined, "all events are received");
    const isLost = loseNext(connection, ".CONSUMER.CREATE.");
    const reader = channel.batches(`${channel.epoch}-10`);
    const next = reader.next();
    await within(isLost, "a request");
    await withManager(server, (manager) => manager.streams.delete("EVENTS"));
    const { value } = await within(next, "a batch");
    assert.equal(value, { lost: { reason: "unknown_epoch", count: null }, entries: [] });
  }));

test("publish() reports PublishUnconfirmed when another stream took over the subjects", () =>
  onNats(async (server, join) => {
    const { channel } = await join();
    const ids = await channel.publishBatch(upTo(3).map(tick));
    await until(() => channel.last === 3 && channel.problem === undefined, "the channel is healthy");
    await withManager(server, async (manager) => {
      await manager.streams.update("EVENTS", { subjects: ["moved.*"] });
      await manager.streams.add({ name: "OTHER", subjects: ["events.*"] });
    });
    for (let n = 1; n <= 5; n++) { // Its numbers begin below those received, and then pass them.
      const publishing = codeOf(channel.publish("tick", { n }));
      assert.is(await within(publishing, "the end of a publication"), "PublishUnconfirmed");
    }
    assert.equal([`${channel.epoch}-3`, channel.last], [ids[2], 3]);
  }));

test.run();
