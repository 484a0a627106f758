/**
 * Epochs of the channel on NATS JetStream: when its numbers mean other events than before.
 *
 * @module
 */
import { jetstream, type StreamInfo } from "@nats-io/jetstream";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel } from "../../src/nats/mod.ts";
import { assignNewEpoch, epochOf } from "../../src/nats/stream.ts";
import { until, within } from "../support/harness.ts";
import { lossOf } from "./assertions.ts";
import { catalogue, joining, numbersOf, onNats, tick, tickAll, upTo } from "./channels.ts";
import { gateOf, untilHealthy, withManager } from "./faults.ts";
import { managerOf, withConnection, withLink, withNats } from "./server.ts";

const test = suite("nats epochs");

test("natsChannel() reports unknown_epoch to open streams and old cursors when the stream was deleted", () =>
  onNats(async (server, join) => {
    const party = await join();
    const before = party.channel.epoch;
    const live = await party.open();
    const own = party.channel.batches();
    await tickAll(party, 1, 10);
    await live.events(11);
    assert.is((await own.next()).value.lost, undefined);
    await withConnection(
      server,
      async (connection) => (await managerOf(connection)).streams.delete("EVENTS"),
    );
    await until(() => party.channel.epoch !== before, "the epoch has changed");
    await until(() => party.channel.problem === undefined, "the channel is healthy");
    const loss = await live.event();
    assert.equal(lossOf(loss), ["events_lost", "unknown_epoch", null]);
    assert.is(loss.id, `${party.channel.epoch}-0`);
    let found;
    while (found === undefined) found = (await within(own.next(), "a batch with a loss")).value.lost;
    assert.equal(found, { reason: "unknown_epoch", count: null });
    await own.return?.();
    await tickAll(party, 101, 103);
    assert.equal(numbersOf(await live.events(3)), [101, 102, 103]);
    await live.close();
    const [replayed, ...rest] = await party.read(`${before}-4`);
    assert.equal(lossOf(replayed), ["events_lost", "unknown_epoch", null]);
    assert.equal(numbersOf(rest), [101, 102, 103]);
    const late = await join();
    assert.is(late.channel.epoch, party.channel.epoch);
    assert.equal(await late.read("earliest"), rest);
  }));

test("natsChannel() reports unknown_epoch when the stream lost acknowledged events and reused their numbers", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const [near, far] = [await join(), await join({}, link)];
        await tickAll(near, 1, 10);
        const live = await far.open("since=earliest");
        assert.is((await live.events(11)).at(-1)!.event.n, 10);
        await server.forgetting(async () => {
          await until(() => near.channel.problem === undefined, "the server is up", 30_000);
          await until(() => far.channel.problem === undefined, "the server is up", 30_000);
          await tickAll(near, 11, 20);
          assert.is((await live.events(10)).at(-1)!.event.n, 20);
          link.hold();
          link.cut();
        });
        const { epoch } = far.channel;
        await withConnection(server, async (connection) => {
          const client = jetstream(connection);
          for (const n of upTo(115, 101)) await client.publish("events.tick", JSON.stringify(tick(n)));
        });
        link.release();
        await until(() => far.channel.epoch !== epoch, "the epoch has changed", 30_000);
        const [lost, ...events] = await live.events(1 + 25);
        assert.equal(lost!.event, { reason: "unknown_epoch", count: null });
        assert.equal(numbersOf(events), [...upTo(10), ...upTo(115, 101)]);
        await live.close();
        await until(() => near.channel.epoch === far.channel.epoch, "both have the same epoch");
        const late = await join();
        assert.is(late.channel.epoch, far.channel.epoch, "a channel that is opened later has it as well");
        const [since] = await late.read(`${epoch}-15`);
        assert.equal(
          since!.event,
          { reason: "unknown_epoch", count: null },
          "the numbers belong to other events",
        );
      }))
  ));

test("assignNewEpoch() writes the epoch into the description, and an overwritten one leads to another epoch", () =>
  onNats((server, join) =>
    withManager(server, async ({ streams }) => {
      await streams.add({ name: "EVENTS", subjects: ["events.*"], description: "Ours." });
      const parties = [await join(), await join()];
      await tickAll(parties[0]!, 1, 10);
      await until(() => parties.every(({ channel }) => channel.last === 10), "both have received all");
      const epochs = [parties[0]!.channel.epoch];
      const untilNextEpoch = async () => {
        await until(
          () => {
            return parties.every(({ channel: { epoch } }) =>
              epoch !== epochs.at(-1) && epoch === parties[0]!.channel.epoch
            );
          },
          "both have another epoch",
          30_000,
        );
        epochs.push(parties[0]!.channel.epoch);
      };
      await streams.purge("EVENTS", { keep: 4 });
      await server.forgetting(async () => {
        await untilHealthy(parties);
        await tickAll(parties[0]!, 11, 15);
      });
      await untilNextEpoch();
      assert.match((await streams.info("EVENTS")).config.description!, /^Ours\. \[events epoch \w+\]$/);
      await streams.update("EVENTS", { description: "Mine." });
      await untilNextEpoch();
      assert.equal([...epochs].sort(), epochs, "a newer epoch is greater");
      assert.match((await streams.info("EVENTS")).config.description!, /^Mine\. \[events epoch \w+\]$/);
    })
  ));

