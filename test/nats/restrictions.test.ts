/**
 * The channel on NATS JetStream when the server permits less than it needs.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel } from "../../src/nats/mod.ts";
import { type Dictionary, until, within } from "../support/harness.ts";
import { codeOf } from "./assertions.ts";
import { catalogue, numbersOf, onNats, tick, upTo } from "./channels.ts";
import { withManager } from "./faults.ts";
import { withConnection, withNats } from "./server.ts";

const test = suite("nats restrictions");

test("publish() rejects with the reason when the storage is full, and resumes when there is room", () =>
  onNats(async (server, join) => {
    await withManager(server, async (manager) => {
      await manager.streams.add({ name: "EVENTS", subjects: ["events.*"] });
      const party = await join();
      const live = await party.open();
      await live.event();
      const note = { type: "note" as const, event: { text: "x".repeat(50_000) } };
      let stored = 0;
      let rejection: Dictionary["event"];
      while (rejection === undefined && stored < 200) {
        const { status, body } = await party.post(note);
        if (status === 202) stored++;
        else rejection = body.error;
      }
      assert.is(rejection?.code, "ChannelUnavailable");
      assert.match(rejection.message, /storage|resources|maximum|full/i);
      assert.match(party.channel.problem ?? "", /^the stream rejected the last publication: /);
      assert.is((await live.events(stored)).length, stored, "stored events are delivered");
      assert.equal((await party.read("earliest")).length, stored);
      await manager.streams.purge("EVENTS");
      await until(async () => (await party.post(tick(1))).status === 202, "the storage has room");
      assert.equal(numbersOf([await live.event()]), [1]);
      assert.is(party.channel.problem, undefined);
      await live.close();
    });
  }, { maxStore: 2_000_000 }));

test("publish() rejects only the types that the user may not publish", () =>
  withNats((server) =>
    withConnection(server, async (connection) => {
      const channel = await natsChannel(connection, catalogue);
      try {
        await until(() => channel.problem === undefined, "the channel is healthy");
        const codes = await Promise.all([
          codeOf(channel.publish("tick", { n: 1 })),
          codeOf(channel.publish("silence")),
          codeOf(channel.publish("silence")),
        ]);
        assert.equal(codes, ["stored", "ChannelUnavailable", "ChannelUnavailable"]);
        assert.is(channel.problem, undefined, "the stream responded");
        const after = [codeOf(channel.publish("tick", { n: 2 })), codeOf(channel.publish("tick", { n: 3 }))];
        assert.equal(await Promise.all(after), ["stored", "stored"]);
      } finally {
        channel.close();
      }
    }, { user: "app", pass: "secret" }), {
    settings: `authorization { users: [
      { user: app, password: secret, permissions: { publish: { deny: ["events.silence"] } } }
    ] }`,
  }));

test("problem stays while the stream delivers nothing, also across new consumers", () =>
  withNats((server) =>
    withConnection(server, async (connection) => {
      const request = connection.request.bind(connection);
      let consumers = 0;
      connection.request = (...args) => {
        if (args[0].includes(".CONSUMER.CREATE.")) consumers++;
        return request(...args);
      };
      const channel = await natsChannel(connection, catalogue);
      try {
        await until(() => /delivers nothing/.test(channel.problem ?? ""), "the problem is reported", 20_000);
        const before = consumers;
        await until(
          () => {
            assert.is.not(channel.problem, undefined);
            return consumers > before + 1;
          },
          "two more consumers",
          30_000,
        );
      } finally {
        channel.close();
      }
    }, { user: "app", pass: "secret" }), {
    settings: `authorization { users: [
      { user: app, password: secret, permissions: { publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] } } }
    ] }`,
  }));

test("problem reports that older events cannot be read, and read() resumes when they can", () =>
  onNats((server, join) =>
    withManager(server, async (manager) => {
      await manager.streams.add({ name: "EVENTS", subjects: ["events.*"], max_consumers: 2 });
      await manager.consumers.add("EVENTS", { durable_name: "other" });
      const { channel } = await join({ history: { events: 20 } });
      await channel.publishBatch(upTo(100).map(tick));
      const reading = Promise.resolve(channel.read(1, 1000));
      await until(() => /older.*consumers/.test(channel.problem ?? ""), "the problem is reported");
      await channel.publish("tick", { n: 101 });
      await manager.consumers.delete("EVENTS", "other");
      assert.is((await within(reading, "a page")).entries[0]!.position, 2);
      assert.is(channel.problem, undefined);
    })
  ));

test.run();
