/**
 * The channel on NATS JetStream: the whole way of an event, several servers, and the end.
 *
 * @module
 */
import type { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { createSession, triblerEvents } from "../../src/tribler/mod.ts";
import { linesOf, timersLeftBy, until, within } from "../support/harness.ts";
import { rejectionsDuring } from "../support/rejections.ts";
import { rejects, sequenceOf } from "./assertions.ts";
import { catalogue, numbersOf, onNats, tick, tickAll, upTo } from "./channels.ts";
import { managerOf, withConnection, withNats } from "./server.ts";

const test = suite("nats channel");

test("POST /events stores events, delivers them to open streams, and replays them to those that resume", () =>
  onNats(async (_, join) => {
    const party = await join();
    const live = await party.open();
    const start = await live.event();
    assert.is(start.id, `${party.channel.epoch}-0`);
    const answer = await party.post([tick(1), { type: "note", event: { text: "é漢😀\u2028\u0085\n" } }]);
    assert.equal([answer.status, answer.body], [202, { accepted: 2, last_id: `${party.channel.epoch}-2` }]);
    assert.equal((await party.post({ type: "silence" })).body.last_id, `${party.channel.epoch}-3`);
    const lines = [await live.next(), await live.next(), await live.next()];
    await live.close();
    const [one, two, three] = lines.map((line) => JSON.parse(line!));
    assert.equal(Object.keys(one), ["type", "event", "id", "time"]);
    assert.equal([one.type, one.event, one.id], ["tick", { n: 1 }, `${party.channel.epoch}-1`]);
    assert.match(one.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(one.time) - Date.now()) < 10_000, one.time);
    assert.is(two.event.text, "é漢😀\u2028\u0085\n");
    assert.not.match(lines[1]!, /[\u2028\u0085]/, "they are escaped");
    assert.equal(Object.keys(three), ["type", "id", "time"]);

    const replay = await party.open("since=earliest&follow=false");
    await replay.next();
    assert.equal([await replay.next(), await replay.next(), await replay.next()], lines);
    assert.is(await replay.next(), undefined);
    assert.equal((await party.read(one.id)).map(sequenceOf), [2, 3]);
    assert.equal(await party.read(three.id), []);
  }));

test("natsChannel() delivers the same lines at every server, and accepts cursors of the other servers", () =>
  onNats(async (_, join) => {
    const [one, two] = [await join(), await join()];
    assert.is(one.channel.epoch, two.channel.epoch);
    const streams = [await one.open(), await two.open()];
    await Promise.all(streams.map((lines) => lines.next()));
    for (let n = 1; n <= 20; n++) assert.is((await (n % 2 ? one : two).post(tick(n))).status, 202);
    const received = await Promise.all(streams.map(async (lines) => {
      const seen = [];
      while (seen.length < 20) {
        const line = await lines.next();
        if (line !== "") seen.push(line);
      }
      await lines.close();
      return seen;
    }));
    assert.equal(received[0], received[1]);
    const events = received[0]!.map((line) => JSON.parse(line!));
    assert.equal(numbersOf(events), upTo(20));
    assert.equal(await one.read(events[6].id), await two.read(events[6].id));
    assert.equal(numbersOf(await two.read(events[6].id)), upTo(20, 8));
  }));

test("natsChannel() delivers events that were stored before it was opened", () =>
  onNats(async (_, join) => {
    await tickAll(await join(), 1, 1200);
    const late = await join();
    const lines = await late.open("since=earliest");
    const [start, ...events] = await lines.events(1201);
    assert.is(start!.id, `${late.channel.epoch}-0`);
    assert.equal(numbersOf(events), upTo(1200));
    await tickAll(late, 1201, 1201);
    assert.equal(numbersOf([await lines.event()]), [1201]);
    await lines.close();
  }));

