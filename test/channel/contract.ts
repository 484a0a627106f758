/**
 * What every channel promises, whatever keeps its events: one suite, run by a short file for each kind.
 *
 * @module
 */
import * as assert from "uvu/assert";
import * as v from "valibot";
import {
  type Batch,
  type Catalogue,
  type Channel,
  defineEvents,
  eventsEndpoint,
  EventsError,
  type EventsErrorCode,
} from "../../src/mod.ts";
import { locateLast, locateTime } from "../../src/channel/locate_start.ts";
import { replaceable } from "../../src/server/replaceable.ts";
import { linesOf, until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

/** The events of the suite. */
export const contractEvents: Catalogue<{
  readonly tick: v.ObjectSchema<{ readonly n: v.NumberSchema<undefined> }, undefined>;
  readonly closed: null;
}> = defineEvents({ tick: v.object({ n: v.number() }), closed: null });

/** A channel of the suite's events. */
export type ContractChannel = Channel<typeof contractEvents.schemas>;

/**
 * Makes an empty channel that holds this number of events, runs `use`, and removes the channel. Its catalogue is
 * {@linkcode contractEvents}, or the one that is given.
 */
export type WithChannel = (
  events: number,
  use: (channel: ContractChannel) => Promise<void>,
  catalogue?: typeof contractEvents,
) => Promise<void>;

function ticks(count: number): { type: "tick"; event: { n: number } }[] {
  return Array.from({ length: count }, (_, index) => ({ type: "tick", event: { n: index + 1 } }));
}

/** The code with which a call or its promise fails. */
async function codeOf(call: () => unknown): Promise<EventsErrorCode | undefined> {
  try {
    await call();
  } catch (error) {
    if (error instanceof EventsError) return error.code;
    throw error;
  }
  return undefined;
}

/** Reads batches until they hold this number of events. */
async function take(batches: AsyncIterator<Batch>, count: number): Promise<Batch[]> {
  const taken: Batch[] = [];
  while (taken.reduce((sum, { entries }) => sum + entries.length, 0) < count) {
    const { done, value } = await within(batches.next(), "a batch");
    if (done) throw new Error("the channel has ended");
    taken.push(value);
  }
  return taken;
}

function positionsOf(batches: readonly Batch[]): number[] {
  return batches.flatMap(({ entries }) => entries.map(({ position }) => position));
}

/**
 * Runs the suite for one kind of channel.
 *
 * @param canErase whether it can erase events
 */
export function testChannel(kind: string, withChannel: WithChannel, canErase: boolean = true): void {
  const test = suite(`${kind} channel`);
  testPublishing(test, withChannel);
  testReading(test, withChannel);
  testErasing(test, withChannel, canErase);
  testEnding(test, withChannel);
  test.run();
}

type TestSuite = ReturnType<typeof suite>;

function testPublishing(test: TestSuite, withChannel: WithChannel): void {
  test("publish() returns cursors without gaps, in the order of the calls", () =>
    withChannel(100, async (channel) => {
      const first = channel.last;
      const ids = await Promise.all([channel.publish("tick", { n: 1 }), channel.publish("closed")]);
      const more = await channel.publishBatch(ticks(3));
      const expected = Array.from({ length: 5 }, (_, index) => `${channel.epoch}-${first + index + 1}`);
      assert.equal([...ids, ...more], expected);
      assert.is(channel.last, first + 5);
    }));

  test("read() returns entries with the dictionary as one line, its position, type, size and time", () =>
    withChannel(100, async (channel) => {
      const before = Date.now();
      const id = await channel.publish("tick", { n: 1 });
      const [entry] = (await channel.read(channel.last - 1, 1e6)).entries;
      assert.equal([entry!.id, entry!.type, entry!.position], [id, "tick", channel.last]);
      const event = channel.parse(entry!);
      assert.equal(Object.keys(event), ["type", "event", "id", "time"]);
      assert.is(new TextEncoder().encode(entry!.json).length, entry!.bytes);
      assert.is(Date.parse(event.time), entry!.time);
      assert.ok(
        entry!.time >= before - 1000 && entry!.time <= Date.now() + 1000,
        "the clock of this machine",
      );
    }));

  test("read() returns the subject that an event was published with, and the dictionary has it behind its type", () =>
    withChannel(100, async (channel) => {
      const subjects = ["order/42", undefined, 'a"\\ü/😀*', "x".repeat(256)];
      await channel.publish("tick", { n: 1 }, { subject: subjects[0] });
      await channel.publishBatch(ticks(1));
      await channel.publishBatch(subjects.slice(2).map((subject) => ({ type: "closed", subject })));
      for (const [index, subject] of subjects.entries()) {
        const { entries: [entry] } = await channel.read(channel.last - subjects.length + index, 1);
        const event = channel.parse(entry!);
        assert.equal([entry!.subject, event.subject], [subject, subject]);
        const keys = ["type", subject && "subject", event.event && "event", "id", "time"].filter(Boolean);
        assert.equal(Object.keys(event), keys);
        assert.is(new TextEncoder().encode(entry!.json).length, entry!.bytes);
      }
    }));

  test("publishBatch() publishes nothing when one event does not fit, and reports every issue", () =>
    withChannel(100, async (channel) => {
      const { last } = channel;
      const wrong = [...ticks(1), { type: "tick", event: { n: "one" } }, { type: "unknown" }];
      const error = await (async () => await channel.publishBatch(wrong as never))().then(
        () => undefined,
        (error: EventsError) => error,
      );
      assert.is(error?.code, "InvalidEvent");
      assert.equal(error!.issues.map(({ index, path }) => [index, path]), [[1, "event.n"], [2, "type"]]);
      await channel.publish("closed");
      assert.is(channel.last, last + 1);
    }));

  test("publish() follows a catalogue that is replaced, and one that takes every type", async () => {
    const { catalogue, replace } = replaceable(contractEvents as unknown as Catalogue);
    const use = async (given: ContractChannel) => {
      const channel = given as unknown as Channel;
      await channel.publish("tick", { n: 1 });
      replace(defineEvents({ added: v.object({ n: v.string() }), closed: null }));
      assert.is(await codeOf(() => channel.publish("tick", { n: 2 })), "InvalidEvent");
      await channel.publish("added", { n: "3" });
      replace({ ...defineEvents({}), isOpen: true });
      await channel.publishBatch([{ type: "any/name", event: [4] }, { type: "closed", event: undefined }]);
      assert.is(await codeOf(() => channel.publish("two words", 1)), "InvalidEvent");
      const { entries } = await channel.read(channel.last - 4, 1e6);
      const types = ["tick", "added", "any/name", "closed"];
      assert.equal(entries.map(({ type }) => type), types);
      assert.equal(entries.map((entry) => channel.parse(entry)["type"]), types);
      assert.equal(channel.stats().published, { tick: 1, closed: 1, added: 1, "any/name": 1 });
    };
    await withChannel(100, use, catalogue as unknown as typeof contractEvents);
  });

  test("stats() counts what was published by type, and what is held", () =>
    withChannel(100, async (channel) => {
      await channel.publishBatch(ticks(3));
      const { published, events, bytes, readers } = channel.stats();
      assert.equal(published, { tick: 3, closed: 0 });
      assert.is(events, 3);
      assert.ok(bytes > 3 * 50, `${bytes} bytes`);
      assert.is(readers, 0);
    }));
}

/** Requests ranges of a channel, which end by themselves, with and without a filter. */
async function checkRanges(channel: ContractChannel, times: readonly number[]): Promise<void> {
  const { first } = channel;
  const isOdd = ({ id }: { readonly id: string }) => Number(id.split("-")[1]) % 2 === 1;
  const all = times.map((time, index) => ({
    position: first + index,
    id: `${channel.epoch}-${first + index}`,
    time,
  }));
  const odd = all.filter(isOdd);
  const at = (index: number) => new Date(times[index]!).toISOString();
  for (const [kept, options] of [[all, {}], [odd, { filter: isOdd }]] as const) {
    const endpoint = eventsEndpoint(channel, options);
    const from = kept.filter(({ time }) => time >= times[450]!);
    const expected: Record<string, typeof all> = {
      [`since=${at(450)}&types=tick&follow=false`]: from,
      [`since=${at(450)}&until=${at(990)}`]: from.filter(({ time }) => time <= times[990]!),
      [`since=${at(450)}&limit=3`]: from.slice(0, 3),
      "since=-1h&limit=3": kept.slice(0, 3),
      "last=700&follow=false": kept.slice(-700),
      "last=5&limit=2": kept.slice(-5, -3),
      [`since=earliest&until=${all[7]!.id}`]: kept.filter(({ position }) => position <= first + 7),
    };
    for (const [query, events] of Object.entries(expected)) {
      const response = await endpoint.request(`/?${query}`);
      const received = await within(linesOf(response.body!).rest(), `the end of ?${query}`);
      const ids = received.filter(({ type }) => type === "tick").map(({ id }) => id);
      assert.equal(ids, events.map(({ id }) => id), `?${query}`);
    }
  }
}

function testReading(test: TestSuite, withChannel: WithChannel): void {
  test("batches() starts at the oldest, at the newest or after a cursor, and continues live", () =>
    withChannel(100, async (channel) => {
      const ids = await channel.publishBatch(ticks(4));
      const first = channel.last - 3;
      const readers = [
        [channel.batches("earliest"), first],
        [channel.batches(ids[1]), first + 2],
        [channel.batches("latest"), first + 4],
        [channel.batches(), first + 4],
      ] as const;
      const waiting = readers.map(([batches, from]) => take(batches, first + 6 - from));
      await until(() => channel.stats().readers > 0, "they wait");
      await channel.publishBatch(ticks(2));
      for (const [index, [batches, from]] of readers.entries()) {
        const positions = positionsOf(await waiting[index]!);
        assert.equal(positions, Array.from({ length: first + 6 - from }, (_, i) => from + i));
        await batches.return?.();
      }
      assert.is(channel.stats().readers, 0);
    }));

  test("read() returns at least one event, and no more bytes than asked for", () =>
    withChannel(100, async (channel) => {
      await channel.publishBatch(ticks(5));
      const first = channel.last - 4;
      const { entries: [one, ...none] } = await channel.read(first - 1, 1);
      assert.equal([one!.position, none.length], [first, 0]);
      const two = await channel.read(first - 1, 2 * one!.bytes);
      assert.equal(two.entries.map(({ position }) => position), [first, first + 1]);
      assert.equal(await channel.read(channel.last, 1e6), { entries: [] });
    }));

  test("locate() rejects a malformed cursor and one ahead of the channel", () =>
    withChannel(100, async (channel) => {
      await channel.publish("closed");
      for (const since of ["", "nonsense", `${channel.epoch}-`, `${channel.epoch}-${channel.last + 5}`]) {
        assert.is(await codeOf(() => channel.locate(since)), "InvalidCursor", since);
      }
    }));

  test("batches() starts at the oldest event after a cursor of another epoch, with a loss of unknown size", () =>
    withChannel(100, async (channel) => {
      await channel.publishBatch(ticks(2));
      assert.is((await channel.locate("0ther-1")).unknownEpoch, true);
      const batches = channel.batches("0ther-1");
      const [batch] = await take(batches, 2);
      assert.equal(batch!.lost, { reason: "unknown_epoch", count: null });
      await batches.return?.();
    }));

  test("locateTime(), locateLast() and GET ?since=, last=, until=, limit= find places in what memory holds, and in what is kept elsewhere", () =>
    withChannel(1000, async (channel) => {
      for (let round = 0; round < 12; round++) {
        const before = Date.now();
        await until(() => Date.now() > before + 1, "a later time");
        await channel.publishBatch(ticks(100));
      }
      const times: number[] = [];
      for (let position = channel.first - 1; position < channel.last;) {
        const { lost, entries } = await channel.read(position, 1e6);
        position = entries.at(-1)?.position ?? position + lost!.count!;
        for (const { time } of entries) times.push(time);
      }
      assert.ok(times.length >= 1000 && new Set(times).size >= 10);
      for (const time of [times[0]!, times[1]!, times[450]!, times[990]!, times.at(-1)!, times.at(-1)! + 1]) {
        const { position } = await locateTime(channel, time);
        const index = times.findIndex((one) => one >= time);
        assert.is(position, index === -1 ? channel.last : channel.first - 1 + index);
      }
      assert.is((await locateLast(channel, 10)).position, channel.last - 10);
      const isOdd = ({ position }: { readonly position: number }) => position % 2 === 1;
      const { position } = await locateLast(channel, 200, isOdd);
      assert.is(position, channel.last - (channel.last % 2 === 1 ? 399 : 400));
      await checkRanges(channel, times);
    }));

  test("batches() delivers every event once and in order to each reader, however they are published", () =>
    withChannel(10_000, async (channel) => {
      const from = channel.last;
      const readers = Array.from({ length: 3 }, () => channel.batches("latest"));
      const reading = readers.map((batches) => take(batches, 900));
      await until(() => channel.stats().readers === 3, "they wait");
      for (let round = 0; round < 10; round++) {
        const singles = Array.from({ length: 40 }, (_, n) => channel.publish("tick", { n }));
        await Promise.all([...singles, channel.publishBatch(ticks(50))]);
      }
      for (const taken of await Promise.all(reading)) {
        assert.equal(positionsOf(taken), Array.from({ length: 900 }, (_, index) => from + index + 1));
        assert.ok(taken.every(({ lost }) => lost === undefined));
      }
      for (const batches of readers) await batches.return?.();
    }));
}

function testErasing(test: TestSuite, withChannel: WithChannel, canErase: boolean): void {
  test("erase() rejects an argument without a subject", () =>
    withChannel(100, async (channel) => {
      for (const wrong of [undefined, {}, { subject: "a b" }, { subject: "a", type: "tick" }, "a"]) {
        const error = await (async () => await channel.erase(wrong as never))().catch((error) => error);
        assert.instance(error, TypeError, String(error));
      }
    }));

  if (!canErase) {
    test("erase() rejects with EraseNotSupported", () =>
      withChannel(100, async (channel) => {
        await channel.publish("closed", undefined, { subject: "a" });
        assert.is(await codeOf(() => channel.erase({ subject: "a" })), "EraseNotSupported");
        assert.is((await channel.read(channel.last - 1, 1)).entries.length, 1);
      }));
    return;
  }

  test("erase() erases the events of exactly one subject, whose positions readers pass without a loss", () =>
    withChannel(100, async (channel) => {
      const subjects = ["a", "b", "a", undefined, "a/1", "A", "a*", "a"];
      const first = channel.last + 1;
      await channel.publishBatch(subjects.map((subject, n) => ({ type: "tick", subject, event: { n } })));
      assert.is(await channel.erase({ subject: "a*" }), 1);
      assert.is(await channel.erase({ subject: "a" }), 3);
      assert.is(await channel.erase({ subject: "a" }), 0);
      assert.is(await channel.erase({ subject: "nothing" }), 0);
      assert.equal([channel.first, channel.last, channel.stats().events], [first, first + 7, 4]);
      const left = [1, 3, 4, 5];
      for (let position = first - 1, read: unknown[] = []; position <= channel.last; position++, read = []) {
        for (let reached = position; reached < channel.last;) {
          const { lost, entries, last = entries.at(-1)!.position } = await channel.read(reached, 150);
          assert.is(lost, undefined);
          assert.ok(last > reached);
          reached = last;
          for (const entry of entries) {
            const event = channel.parse(entry);
            read.push(event.event!.n);
          }
        }
        assert.equal(read, left.filter((n) => first + n > position), `after ${position - first}`);
      }
      await channel.publish("tick", { n: 8 }, { subject: "a" });
      const batches = channel.batches("earliest");
      assert.equal(positionsOf(await take(batches, 5)), [...left, 8].map((n) => first + n));
      await batches.return?.();
    }));

  test("batches() passes the newest events when they are erased, and ends behind them", () =>
    withChannel(100, async (channel) => {
      const first = channel.last + 1;
      const batches = channel.batches("latest");
      const next = batches.next();
      const publishing = channel.publish("tick", { n: 1 }, { subject: "a" });
      if (publishing instanceof Promise) await publishing;
      assert.is(await channel.erase({ subject: "a" }), 1);
      await channel.publish("tick", { n: 2 });
      const { value } = await within(next, "a batch");
      // Whether the first one was read before is a matter of time.
      const positions = positionsOf([value!]);
      assert.is(value!.lost, undefined);
      if (positions[0] === first && positions.length === 1) await take(batches, 1);
      else assert.is(positions.at(-1), first + 1);
      await channel.publish("tick", { n: 3 }, { subject: "a" });
      await channel.erase({ subject: "a" });
      const late = channel.batches(`${channel.epoch}-${first + 1}`);
      const end = late.next();
      channel.close();
      assert.is((await within(end, "the end")).done, true);
      assert.is(await codeOf(() => channel.erase({ subject: "a" })), "ChannelClosed");
    }));
}

function testEnding(test: TestSuite, withChannel: WithChannel): void {
  test("return() ends a pending next(), and leaves no reader behind", () =>
    withChannel(100, async (channel) => {
      const batches = channel.batches("latest");
      const next = batches.next();
      await until(() => channel.stats().readers === 1, "it waits");
      await batches.return?.();
      assert.equal(await within(next, "the end"), { done: true, value: undefined });
      assert.is(channel.stats().readers, 0);
    }));

  test("close() ends iterators after the last event, and rejects further events", () =>
    withChannel(100, async (channel) => {
      await channel.publishBatch(ticks(2));
      const reader = channel.batches("earliest");
      const waiting = channel.batches("latest");
      const next = waiting.next();
      await until(() => channel.stats().readers === 1, "it waits");
      channel.close();
      channel.close(); // A second call has no effect.
      assert.is(channel.closed, true);
      assert.is((await within(next, "the end")).done, true);
      assert.is(positionsOf(await take(reader, 2)).length, 2);
      assert.is((await within(reader.next(), "the end")).done, true);
      assert.is(await codeOf(() => channel.publish("closed")), "ChannelClosed");
      assert.is(await codeOf(() => channel.publishBatch(ticks(1))), "ChannelClosed");
    }));
}
