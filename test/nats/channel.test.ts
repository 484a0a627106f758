/**
 * The channel on NATS JetStream: what it does while nothing goes wrong.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { jetstream, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import * as fc from "fast-check";
import type { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { defineEvents, EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { natsChannel, type NatsChannelOptions } from "../../src/nats/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { createSession, triblerEvents } from "../../src/tribler/mod.ts";
import { type Dictionary, linesOf, timersLeftBy, until, within } from "../support/harness.ts";
import { catalogue, joining, numbersOf, onNats, tick, tickAll, upTo } from "./channels.ts";
import { managerOf, withConnection, withLink, withNats } from "./server.ts";
import { rejectionsDuring } from "../support/rejections.ts";

const test = suite("nats");

function isError(code: EventsErrorCode, message = /./) {
  return (error: unknown) => {
    assert.instance(error, EventsError);
    const failure = error as EventsError;
    assert.is(failure.code, code, failure.message);
    assert.match(failure.message, message);
    return true;
  };
}

async function rejects(promise: Promise<unknown>, code: EventsErrorCode, message?: RegExp): Promise<void> {
  const error = await within(promise, "a refusal").then(() => undefined, (error: unknown) => error);
  assert.ok(error !== undefined, `nothing was refused, though ${code} was due`);
  isError(code, message)(error);
}

const sequenceOf = ({ id }: { readonly id: string }) => Number(id.split("-")[1]);

/** What was lost, as `events_lost` tells it. */
const lost = (event: Dictionary | undefined) =>
  event && [event.type, event.event?.reason, event.event?.count];

test("what is posted is stored, told to whoever listens, and told again to whoever resumes", () =>
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
    assert.not.match(lines[1]!, /[\u2028\u0085]/, "they are written as escapes");
    assert.equal(Object.keys(three), ["type", "id", "time"]);

    const replay = await party.open("since=earliest&follow=false");
    await replay.next();
    assert.equal([await replay.next(), await replay.next(), await replay.next()], lines);
    assert.is(await replay.next(), undefined);
    assert.equal((await party.read(one.id)).map(sequenceOf), [2, 3]);
    assert.equal(await party.read(three.id), []);
  }));

test("two servers on one stream tell the same lines, whoever took the event, and each takes up the other's cursors", () =>
  onNats(async (_, join) => {
    const [one, two] = [await join(), await join()];
    assert.is(one.channel.epoch, two.channel.epoch);
    const streams = [await one.open(), await two.open()];
    await Promise.all(streams.map((lines) => lines.next()));
    for (let n = 1; n <= 20; n++) assert.is((await (n % 2 ? one : two).post(tick(n))).status, 202);
    const told = await Promise.all(streams.map(async (lines) => {
      const seen = [];
      while (seen.length < 20) {
        const line = await lines.next();
        if (line !== "") seen.push(line);
      }
      await lines.close();
      return seen;
    }));
    assert.equal(told[0], told[1]);
    const events = told[0]!.map((line) => JSON.parse(line!));
    assert.equal(numbersOf(events), upTo(20));
    assert.equal(await one.read(events[6].id), await two.read(events[6].id));
    assert.equal(numbersOf(await two.read(events[6].id)), upTo(20, 8));
  }));

test("a channel that comes later has what was there before it", () =>
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

test("what this process no longer holds is read from the stream, by many at once, without a consumer for each", () =>
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

test("readers of batches begin where they ask to, and leave nothing behind", () =>
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
    await until(() => channel.stats().readers === 1, "it waits");
    await pending.return?.();
    assert.is((await within(next, "the end of a wait")).done, true);
    assert.is(channel.stats().readers, 0);
    assert.equal(channel.stats().published, { tick: 12, note: 0, silence: 0, "a.b:c/d-e_F9": 0 });
  }));

