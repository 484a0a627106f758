/**
 * The channel on NATS JetStream while the server or the connection fails.
 *
 * @module
 */
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { natsChannel } from "../../src/nats/mod.ts";
import { timersLeftBy, until, within } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { codeOf } from "./assertions.ts";
import { catalogue, joining, numbersOf, onNats, tick, tickAll, upTo } from "./channels.ts";
import { deleteConsumers, loseNext, settleDuring, untilHealthy, untilUnhealthy } from "./faults.ts";
import { withConnection, withLink, withNats } from "./server.ts";

const test = suite("nats outages");

/** How long a server is frozen beyond the time in which that is noticed, in milliseconds. */
const FREEZE_MS = process.env["SOAK"] ? 30_000 : 0;

test("natsChannel() loses no acknowledged event when the server is killed under load", () =>
  onNats(async (server, join) => {
    const parties = [await join(), await join({ history: { events: 20 } })];
    const { lost, epochs, account } = await settleDuring(parties, async (account) => {
      for (let times = 0; times < 3; times++) {
        await server.kill();
        await untilUnhealthy(parties);
        await server.restart();
        await untilHealthy(parties);
        await account.progress(30);
      }
    });
    assert.equal([lost, epochs], [0, 0]);
    assert.ok(account.rejections.size > 0, "publications were rejected");
  }));

test("publish() rejects at once while the server is down, and sends nothing later", () =>
  onNats(async (server, join) => {
    const party = await join();
    await tickAll(party, 1, 3);
    await server.kill();
    await untilUnhealthy([party]);
    for (let n = 0; n < 20; n++) {
      const answer = await party.post(tick(-n));
      assert.equal([answer.status, answer.body.error.code], [503, "ChannelUnavailable"]);
    }
    const lines = await party.open("since=earliest");
    assert.equal(numbersOf((await lines.events(4)).slice(1)), [1, 2, 3], "the window is replayed");
    await server.restart();
    await untilHealthy([party]);
    await tickAll(party, 4, 5);
    assert.equal(numbersOf(await lines.events(2)), [4, 5]);
    await lines.close();
    assert.equal(numbersOf(await party.read("earliest")), upTo(5));
  }));

test("natsChannel() reports a frozen server, and resumes after it", () =>
  onNats(async (server, join) => {
    const parties = [await join(), await join({ history: { events: 20 } })];
    const { lost, epochs, account } = await settleDuring(parties, async () => {
      server.freeze();
      try {
        await untilUnhealthy(parties);
        await sleep(FREEZE_MS);
      } finally {
        server.thaw();
      }
    });
    assert.equal([lost, epochs], [0, 0]);
    assert.ok(account.rejections.size > 0, "publications were rejected");
  }));

test("problem clears when the stream answers again, without another publication", () =>
  onNats((server) =>
    withConnection(server, async (connection) => {
      const channel = await natsChannel(connection, catalogue, { onProblem: () => {} });
      try {
        server.freeze();
        const code = codeOf(channel.publish("tick", { n: 1 }));
        assert.is(await within(code, "the end of a publication"), "PublishUnconfirmed");
        assert.is.not(channel.problem, undefined);
        server.thaw();
        await until(() => channel.problem === undefined, "the channel is healthy", 20_000);
      } finally {
        server.thaw();
        channel.close();
      }
    }, { pingInterval: 60_000 }) // The connection stays open.
  ));

test("natsChannel() misses and repeats nothing when the connection is cut or silent", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const parties = [await join(), await join({ history: { events: 20 } }, link)];
        const { lost, epochs } = await settleDuring(parties, async (account) => {
          for (let times = 0; times < 15; times++) {
            link.cut();
            await account.progress(10);
            await sleep(times);
          }
          link.hold();
          await untilUnhealthy(parties.slice(1));
          link.release();
          await untilHealthy(parties);
          link.hold();
          await untilUnhealthy(parties.slice(1));
          link.cut();
          link.release();
        });
        assert.equal([lost, epochs], [0, 0]);
      }))
  ));

