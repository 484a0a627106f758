/**
 * Messages in the stream and the events that are read from them.
 *
 * @module
 */
import { jetstream } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import * as fc from "fast-check";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { defineEvents } from "../../src/mod.ts";
import { natsChannel } from "../../src/nats/mod.ts";
import { type Dictionary, until, within } from "../support/harness.ts";
import { sequenceOf, withLossesJoined } from "./assertions.ts";
import { onNats, type Party, tick, tickAll } from "./channels.ts";
import { managerOf, withConnection } from "./server.ts";

const test = suite("nats messages");

test("publish() stores each type under a subject of its own, from which read() restores its name", () =>
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

test("read() skips messages whose subject is no type name", () =>
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

test("Entry.bytes is the size of the JSON, whatever form the message had", () =>
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

test("Entry.time is the time in the JSON, and the same from the window, from a page and at another server", () =>
  onNats(async (_, join) => {
    const [one, small] = [await join(), await join({ history: { events: 1 } })];
    const live = one.channel.batches();
    const next = live.next();
    await tickAll(one, 1, 3);
    await one.post({ type: "note", event: { text: "é漢" } });
    await until(() => small.channel.last === 4, "the other server receives all events");
    const received = [...(await within(next, "a batch")).value.entries];
    while (received.length < 4) received.push(...(await within(live.next(), "a batch")).value.entries);
    await live.return!();
    for (const { json, time } of received) {
      assert.is(new Date(time).toISOString(), JSON.parse(json).time);
      assert.ok(Math.abs(time - Date.now()) < 10_000, json);
    }
    const isInWindow = (channel: Party["channel"]) => !(channel.read(0, 1e6) instanceof Promise);
    const late = await join();
    assert.equal([one, small, late].map(({ channel }) => isInWindow(channel)), [true, false, false]);
    for (const { channel } of [one, small, late]) {
      assert.equal((await channel.read(0, 1e6)).entries, received);
    }
  }));

test("natsChannel() continues when onProblem throws", () =>
  onNats(async (server, join) => {
    let reported = 0;
    const party = await join({
      onProblem: () => {
        reported++;
        throw new Error("the listener failed");
      },
    });
    await until(() => party.channel.problem === undefined, "the channel is healthy");
    const reader = party.channel.batches();
    const next = reader.next();
    await withConnection(server, async (connection) => {
      await jetstream(connection).publish("events.tick", "garbage");
      const { value } = await within(next, "a batch");
      assert.equal(value, { lost: { reason: "slow_consumer", count: 1 }, entries: [] });
      await jetstream(connection).publish("events.tick", "rubbish");
    });
    await party.channel.publish("tick", { n: 1 });
    await until(() => party.channel.last === 3, "all events are received");
    assert.is(reported, 1);
    await reader.return!();
  }));

test("natsChannel() keeps its consumer, and prints the error, when onProblem throws", () =>
  onNats(async (server, join) => {
    const { error } = console;
    const printed: unknown[] = [];
    const failure = new Error("the listener failed");
    const { channel, connection } = await join({
      onProblem: () => {
        throw failure;
      },
    });
    await until(() => channel.problem === undefined, "the channel is healthy");
    const request = connection.request.bind(connection);
    let consumers = 0;
    connection.request = (...args) => {
      if (args[0].includes(".CONSUMER.CREATE.")) consumers++;
      return request(...args);
    };
    console.error = (...args) => void printed.push(...args);
    try {
      await withConnection(server, (other) => jetstream(other).publish("events.tick", "garbage"));
      await channel.publish("tick", { n: 1 });
      await until(() => channel.last === 2, "all events are received");
    } finally {
      console.error = error;
    }
    assert.equal([consumers, channel.problem], [0, undefined]);
    assert.equal(printed, [failure]);
  }));

test("publish() stores the subject in a header, from which every process reads it, in its window and in pages", () =>
  onNats(async (server, join) => {
    const party = await join();
    const subjects = ["order/42", undefined, 'a"\\ü/😀', "x".repeat(256), "order/42"];
    const live = await party.open("subject=order/*");
    await live.event();
    await party.channel.publishBatch(
      subjects.map((subject, n) => ({ type: "tick", subject, event: { n } })),
      "key",
    );
    const late = await join({ history: { events: 1 } });
    for (const { read } of [party, late]) {
      assert.equal((await read("earliest")).map(({ subject }) => subject), subjects);
    }
    assert.equal((await live.events(2)).map(({ event }) => event.n), [0, 4]);
    await live.close();
    await withConnection(server, async (connection) => {
      const stored = await (await managerOf(connection)).streams.getMessage("EVENTS", { seq: 1 });
      assert.is(stored!.header.get("Events-Subject"), "order/42");
      assert.is(stored!.string(), '{"type":"tick","event":{"n":0}}');
      const plain = await (await managerOf(connection)).streams.getMessage("EVENTS", { seq: 2 });
      assert.not.ok(plain!.header?.has("Events-Subject"));
    });
  }));

test("read() delivers messages of other programs with the subject in their header, and counts those with an invalid one as lost", () =>
  onNats(async (server, join) => {
    const { channel, read } = await join();
    await withConnection(server, async (connection) => {
      for (const subject of ["order/42", " order/43 ", "a b", "", "x".repeat(257), undefined]) {
        const header = headers();
        if (subject !== undefined) header.append("Events-Subject", subject);
        await jetstream(connection).publish("events.silence", '{"type":"silence"}', { headers: header });
      }
    });
    await until(() => channel.last === 6, "all events are received");
    const events = withLossesJoined(await read("earliest"));
    assert.equal(
      events.map(({ type, subject, event }) => type === "events_lost" ? event.count : subject),
      ["order/42", "order/43", 3, undefined],
    );
  }));

test("publish() accepts the largest event that fits with its subject", () =>
  onNats(async (_, join) => {
    const { channel, connection } = await join({ history: { bytes: 2 ** 24 } });
    const subject = "ü".repeat(256);
    const most = connection.info!.max_payload;
    const publish = (length: number) =>
      channel.publish("note", { text: "x".repeat(length) }, { subject }).then(() => length, () => 0);
    let [fits, tooLong] = [0, most];
    while (tooLong - fits > 1) {
      const middle = (fits + tooLong) >>> 1;
      // The channel itself rejects what is too long: nothing of it is sent, and the stream goes on.
      if (await publish(middle) > 0) fits = middle;
      else tooLong = middle;
    }
    assert.ok(most - fits < 1500, `${most - fits} bytes are left`);
    assert.is(channel.problem, undefined);
  }));

test("read() delivers valid messages of other programs, and counts the others as lost", () =>
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
    await until(() => party.channel.last === 14, "all events are received");
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
    const [, ...replayed] = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
    const received: Dictionary[] = [];
    while (received.at(-1)?.event?.n !== 14) received.push(await live.event());
    const events = (all: readonly Dictionary[]) => all.filter(({ type }) => type !== "events_lost");
    assert.equal(events(received), events(replayed), "open streams receive the same");
    const count = (events: readonly Dictionary[]) =>
      events.reduce((sum, { type, event }) => sum + (type === "events_lost" ? event.count : 1), 0);
    assert.equal([count(received), count(replayed)], [14, 14]);
    assert.is(problems.length, 1, "the problem is reported once");
    assert.match(problems[0]!, /message 2 of the stream EVENTS/);
    await live.close();
  }));

test.run();