test("natsChannel() keeps an assigned epoch when its server restarts", () =>
  onNats(async (server, join) => {
    const { channel } = await join();
    await channel.publishBatch(upTo(3).map(tick));
    const { epoch } = channel;
    await server.forgetting(async () => {
      await until(() => channel.problem === undefined, "the server is up", 30_000);
      await channel.publishBatch(upTo(9).map(tick));
    });
    await until(() => channel.epoch !== epoch, "the epoch has changed", 30_000);
    const { epoch: since } = channel;
    const cursor = await channel.publish("tick", { n: 4 });
    for (let times = 0; times < 2; times++) {
      await server.kill();
      await until(() => channel.problem !== undefined, "the server is down");
      await server.restart();
      await until(() => channel.problem === undefined, "the server is up", 30_000);
      await channel.publish("silence");
    }
    assert.is(channel.epoch, since);
    const late = await join();
    assert.equal((await late.read(cursor)).map(({ type }) => type), ["silence", "silence"]);
  }));

test("natsChannel() uses an epoch of its own when the user may not change the stream", () =>
  withNats(async (server) => {
    const user = { user: "app", pass: "secret" };
    await withConnection(server, async (connection) => {
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      try {
        await channel.publishBatch(upTo(3).map(tick));
        const { epoch } = channel;
        await server.forgetting(async () => {
          await until(() => channel.problem === undefined, "the server is up", 30_000);
          await channel.publishBatch(upTo(9).map(tick));
        });
        await until(() => channel.epoch !== epoch, "the epoch has changed", 30_000);
        assert.ok(channel.epoch.startsWith(epoch));
        await until(() => channel.problem === undefined && channel.last === 3, "the channel continues");
        assert.is(await channel.publish("tick", { n: 4 }), `${channel.epoch}-4`);
      } finally {
        channel.close();
      }
    }, user);
  }, {
    settings: `authorization { users: [
      { user: app, password: secret, permissions: { publish: { deny: ["$JS.API.STREAM.UPDATE.>"] } } }
    ] }`,
  }));

test("assignNewEpoch() assigns one epoch when several servers call it at once", () =>
  withNats((server) =>
    withManager(server, (one) =>
      withManager(server, async (two, connection) => {
        const { streams } = one;
        const epoch = epochOf(await streams.add({ name: "EVENTS", subjects: ["events.*"] }));
        const gate = gateOf(connection, ".STREAM.UPDATE.");
        const isHeld = gate.close();
        const { now } = Date;
        let time = now() - now() % 60_000;
        Date.now = () => time += 1;
        try {
          const second = assignNewEpoch(two, "EVENTS", epoch);
          await within(isHeld, "the second request for the state");
          const first = epochOf(await assignNewEpoch(one, "EVENTS", epoch));
          gate.open();
          assert.equal([epochOf(await second), first > epoch], [first, true]);
          const again = epochOf(await assignNewEpoch(one, "EVENTS", first));
          assert.ok(again > first);
        } finally {
          Date.now = now;
        }
      }))
  ));

test("natsChannel() uses an epoch of its own when the description has no room", () =>
  onNats((server, join) =>
    withManager(server, async ({ streams }) => {
      await streams.add({ name: "EVENTS", subjects: ["events.*"], description: "x".repeat(4096) });
      const { channel } = await join();
      await channel.publishBatch(upTo(3).map(tick));
      const { epoch } = channel;
      await server.forgetting(async () => {
        await until(() => channel.problem === undefined, "the server is up", 30_000);
        await channel.publishBatch(upTo(9).map(tick));
      });
      await until(() => channel.epoch !== epoch, "the epoch has changed", 15_000);
      await until(() => channel.problem === undefined && channel.last === 3, "the channel continues");
      assert.is(await channel.publish("tick", { n: 4 }), `${channel.epoch}-4`);
    })
  ));

test("natsChannel() keeps its epoch when a new leader catches up within two seconds", () =>
  onNats((server) =>
    withConnection(server, async (connection) => {
      await (await managerOf(connection)).streams.add({ name: "EVENTS", subjects: ["events.*"] });
      let isBehind = false;
      // Responds as the leader of a stream in a cluster would.
      const request = connection.request.bind(connection);
      connection.request = async (subject, ...rest) => {
        const answer = await request(subject, ...rest);
        if (!subject.endsWith(".STREAM.INFO.EVENTS")) return answer;
        const { config, state, ...info } = answer.json<StreamInfo>();
        config.num_replicas = 3;
        if (isBehind) state.last_seq--;
        const data = new TextEncoder().encode(JSON.stringify({ ...info, config, state }));
        return Object.create(answer, { data: { value: data } });
      };
      const { now } = performance;
      let time = now.call(performance);
      performance.now = () => time; // However long the requests take.
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      const refresh = () => channel.locate("earliest");
      try {
        await channel.publishBatch(upTo(10).map(tick));
        await until(() => channel.last === 10 && channel.problem === undefined, "all events are received");
        const { epoch } = channel;
        for (let times = 0; times < 3; times++) {
          isBehind = true;
          await refresh();
          time += 1500;
          await refresh();
          isBehind = false;
          await refresh();
          await channel.publish("silence");
        }
        assert.equal([channel.epoch, channel.last], [epoch, 13]);
        isBehind = true;
        await refresh();
        time += 3000;
        await refresh();
        assert.is.not(channel.epoch, epoch);
      } finally {
        performance.now = now;
        channel.close();
      }
    })
  ));

test.run();