test("events published in a row without waiting keep their order, alone and in batches", () =>
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
    const ids = await within(Promise.all(publishing), "all to be stored");
    const stored = new Map((await one.read("earliest")).map(({ id, event }) => [id, event.n]));
    assert.is(stored.size, 1200);
    for (const from of [0, 1]) {
      const mine = ids.slice(from * 300, from * 300 + 300).flat();
      const order = mine.map((id) => sequenceOf({ id }));
      assert.equal(order, [...order].sort((a, b) => a - b), "in the order of publication");
      assert.equal(
        mine.map((id) => stored.get(id)),
        upTo(300).flatMap((n) => [from * 10_000 + n * 10, from * 10_000 + n * 10 + 1]),
        "and each id is that of its event",
      );
    }
  }));

test("whoever was told that an event is stored finds it here at once", () =>
  onNats(async (_, join) => {
    const party = await join();
    for (let n = 1; n <= 50; n++) {
      const id = await party.channel.publish("tick", { n });
      assert.ok(party.channel.last >= n, `${party.channel.last} is the last after ${id}`);
    }
  }));

test("nothing is stored where one event of several does not fit", () =>
  onNats(async (_, join) => {
    const { channel, post } = await join();
    const wrong = channel.publishBatch([tick(1), { type: "tick", event: { n: "2" } } as never]);
    await rejects(wrong, "InvalidEvent", /n/);
    assert.is((await post([tick(1), { type: "nothing" }])).status, 400);
    assert.is((await post({ type: "events_lost", event: {} })).status, 400);
    assert.is(await channel.publish("tick", { n: 3 }), `${channel.epoch}-1`);
  }));

test("an event larger than the server takes is refused, and the connection stays", () =>
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

test("an event that is too large with its key is refused for good, and nothing of the batch is stored", () =>
  onNats(async (_, join) => {
    const { channel } = await join();
    const key = "k".repeat(255);
    const note = (bytes: number) => [tick(1), { type: "note" as const, event: { text: "x".repeat(bytes) } }];
    await rejects(channel.publishBatch(note(1024 ** 2 - 300), key), "InvalidEvent");
    assert.is(channel.last, 0);
    assert.is((await channel.publishBatch(note(1024 ** 2 - 700), key)).length, 2);
  }));

test("an event that is larger than the stream takes is refused for good, and nothing of the batch is stored", () =>
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
      await channel.locate("earliest"); // It looks at the stream.
      assert.is((await channel.publishBatch(note(4096))).length, 2);
    })
  ));

test("a user who may do no more than the page says has a channel, and is forbidden nothing that it needs", async () => {
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
        await within(readAll(), "all of them");
        assert.is(channel.problem, undefined);
      } finally {
        channel.close();
      }
      await connection.close();
      for await (const { type, ...rest } of status) assert.is.not(type, "error", JSON.stringify(rest));
    }, { user: "app", pass: "secret" }), { settings });
});

test("of a large batch some wait for their acknowledgement at a time, and what is published meanwhile stands after it", () =>
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
    const ids = (await within(Promise.all(publishing), "all to be stored", 30_000)).flat();
    assert.equal(ids.map((id) => sequenceOf({ id })), upTo(count + 24));
    assert.ok(most < 6000, `${most} at a time`);
  }));

test("where the connection breaks in the midst of a large batch, what waits behind it is not published", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const party = await join({}, link);
        const batch = rejects(party.channel.publishBatch(upTo(20_000).map(tick)), "PublishUnconfirmed");
        const next = rejects(party.channel.publish("silence"), "ChannelUnavailable", /broke/);
        link.hold(); // What is acknowledged does not come.
        link.cut();
        link.release();
        await Promise.all([batch, next]);
        await until(() => party.channel.problem === undefined, "it is connected again");
        await party.channel.publish("a.b:c/d-e_F9");
        const events = await party.read("earliest");
        assert.ok(events.length < 20_000, `${events.length} are stored`);
        assert.equal(numbersOf(events.slice(0, -1)), upTo(events.length - 1));
      }))
  ));

