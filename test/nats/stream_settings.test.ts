/**
 * Settings of the stream: those that natsChannel() creates, accepts and rejects, and the permissions it needs.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from "@nats-io/jetstream";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel, type NatsChannelOptions } from "../../src/nats/mod.ts";
import { within } from "../support/harness.ts";
import { lossOf, rejects } from "./assertions.ts";
import { catalogue, numbersOf, onNats, tick, tickAll, upTo } from "./channels.ts";
import { managerOf, withConnection, withNats } from "./server.ts";

const test = suite("nats stream settings");

test("natsChannel() needs no more permissions than docs/several-servers.md lists", async () => {
  const page = await readFile(new URL("../../docs/several-servers.md", import.meta.url), "utf8");
  const [, publish, subscribe] = /it must publish to (.*), and subscribe to (`[^`]+`)/.exec(page)!;
  const allowed = (list: string) =>
    JSON.stringify([...list.matchAll(/`([^`]+)`/g)].map(([, subject]) => subject));
  const permissions = `{ publish: { allow: ${allowed(publish!)} }, subscribe: { allow: ${
    allowed(subscribe!)
  } } }`;
  const settings = `authorization { users: [{ user: app, password: secret, permissions: ${permissions} }] }`;
  await withNats((server) =>
    withConnection(server, async (connection) => {
      const status = connection.status();
      const channel = await natsChannel(connection, catalogue, { history: { events: 10 } });
      const readAll = async () => {
        let read = 0;
        for await (const { entries } of channel.batches("earliest")) {
          if ((read += entries.length) === 3000) return;
        }
      };
      try {
        await channel.publishBatch(upTo(3000).map(tick));
        await within(readAll(), "all events");
        assert.is(channel.problem, undefined);
      } finally {
        channel.close();
      }
      await connection.close();
      for await (const { type, ...rest } of status) assert.is.not(type, "error", JSON.stringify(rest));
    }, { user: "app", pass: "secret" }), { settings });
});

test("natsChannel() creates one stream with the limits of `keep` when several servers start", () =>
  onNats(async (server, join) => {
    const parties = await Promise.all(
      Array.from({ length: 5 }, () => join({ keep: { age: "1h", bytes: 5e6, events: 7e5 } })),
    );
    assert.is(new Set(parties.map(({ channel }) => channel.epoch)).size, 1);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const { config } = await manager.streams.info("EVENTS");
      assert.equal(
        [config.max_age, config.max_bytes, config.retention, config.discard, config.storage, config.subjects],
        [3600e9, 5e6, "limits", "old", "file", ["events.*"]],
      );
      assert.equal([config.max_msgs, config.duplicate_window], [7e5, 120e9]);
      const other = await join({ stream: "OTHER" });
      const { config: defaults } = await manager.streams.info("OTHER");
      assert.equal([defaults.max_age, defaults.max_bytes, defaults.max_msgs], [0, 2 ** 30, -1]);
      await join({ stream: "ALL", keep: { events: null, bytes: null, age: 9e12 } });
      const { config: all } = await manager.streams.info("ALL");
      assert.equal([all.max_bytes, all.max_msgs, all.duplicate_window], [-1, -1, 120e9]);
      assert.equal(defaults.subjects, ["other.*"]);
      await tickAll(other, 1, 3);
      await tickAll(parties[0]!, 1, 2);
      assert.equal(numbersOf(await other.read("earliest")), [1, 2, 3]);
    });
  }));

test("natsChannel() throws a RangeError for invalid limits and names", () =>
  onNats(async (_, join) => {
    const wrong: NatsChannelOptions[] = [
      { keep: { age: 0 } },
      { keep: { age: 0.05 } },
      { keep: { bytes: 0 } },
      { keep: { age: Infinity } },
      { keep: { bytes: 1.5 } },
      { keep: { events: 0 } },
      { replicas: 0 },
      { history: { events: 0 } },
      { stream: "a.b" },
      { stream: "" },
      { prefix: "a.>" },
      { prefix: "" },
    ];
    for (const options of wrong) {
      const error = await join(options).then(() => undefined, (error: unknown) => error);
      assert.instance(error, RangeError, JSON.stringify(options));
    }
  }));

test("natsChannel() uses an existing stream unchanged, and names the settings that do not fit", () =>
  onNats(async (server, join) => {
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const fine: Partial<StreamConfig> & { name: string } = {
        name: "FINE",
        subjects: ["fine.*"],
        storage: StorageType.Memory,
        max_msgs: 100,
      };
      // The servers of these tests permit no memory storage.
      await manager.streams.add({ ...fine, storage: StorageType.File });
      const before = await manager.streams.info("FINE");
      const party = await join({ stream: "FINE" });
      await tickAll(party, 1, 150);
      assert.equal(numbersOf(await party.read("earliest")), upTo(150, 51));
      assert.equal(lossOf((await party.read(`${party.channel.epoch}-0`))[0]), [
        "events_lost",
        "history_expired",
        50,
      ]);
      assert.equal((await manager.streams.info("FINE")).config, before.config);

      const wrong: [Partial<StreamConfig>, RegExp][] = [
        [{ retention: RetentionPolicy.Workqueue }, /retention/],
        [{ retention: RetentionPolicy.Interest }, /retention/],
        [{ subjects: ["wrong.>"] }, /subjects/],
        [{ subjects: ["wrong.*", "more.*"] }, /subjects/],
        [{ max_msgs_per_subject: 1 }, /max_msgs_per_subject/],
        [{ mirror: { name: "FINE" }, subjects: [] }, /mirror/],
        [{ sources: [{ name: "FINE" }] }, /sources/],
      ];
      for (const [config, message] of wrong) {
        await manager.streams.add({ name: "WRONG", subjects: ["wrong.*"], ...config } as StreamConfig);
        await rejects(join({ stream: "WRONG" }), "StreamMismatch", message);
        await manager.streams.delete("WRONG");
      }
    });
  }));

test("natsChannel() rejects a stream with subject_transform", () =>
  onNats((server) =>
    withConnection(server, async (connection) => {
      const { streams } = await managerOf(connection);
      await streams.add({ name: "EVENTS", subjects: ["events.*"] });
      // Responds as a newer nats-server would.
      const request = connection.request.bind(connection);
      connection.request = async (subject, ...rest) => {
        const answer = await request(subject, ...rest);
        if (!subject.endsWith(".STREAM.INFO.EVENTS")) return answer;
        const info = answer.json<StreamInfo>();
        const config = {
          ...info.config,
          subject_transform: { src: "events.*", dest: "other.{{wildcard(1)}}" },
        };
        const data = new TextEncoder().encode(JSON.stringify({ ...info, config }));
        return Object.create(answer, { data: { value: data } });
      };
      await rejects(natsChannel(connection, catalogue), "StreamMismatch", /subject_transform/);
    })
  ));

test("natsChannel() reports ChannelUnavailable when the stream cannot be created", async () => {
  await onNats(async (_, join) => {
    await rejects(join({ replicas: 3 }), "ChannelUnavailable");
  });
});

test.run();