test("?types= names types that the stream has events of, also when the catalogue lacks them", () =>
  onNats(async (server, join) => {
    await tickAll(await join(), 1, 2);
    await withConnection(server, async (connection) => {
      const channel = await natsChannel(connection, defineEvents({ other: null }));
      try {
        const statusOf = async (types: string) => {
          const response = await eventsEndpoint(channel).request(`/?since=earliest&types=${types}`);
          await response.body!.cancel();
          return response.status;
        };
        assert.equal([await statusOf("tick"), await statusOf("ti*"), await statusOf("note")], [
          200,
          200,
          400,
        ]);
      } finally {
        channel.close();
      }
    });
  }));

test("close() leaves no timer and no consumer, and keeps the connection of the caller open", () =>
  withNats(async (server) => {
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      let rejections: unknown[] = [];
      const left = await timersLeftBy(async () => {
        rejections = await rejectionsDuring(async () => {
          const channel = await natsChannel(connection, catalogue, { history: { events: 5 } });
          await channel.publishBatch(upTo(2000).map(tick));
          const reading = channel.batches("earliest");
          await reading.next();
          const positions = [];
          const waiting = (async () => {
            for await (const { entries } of channel.batches(`${channel.epoch}-1990`)) {
              positions.push(...entries.map(({ position }) => position));
            }
          })();
          await until(() => positions.length === 10, "the reader waits for more");
          channel.close();
          channel.close();
          assert.is(channel.closed, true);
          await within(waiting, "the end of a reader");
          while (!(await within(reading.next(), "the end of the other reader")).done);
          await rejects(channel.publish("tick", { n: 1 }), "ChannelClosed");
          assert.equal(
            (await channel.read(0, 100)).entries.length,
            0,
            "a closed channel requests nothing",
          );
        });
      });
      assert.equal(rejections, []);
      assert.is(left, 0, "timers");
      await until(
        async () => (await manager.streams.info("EVENTS")).state.consumer_count === 0,
        "no consumer is left",
      );
      assert.is(connection.isClosed(), false);
      await connection.flush();
    }, { pingInterval: 600_000 }); // Its own timer is set before timers are counted.
  }));

test("problem reports a connection that was closed under the channel", () =>
  onNats(async (_, join) => {
    const { channel, connection, endpoint } = await join();
    await channel.publish("tick", { n: 1 });
    const rejections = await rejectionsDuring(async () => {
      await connection.close();
      await until(() => channel.problem !== undefined, "the problem is reported");
      await rejects(channel.publish("tick", { n: 2 }), "ChannelUnavailable");
      const response = await endpoint.request("/?since=earliest&follow=false");
      assert.match(await response.text(), /"n":1/, "the window is replayed");
    });
    assert.equal(rejections, []);
  }));

test("createApp() serves a session on natsChannel()", () =>
  withNats(async (server) => {
    await withConnection(server, async (connection) => {
      const channel = await natsChannel(connection, triblerEvents);
      const session = createSession({ version: "1.2.3", channel });
      await session.start();
      const app: Hono = createApp(session, { heartbeat: 5 });
      const response = await app.request("/events?since=earliest");
      const lines = linesOf(response.body!);
      const [start, started] = await lines.events(2);
      assert.is(start!.event.version, "1.2.3");
      assert.is(started!.type, "tribler_started");
      const answer = await app.request("/events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: '{"type":"upgrader_tick","event":{"text":"half way"}}',
      });
      assert.equal([answer.status, await answer.json()], [202, {
        accepted: 1,
        last_id: `${channel.epoch}-2`,
      }]);
      assert.is((await lines.event()).event.text, "half way");
      assert.equal(await (await app.request("/healthz")).json(), { status: "serving" });
      const metrics = await (await app.request("/metrics")).text();
      assert.match(metrics, /^events_endpoint_published_events_total\{type="upgrader_tick"\} 1$/m);
      channel.close();
      assert.is((await app.request("/healthz")).status, 503);
      assert.equal(await lines.rest(), []);
    });
  }));

test.run();