test("whatever a type is called, it comes back by that name", () =>
  onNats(async (server, join) => {
    const party = await join();
    await party.channel.publish("a.b:c/d-e_F9");
    await party.channel.publish("silence");
    assert.equal((await party.read("earliest")).map(({ type }) => type), ["a.b:c/d-e_F9", "silence"]);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const { state } = await manager.streams.info("EVENTS", { subjects_filter: ">" });
      for (const subject of Object.keys(state.subjects ?? {})) {
        assert.match(subject, /^events\.[^.*>\s]+$/);
      }
      assert.is(Object.keys(state.subjects ?? {}).length, 2, "each type has a subject of its own");
    });
    const names = fc.uniqueArray(fc.stringMatching(/^[\w.:\-/]{1,128}$/), { minLength: 20, maxLength: 20 });
    for (const types of fc.sample(names, 5)) {
      const wild = defineEvents(
        Object.fromEntries(types.map((type) => [type, null])) as Record<string, null>,
      );
      await withConnection(server, async (connection) => {
        const channel = await natsChannel(connection, wild, { stream: "WILD" });
        try {
          const after = channel.last;
          await channel.publishBatch(types.map((type) => ({ type })));
          const { entries } = await channel.read(after, 1e6);
          assert.equal(entries.map(({ type }) => type), types);
        } finally {
          channel.close();
        }
      });
    }
  }));

test("an Idempotency-Key is one key for all servers on the stream", () =>
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
    assert.is(counted, 6, "what was stored once was published once");
  }));

test("a key that cannot stand in a header is refused, and is no fault of the stream", () =>
  onNats(async (_, join) => {
    const { channel } = await join();
    await until(() => channel.problem === undefined, "it follows the stream");
    for (const key of ["a\nb", "a\r"]) {
      const error = await channel.publishBatch([tick(1)], key).catch((error) => error);
      assert.instance(error, RangeError);
    }
    assert.equal([channel.problem, channel.last], [undefined, 0]);
  }));

test("a cursor that this server has not reached yet waits for it, and one that nobody has given is refused", () =>
  withNats((server) =>
    withLink(server, (link) =>
      joining(server, async (join) => {
        const [ahead, behind] = [await join(), await join({}, link)];
        await tickAll(ahead, 1, 1);
        await until(() => behind.channel.last === 1, "both have it");
        link.hold();
        await tickAll(ahead, 2, 20);
        const opening = behind.open(`since=${behind.channel.epoch}-15`);
        await new Promise((resolve) => setTimeout(resolve, 200)); // As long as it likes to be wrong.
        assert.is(behind.channel.last, 1, "it is behind");
        link.release();
        const lines = await opening;
        const [start, ...events] = await lines.events(6);
        assert.is(start!.id, `${behind.channel.epoch}-15`);
        assert.equal(numbersOf(events), upTo(20, 16));
        await lines.close();
        for (const { channel, open } of [ahead, behind]) {
          const refused = await open(`since=${channel.epoch}-21`).then(
            () => "opened",
            ({ message }) => message,
          );
          assert.match(refused, /^400.*InvalidCursor/);
        }
      }))
  ));

test("what the stream no longer keeps is counted exactly, for whoever resumes and whoever is overtaken", () =>
  onNats(async (server, join) => {
    const party = await join({ history: { events: 5 } });
    const { channel } = party;
    await tickAll(party, 1, 50);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      await manager.streams.purge("EVENTS", { seq: 31 }); // All before it.
      const [loss, ...rest] = await party.read(`${channel.epoch}-10`);
      assert.equal(lost(loss), ["events_lost", "history_expired", 20]);
      assert.is(loss!.id, `${channel.epoch}-30`);
      assert.equal(numbersOf(rest), upTo(50, 31));
      assert.equal(numbersOf(await party.read("earliest")), upTo(50, 31));
      assert.equal(numbersOf(await party.read(`${channel.epoch}-30`)), upTo(50, 31));

      const late = await join();
      assert.equal(numbersOf(await late.read("earliest")), upTo(50, 31));
      assert.equal(lost((await late.read(`${channel.epoch}-0`))[0]), ["events_lost", "history_expired", 30]);
    });
  }));

test("a stream that was emptied goes on with its numbers: only what was not read yet is lost", () =>
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
    assert.equal([lost(loss), none], [["events_lost", "history_expired", 15], []]);
    assert.equal(await late.read("earliest"), []);
    await tickAll(late, 41, 42);
    assert.equal(numbersOf(await live.events(2)), [41, 42], "who had read all of it misses nothing");
    assert.equal(numbersOf(await late.read(`${epoch}-40`)), [41, 42]);
    await live.close();
  }));

