/**
 * Publishing to the channel on NATS JetStream: order, sizes, keys and limits.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { until, within } from "../support/harness.ts";
import { rejects, sequenceOf } from "./assertions.ts";
import { joining, numbersOf, onNats, tick, upTo } from "./channels.ts";
import { managerOf, withConnection, withLink, withNats } from "./server.ts";

const test = suite("nats publish");

test("publish() and publishBatch() keep the order of calls that do not await each other", () =>
  onNats(async (_, join) => {
    const [one, two] = [await join(), await join()];
    const publishing = [one, two].flatMap((party, from) =>
      upTo(300).map((n) => {
        const numbers = [from * 10_000 + n * 10, from * 10_000 + n * 10 + 1];
        return n % 3
          ? party.channel.publishBatch(numbers.map(tick))
          : Promise.all(numbers.map((number) => party.channel.publish("tick", { n: number })));
      })
    );
    const ids = await within(Promise.all(publishing), "all acknowledgements");
    const stored = new Map((await one.read("earliest")).map(({ id, event }) => [id, event.n]));
    assert.is(stored.size, 1200);
    for (const from of [0, 1]) {
      const mine = ids.slice(from * 300, from * 300 + 300).flat();
      const order = mine.map((id) => sequenceOf({ id }));
      assert.equal(order, [...order].sort((a, b) => a - b), "in the order of publication");
      assert.equal(
        mine.map((id) => stored.get(id)),
        upTo(300).flatMap((n) => [from * 10_000 + n * 10, from * 10_000 + n * 10 + 1]),
        "each id belongs to its event",
      );
    }
  }));

test("publish() resolves after this process has received the event", () =>
  onNats(async (_, join) => {
    const party = await join();
    for (let n = 1; n <= 50; n++) {
      const id = await party.channel.publish("tick", { n });
      assert.ok(party.channel.last >= n, `${party.channel.last} is the last after ${id}`);
    }
  }));

test("publishBatch() stores nothing when one event is invalid", () =>
  onNats(async (_, join) => {
    const { channel, post } = await join();
    const wrong = channel.publishBatch([tick(1), { type: "tick", event: { n: "2" } } as never]);
    await rejects(wrong, "InvalidEvent", /n/);
    assert.is((await post([tick(1), { type: "nothing" }])).status, 400);
    assert.is((await post({ type: "events_lost", event: {} })).status, 400);
    assert.is(await channel.publish("tick", { n: 3 }), `${channel.epoch}-1`);
  }));

test("publishBatch() rejects an event above max_payload, and the connection stays open", () =>
  onNats(async (_, join) => {
    const party = await join();
    const large = party.channel.publishBatch([tick(1), {
      type: "note",
      event: { text: "x".repeat(1_100_000) },
    }]);
    await rejects(large, "InvalidEvent", /1\D?048\D?576|1 MiB/);
    assert.is(await party.channel.publish("tick", { n: 2 }), `${party.channel.epoch}-1`);
    const text = "é".repeat(500_000);
    await party.channel.publish("note", { text });
    const [, note] = await party.read("earliest");
    assert.is(note!.event.text, text);
    assert.is(party.connection.isClosed(), false);
  }));

test("publishBatch() rejects an event that exceeds max_payload together with its key", () =>
  onNats(async (_, join) => {
    const { channel } = await join();
    const key = "k".repeat(255);
    const note = (bytes: number) => [tick(1), { type: "note" as const, event: { text: "x".repeat(bytes) } }];
    await rejects(channel.publishBatch(note(1024 ** 2 - 300), key), "InvalidEvent");
    assert.is(channel.last, 0);
    assert.is((await channel.publishBatch(note(1024 ** 2 - 700), key)).length, 2);
  }));

test("publishBatch() rejects an event above the max_msg_size of the stream", () =>
  onNats((server, join) =>
    withConnection(server, async (connection) => {
      const { streams } = await managerOf(connection);
      await streams.add({ name: "EVENTS", subjects: ["events.*"], max_msg_size: 4096 });
      const { channel } = await join();
      const note = (
        bytes: number,
      ) => [tick(1), { type: "note" as const, event: { text: "x".repeat(bytes) } }];
      await rejects(channel.publishBatch(note(4096)), "InvalidEvent");
      await rejects(channel.publishBatch(note(3700), "k".repeat(200)), "InvalidEvent");
      assert.is((await streams.info("EVENTS")).state.messages, 0);
      assert.is((await channel.publishBatch(note(3700))).length, 2);
      assert.is((await channel.publishBatch(note(3500), "k".repeat(200))).length, 2);
      await streams.update("EVENTS", { max_msg_size: -1 });
      await channel.locate("earliest"); // Requests the state of the stream.
      assert.is((await channel.publishBatch(note(4096))).length, 2);
    })
  ));

test("publishBatch() limits the messages in flight, and later calls keep their order", () =>
  onNats(async (_, join) => {
    const { channel, connection } = await join();
    const request = connection.request.bind(connection);
    let [waiting, most] = [0, 0];
    connection.request = (...args) => {
      most = Math.max(most, ++waiting);
      return request(...args).finally(() => waiting--);
    };
    const count = 12_345;
    const large = "x".repeat(500_000);
    const publishing = [
      channel.publishBatch(upTo(count).map(tick)),
      channel.publish("tick", { n: count + 1 }),
      channel.publishBatch([tick(count + 2), tick(count + 3)]),
      channel.publishBatch(upTo(20).map(() => ({ type: "note", event: { text: large } }))),
      channel.publish("tick", { n: count + 24 }),
    ];
    const ids = (await within(Promise.all(publishing), "all acknowledgements", 30_000)).flat();
    assert.equal(ids.map((id) => sequenceOf({ id })), upTo(count + 24));
    assert.ok(most < 6000, `${most} at a time`);
  }));

test("publishBatch() reports PublishUnconfirmed when the connection breaks, and waiting events are not sent", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const party = await join({}, link);
        const batch = rejects(party.channel.publishBatch(upTo(20_000).map(tick)), "PublishUnconfirmed");
        const next = rejects(party.channel.publish("silence"), "ChannelUnavailable", /broke/);
        link.hold(); // Acknowledgements do not arrive.
        link.cut();
        link.release();
        await Promise.all([batch, next]);
        await until(() => party.channel.problem === undefined, "the connection is up");
        await party.channel.publish("a.b:c/d-e_F9");
        const events = await party.read("earliest");
        assert.ok(events.length < 20_000, `${events.length} are stored`);
        assert.equal(numbersOf(events.slice(0, -1)), upTo(events.length - 1));
      }))
  ));

test("POST /events honours an Idempotency-Key at every server of the stream", () =>
  onNats(async (_, join) => {
    const [one, two] = [await join(), await join()];
    const first = await one.post([tick(1), tick(2), tick(3)], "k-1");
    assert.is(first.status, 202);
    await one.post(tick(4));
    const again = await two.post([tick(1), tick(2), tick(3)], "k-1");
    assert.equal([again.status, again.text], [202, first.text]);
    const both = await Promise.all([
      one.post([tick(5), tick(6)], "k-2"),
      two.post([tick(5), tick(6)], "k-2"),
    ]);
    assert.equal(both.map(({ status }) => status), [202, 202]);
    assert.is(both[0].text, both[1].text);
    assert.equal(numbersOf(await one.read("earliest")), upTo(6));
    assert.equal(numbersOf(await two.read("earliest")), upTo(6));
    const counted = [one, two].reduce((sum, { channel }) => sum + channel.stats().published.tick!, 0);
    assert.is(counted, 6, "each stored event is counted once");
  }));

test("publishBatch() throws a RangeError for a key with line breaks", () =>
  onNats(async (_, join) => {
    const { channel } = await join();
    await until(() => channel.problem === undefined, "the channel is healthy");
    for (const key of ["a\nb", "a\r"]) {
      const error = await channel.publishBatch([tick(1)], key).catch((error) => error);
      assert.instance(error, RangeError);
    }
    assert.equal([channel.problem, channel.last], [undefined, 0]);
  }));

test.run();