test("read() and locate() end their requests when the connection breaks, and requests resume on the next one", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const near = await join();
        const { channel, connection } = await join({ history: { events: 20 } }, link);
        await tickAll(near, 1, 2000);
        await until(() => channel.last === 2000 && channel.problem === undefined, "all events are received");
        const cut = async (isLost: Promise<void>) => {
          await within(isLost, "a request");
          link.cut();
        };

        let isLost = loseNext(connection, ".CONSUMER.CREATE.");
        const page = Promise.resolve(channel.read(10, 100_000));
        await cut(isLost);
        assert.is((await within(page, "a page", 3000)).entries[0]!.position, 11);

        isLost = loseNext(connection, ".STREAM.INFO.");
        const start = Promise.resolve(channel.locate(`${channel.epoch}-10`)).catch(({ code }) => code);
        await cut(isLost);
        assert.is(await within(start, "the result of locate()", 3000), "ChannelUnavailable");

        isLost = loseNext(connection, ".CONSUMER.CREATE.");
        link.cut();
        await cut(isLost);
        await near.channel.publish("tick", { n: 2001 });
        await until(() => channel.last === 2001, "the event after the break", 3000);
      }))
  ));

test("locate() does not wait for a server that is down", () =>
  onNats(async (server, join) => {
    const party = await join({ history: { events: 20 } });
    await tickAll(party, 1, 100);
    await server.kill();
    await untilUnhealthy([party]);
    const start = Promise.resolve(party.channel.locate(`${party.channel.epoch}-10`)).catch(({ code }) =>
      code
    );
    assert.is(await within(start, "the result of locate()", 3000), "ChannelUnavailable");
    const lines = await within(party.open("since=earliest"), "the head of the response", 3000);
    assert.is((await lines.event()).type, "events_start");
    await lines.close();
  }));

test("natsChannel() replaces its consumer when that is deleted", () =>
  onNats(async (server, join) => {
    const parties = [await join(), await join()];
    const { lost, epochs } = await settleDuring(parties, async (account) => {
      for (let times = 0; times < 3; times++) {
        await deleteConsumers(server);
        await account.progress(30);
      }
    });
    assert.equal([lost, epochs], [0, 0]);
  }));

test("publish() rejects while the connection is drained", () =>
  onNats(async (_, join) => {
    const { channel, connection } = await join();
    const drained = connection.drain();
    const code = codeOf(channel.publish("tick", { n: 1 }));
    assert.is(await within(code, "the end of a publication"), "ChannelUnavailable");
    await drained;
  }));

test("close() leaves no timer while NATS is down or frozen", () =>
  onNats(async (server, join) => {
    const left = await timersLeftBy(async () => {
      const parties = [await join({ history: { events: 1 } }), await join()];
      await tickAll(parties[0]!, 1, 1000);
      let settled: Promise<string>;
      server.freeze();
      try {
        const reading = parties[0]!.channel.read(1, 1000);
        const publishing = parties[0]!.channel.publish("tick", { n: 1 }).catch(({ code }) => code);
        await untilUnhealthy(parties);
        for (const { channel } of parties) channel.close();
        assert.equal((await within(Promise.resolve(reading), "the aborted read")).entries, []);
        settled = within(publishing, "the end of a publication");
      } finally {
        server.thaw();
      }
      assert.match(await settled, /^PublishUnconfirmed$|-1001$/); // The acknowledgement may arrive late.
      // A connection that is being opened has a timer; one that was frozen may be lost only now, while it is flushed.
      await Promise.all(parties.map(async ({ connection }) => {
        const isWhole = () => connection.flush().then(() => true, () => false);
        await until(isWhole, "the connection is whole again");
        await connection.close();
      }));
    });
    assert.is(left, 0);
  }));

test.run();