test("messages that others delete from the middle are lost, each counted", () =>
  onNats(async (server, join) => {
    const party = await join();
    await tickAll(party, 1, 12);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      // What the channel makes cannot be deleted from; a stream of others may be.
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

test("a stream that was deleted and made anew is another epoch, for old cursors and for whoever listens", () =>
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
    await until(() => party.channel.epoch !== before, "it is another epoch");
    await until(() => party.channel.problem === undefined, "nothing is wrong any more");
    const loss = await live.event();
    assert.equal(lost(loss), ["events_lost", "unknown_epoch", null]);
    assert.is(loss.id, `${party.channel.epoch}-0`);
    let found;
    while (found === undefined) found = (await within(own.next(), "what is lost")).value.lost;
    assert.equal(found, { reason: "unknown_epoch", count: null });
    await own.return?.();
    await tickAll(party, 101, 103);
    assert.equal(numbersOf(await live.events(3)), [101, 102, 103]);
    await live.close();
    const [told, ...rest] = await party.read(`${before}-4`);
    assert.equal(lost(told), ["events_lost", "unknown_epoch", null]);
    assert.equal(numbersOf(rest), [101, 102, 103]);
    const late = await join();
    assert.is(late.channel.epoch, party.channel.epoch);
    assert.equal(await late.read("earliest"), rest);
  }));

/** Losses in a row as one: a reader may be told of them piece by piece. */
function withLossesJoined(events: readonly Dictionary[]): Dictionary[] {
  const joined: Dictionary[] = [];
  for (const event of events) {
    const before = joined.at(-1);
    if (event.type !== "events_lost" || before?.type !== "events_lost") joined.push(event);
    else joined.splice(-1, 1, { ...event, event: { count: before.event.count + event.event.count } });
  }
  return joined;
}

test("what others put into the stream by a name that no type can have is no event", () =>
  onNats(async (server, join) => {
    const party = await join({ onProblem: () => {} });
    const live = await party.open("format=sse");
    const types = ["a\ndata: {}\n\nid: 1", "a\r", "é", "a b", "a".repeat(129)];
    await withConnection(server, async (connection) => {
      for (const type of types) {
        await jetstream(connection).publish(`events.${encodeURIComponent(type)}`, JSON.stringify({ type }));
      }
    });
    await party.channel.publish("silence");
    const seen: string[] = [];
    while (!seen.includes("event: silence")) seen.push((await live.next())!);
    await live.close();
    const names = seen.filter((line) => line.startsWith("event:") && line !== "event: events_lost");
    assert.equal(names, ["event: events_start", "event: silence"]);
    assert.equal(withLossesJoined(await party.read("earliest")).map(({ type }) => type), [
      "events_lost",
      "silence",
    ]);
  }));

test("what an event holds in bytes is known of each, however it came to be in the stream", () =>
  onNats(async (server, join) => {
    const { channel } = await join();
    const reader = channel.batches("earliest");
    await channel.publishBatch([tick(1), { type: "note", event: { text: "é漢😀\u2028\u0085\n" } }]);
    await withConnection(server, async (connection) => {
      const note = '{"type":"note","event":{"text":"é漢😀"}}';
      for (
        const data of [
          note,
          `\ufeff${note}`,
          ` ${note}\n`,
          note.replace("é", "\u0085"),
          note.replace("é", "\\u0041"),
        ]
      ) {
        await jetstream(connection).publish("events.note", data);
      }
    });
    const texts: unknown[] = [];
    while (texts.length < 7) {
      for (const entry of (await within(reader.next(), "a batch")).value.entries) {
        assert.is(entry.bytes, new TextEncoder().encode(entry.json).length, entry.json);
        const event = channel.parse(entry);
        texts.push(event.type === "note" ? event.event.text : event.type);
      }
    }
    assert.equal(
      texts,
      ["tick", "é漢😀\u2028\u0085\n", "é漢😀", "é漢😀", "é漢😀", "\u0085漢😀", "A漢😀"],
    );
  }));

test("where it fails to tell of a problem the channel goes on", () =>
  onNats(async (server, join) => {
    let told = 0;
    const party = await join({
      onProblem: () => {
        told++;
        throw new Error("nobody listens");
      },
    });
    await until(() => party.channel.problem === undefined, "it follows the stream");
    const reader = party.channel.batches();
    const next = reader.next();
    await withConnection(server, async (connection) => {
      await jetstream(connection).publish("events.tick", "garbage");
      const { value } = await within(next, "what became of it");
      assert.equal(value, { lost: { reason: "slow_consumer", count: 1 }, entries: [] });
      await jetstream(connection).publish("events.tick", "rubbish");
    });
    await party.channel.publish("tick", { n: 1 });
    await until(() => party.channel.last === 3, "it was told all");
    assert.is(told, 1);
    await reader.return!();
  }));

test("what others put into the stream is an event where it can be one, and else a counted loss", () =>
  onNats(async (server, join) => {
    const problems: string[] = [];
    const party = await join({ onProblem: ({ message }) => void problems.push(message) });
    const live = await party.open();
    await live.event();
    await withConnection(server, async (connection) => {
      const js = jetstream(connection);
      const put = (data: string | Uint8Array, subject = "events.tick") => js.publish(subject, data);
      await put('{"type":"tick","event":{"n":1}}');
      await put("garbage");
      await put("");
      await put(new Uint8Array([0xff, 0xfe, 0x22]));
      await put('{ "event" : { "n" : 5 },\n "type" : "tick" }\n');
      await put(
        '{"type":"events_lost","event":{"reason":"history_expired","count":7}}',
        "events.events_lost",
      );
      await put('{"type":"tick","event":{"n":1},"id":"x-1"}');
      await put('{"type":"tick\\r\\nid: 1","event":{}}');
      await put('{"type":"of_another_version","event":[1]}', "events.of_another_version");
      await put(
        '{"type":"note","event":{"text":"a\u2028b","__proto__":{"x":1},"l":"\\ud800"}}',
        "events.note",
      );
      await put("[]");
      await put("null");
      await put('{"type":"tick","event":{"n":13}} {}');
      await put('{"type":"tick","event":{"n":14}}');
    });
    await until(() => party.channel.last === 14, "all have come");
    const late = await join({ history: { events: 3 }, onProblem: () => {} });
    for (const read of [await party.read("earliest"), await late.read("earliest")]) {
      const events = withLossesJoined(read);
      const shown = events.map((event) =>
        event.type === "events_lost" ? -event.event.count : event.type === "tick" ? event.event.n : event.type
      );
      assert.equal(shown, [1, -3, 5, -3, "of_another_version", "note", -3, 14]);
      assert.equal(events.map(sequenceOf), [1, 4, 5, 8, 9, 10, 13, 14]);
    }
    const replay = await party.open("since=earliest&follow=false");
    const lines: string[] = [];
    for (let line; (line = await replay.next()) !== undefined;) lines.push(line);
    for (const line of lines) assert.not.match(line, /[\u2028\r\ud800]/);
    assert.match(
      lines.find((line) => line.includes('"note"'))!,
      /"text":"a\\u2028b","__proto__":\{"x":1\}/,
    );
    assert.match(lines.find((line) => line.includes('"n":5'))!, /^\{"type":"tick","event":\{"n":5\},"id":/);
    const [, ...told] = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
    const heard: Dictionary[] = [];
    while (heard.at(-1)?.event?.n !== 14) heard.push(await live.event());
    const timeless = (events: readonly Dictionary[]) => events.filter(({ type }) => type !== "events_lost");
    assert.equal(timeless(heard), timeless(told), "who listens is told the same");
    const count = (events: readonly Dictionary[]) =>
      events.reduce((sum, { type, event }) => sum + (type === "events_lost" ? event.count : 1), 0);
    assert.equal([count(heard), count(told)], [14, 14]);
    assert.is(problems.length, 1, "somebody is told, once");
    assert.match(problems[0]!, /message 2 of the stream EVENTS/);
    await live.close();
  }));

test("a stream is made with limits in age and bytes, and by two at once only one", () =>
  onNats(async (server, join) => {
    const parties = await Promise.all(
      Array.from({ length: 5 }, () => join({ create: { maxAge: 3600, maxBytes: 5e6 } })),
    );
    assert.is(new Set(parties.map(({ channel }) => channel.epoch)).size, 1);
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const { config } = await manager.streams.info("EVENTS");
      assert.equal(
        [config.max_age, config.max_bytes, config.retention, config.discard, config.storage, config.subjects],
        [3600e9, 5e6, "limits", "old", "file", ["events.*"]],
      );
      assert.is(config.duplicate_window, 120e9);
      const other = await join({ stream: "OTHER" });
      const { config: defaults } = await manager.streams.info("OTHER");
      assert.equal([defaults.max_age, defaults.max_bytes], [7 * 86400e9, 2 ** 30]);
      assert.equal(defaults.subjects, ["other.*"]);
      await tickAll(other, 1, 3);
      await tickAll(parties[0]!, 1, 2);
      assert.equal(numbersOf(await other.read("earliest")), [1, 2, 3]);
    });
  }));

test("limits that are none are refused", () =>
  onNats(async (_, join) => {
    const wrong: NatsChannelOptions[] = [
      { create: { maxAge: 0 } },
      { create: { maxBytes: 0 } },
      { create: { maxAge: Infinity } },
      { create: { maxBytes: 1.5 } },
      { create: { replicas: 0 } },
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

test("a stream that is there is used as it is, unless it cannot serve: then it is said which setting is wrong", () =>
  onNats(async (server, join) => {
    await withConnection(server, async (connection) => {
      const manager = await managerOf(connection);
      const fine: Partial<StreamConfig> & { name: string } = {
        name: "FINE",
        subjects: ["fine.*"],
        storage: StorageType.Memory,
        max_msgs: 100,
      };
      // Nothing may be stored in memory on the servers of these tests.
      await manager.streams.add({ ...fine, storage: StorageType.File });
      const before = await manager.streams.info("FINE");
      const party = await join({ stream: "FINE" });
      await tickAll(party, 1, 150);
      assert.equal(numbersOf(await party.read("earliest")), upTo(150, 51));
      assert.equal(lost((await party.read(`${party.channel.epoch}-0`))[0]), [
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

test("a stream that changes subjects is refused", () =>
  onNats((server) =>
    withConnection(server, async (connection) => {
      const { streams } = await managerOf(connection);
      await streams.add({ name: "EVENTS", subjects: ["events.*"] });
      // As a newer nats-server would answer, whichever this is.
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

test("without JetStream it is said that there is none", async () => {
  await onNats(async (_, join) => {
    await rejects(join({ create: { replicas: 3 } }), "ChannelUnavailable");
  });
});

test("a channel that is closed leaves nothing: no timer, no consumer, and the connection to whoever brought it", () =>
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
          await until(() => positions.length === 10, "it waits for more");
          channel.close();
          channel.close();
          assert.is(channel.closed, true);
          await within(waiting, "the end of a reader");
          while (!(await within(reading.next(), "the end of the other")).done);
          await rejects(channel.publish("tick", { n: 1 }), "ChannelClosed");
          assert.equal(
            (await channel.read(0, 100)).entries.length,
            0,
            "what would have to be asked for is not",
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
    }, { pingInterval: 600_000 }); // Its own timer is set before any is counted.
  }));

test("large events that this server no longer holds are read in pieces that fit through a narrow way", () =>
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

test("a connection that is closed under a channel is a problem that it tells, and no crash", () =>
  onNats(async (_, join) => {
    const { channel, connection, endpoint } = await join();
    await channel.publish("tick", { n: 1 });
    const rejections = await rejectionsDuring(async () => {
      await connection.close();
      await until(() => channel.problem !== undefined, "it has a problem");
      await rejects(channel.publish("tick", { n: 2 }), "ChannelUnavailable");
      const response = await endpoint.request("/?since=earliest&follow=false");
      assert.match(await response.text(), /"n":1/, "what is held here is told");
    });
    assert.equal(rejections, []);
  }));

test("a session, and the whole server on it", () =>
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
