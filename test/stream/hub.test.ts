/**
 * The hub alone, with sinks that a test controls.
 *
 * @module
 */
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import type { EventLog } from "../../src/mod.ts";
import { createHub, type Hub } from "../../src/stream/hub.ts";
import type { Sink } from "../../src/stream/sink.ts";
import type { End } from "../../src/stream/stats.ts";
import type { Subscriber } from "../../src/stream/subscriber.ts";
import { ndjson } from "../../src/stream/wire_format.ts";
import { elsewhere, tick } from "../support/elsewhere.ts";
import { timersLeftBy, until } from "../support/harness.ts";
import { inVirtualTime } from "../support/virtual_time.ts";

const test = suite("stream: hub");

/** A sink that keeps the lines that are written to it. */
class TestSink implements Sink {
  readonly body = undefined;
  readonly pending = 0;
  readonly lines: string[] = [];
  isReady = true;
  polls = 0;
  /** Thrown by `end` and `abort`, as a response that is closed does. */
  error: Error | undefined;

  pollReady(): boolean {
    this.polls++;
    return this.isReady;
  }

  write(bytes: Uint8Array): void {
    this.lines.push(...new TextDecoder().decode(bytes).split("\n").slice(0, -1));
  }

  end(): void {
    if (this.error !== undefined) throw this.error;
  }

  abort(): void {
    this.end();
  }

  listenTo(): void {}

  release(): void {}

  /** The numbers of the ticks that were written to it. */
  numbers(): number[] {
    return this.lines.flatMap((line) => /"n":(\d+)/.exec(line)?.[1] ?? []).map(Number);
  }
}

interface Opened {
  readonly sink: TestSink;
  readonly subscriber: Subscriber;
  readonly ends: End[];
}

function open(
  hub: Hub,
  log: EventLog,
  options: { since?: string; until?: number; heartbeatMs?: number } = {},
): Opened {
  const sink = new TestSink();
  const ends: End[] = [];
  const start = log.locate(options.since ?? "latest");
  if (start instanceof Promise) throw new Error("the start must be known at once");
  const subscriber = hub.subscribe({
    start,
    until: options.until ?? Infinity,
    bookmarks: false,
    heartbeatMs: options.heartbeatMs,
    firstBytes: new Uint8Array(),
    createSink: () => sink,
    onLeave: (end) => void ends.push(end),
  });
  return { sink, subscriber, ends };
}

function hubOf(
  log: EventLog,
  heartbeat: number | null = null,
  onError: (error: unknown) => void = fail,
): Hub {
  return createHub(log, ndjson, { heartbeat, stallTimeout: null, maxDelay: 0, onError });
}

function fail(error: unknown): void {
  throw error;
}

test("subscribe() serves a new subscriber when a new epoch ends all other streams", async () => {
  const left = await timersLeftBy(async () => {
    const there = elsewhere();
    tick(there, 1, 5);
    const hub = hubOf(there.channel, 0.05);
    const old = open(hub, there.channel, { until: 10 }); // It waits for the events up to there.
    there.replaceStore(); // The new epoch is empty.
    const { sink, subscriber } = open(hub, there.channel);
    assert.equal(old.ends.map(({ reason }) => reason), ["completed"]);
    tick(there, 21, 22);
    await until(() => sink.numbers().length === 2, "the new subscriber has the events");
    assert.equal(sink.numbers(), [21, 22]);
    await until(() => sink.lines.includes(""), "it has a heartbeat");
    hub.leave(subscriber);
  });
  assert.is(left, 0);
});

test("subscribe() reads what follows a subscriber that a chunk from the cache moved while it waited for a page", async () => {
  const there = elsewhere();
  there.held = Infinity; // All reads are requests.
  const { channel } = there;
  const { read } = channel;
  channel.read = (position, maxBytes) => {
    if (position === channel.last) return { entries: [] };
    const isGap = position === 0 || position === 4;
    return isGap ? { lost: { reason: "slow_consumer", count: 1 }, entries: [] } : read(position, maxBytes);
  };
  const hub = hubOf(channel);
  const { sink, subscriber, ends } = open(hub, channel, { until: 5 });
  tick(there, 1, 4); // The subscriber and the pipeline pass the gap, and request the rest, in this order.
  await until(() => there.questions.length === 2, "both have asked");
  there.questions.pop()!.answer();
  await until(() => sink.numbers().length === 3, "the subscriber has the chunk of the pipeline");
  there.questions.pop()!.answer();
  await until(() => subscriber.replay === undefined, "the subscriber keeps nothing of the page");
  tick(there, 5, 5);
  await until(() => ends.length === 1, "its stream has ended");
  assert.equal(sink.numbers(), [2, 3, 4]);
  assert.ok(sink.lines.some((line) => line.includes("events_lost") && line.includes(`${channel.epoch}-5`)));
});

test("subscribe() keeps nothing of a page whose events were dropped while the subscriber waited for it", async () => {
  const there = elsewhere();
  tick(there, 1, 4);
  there.held = 4;
  const hub = hubOf(there.channel);
  const { sink, subscriber } = open(hub, there.channel, { since: "earliest" });
  hub.pull(subscriber);
  assert.is(there.questions.length, 1);
  there.first = 5;
  tick(there, 5, 5);
  await until(() => sink.numbers().length === 1, "the subscriber has the next event");
  assert.is(subscriber.replay, undefined);
  there.questions.pop()!.answer();
  await new Promise((resolve) => setTimeout(resolve));
  assert.is(subscriber.replay, undefined);
  assert.equal(sink.numbers(), [5]);
  hub.leave(subscriber);
});

test("createHub() serves other subscribers when end() of a sink throws", async () => {
  const there = elsewhere();
  const hub = hubOf(there.channel);
  const broken = open(hub, there.channel, { until: 1 });
  broken.sink.error = new TypeError("Invalid state: the stream is closed");
  const other = open(hub, there.channel);
  tick(there, 1, 2);
  await until(() => other.sink.numbers().length === 2, "the other one has the events");
  assert.equal(broken.ends.map(({ reason }) => reason), ["completed"]);
  there.channel.close();
  await until(() => other.ends.length === 1, "the other one has ended");
  assert.is(other.ends[0]!.reason, "closed");
});

test("abort() cuts off all subscribers when abort() of a sink throws", () => {
  const there = elsewhere();
  const hub = hubOf(there.channel);
  const opened = [1, 2, 3].map(() => open(hub, there.channel));
  opened[0]!.sink.error = new TypeError("Invalid state: the stream is closed");
  hub.abort();
  assert.equal(opened.map(({ ends }) => ends[0]?.reason), ["closed", "closed", "closed"]);
  assert.is(there.channel.stats().readers, 0);
});

test("leave() and a failing log end subscribers whose responses are closed", async () => {
  const there = elsewhere();
  const errors: unknown[] = [];
  const hub = hubOf(there.channel, null, (error) => void errors.push(error));
  const opened = [1, 2, 3].map(() => open(hub, there.channel));
  for (const { sink } of opened) sink.error = new TypeError("closed");
  hub.leave(opened[0]!.subscriber);
  hub.leave(opened[0]!.subscriber);
  there.store.read = () => {
    throw new Error("the disk failed");
  };
  there.wake();
  await until(() => hub.stats().subscribers === 0, "all subscribers have ended");
  assert.equal(opened.map(({ ends }) => ends.map(({ reason }) => reason)), [
    ["disconnected"],
    ["failed"],
    ["failed"],
  ]);
  assert.is(errors.length, 1);
});

test("erase() of a channel drops what a subscriber has requested, or received and not sent", async () => {
  const there = elsewhere();
  there.held = 3;
  for (const n of [1, 2, 3]) there.store.publish("tick", { n }, { subject: n === 2 ? "secret" : undefined });
  const hub = hubOf(there.channel);
  const requested = open(hub, there.channel, { since: "earliest" });
  hub.pull(requested.subscriber);
  there.questions.shift()!.answer(); // It has the event, and the subscriber does not know it yet.
  assert.is(there.store.erase({ subject: "secret" }), 1);
  await until(() => there.questions.length === 1, "it asks again");
  there.questions.shift()!.answer();
  await until(() => requested.sink.numbers().length === 2, "it has the events");
  assert.equal(requested.sink.numbers(), [1, 3]);
  hub.leave(requested.subscriber);

  there.store.publish("tick", { n: 4 }, { subject: "secret" });
  const slow = open(hub, there.channel, { since: "earliest", until: 4 });
  hub.pull(slow.subscriber);
  slow.sink.isReady = false;
  there.questions.shift()!.answer();
  await new Promise((resolve) => setTimeout(resolve)); // The subscriber has the event, and cannot send it.
  assert.is(there.store.erase({ subject: "secret" }), 1);
  slow.sink.isReady = true;
  hub.pull(slow.subscriber);
  there.questions.shift()!.answer();
  await until(() => slow.ends.length === 1, "it ends behind the erased event");
  assert.equal(slow.sink.numbers(), [1, 3]);
  assert.equal(slow.ends.map(({ reason }) => reason), ["completed"]);
});

test("createHub() listens for erasures only while there are subscribers", async () => {
  const there = elsewhere();
  let listening = 0;
  (there.channel as { onErase?: EventLog["onErase"] }).onErase = (listener) => {
    listening++;
    const stop = there.store.onErase!(listener);
    return () => {
      listening--;
      stop();
    };
  };
  const hub = hubOf(there.channel);
  assert.is(listening, 0);
  const opened = [1, 2].map(() => open(hub, there.channel));
  assert.is(listening, 1);
  there.beginAnew();
  await until(() => opened.every(({ sink }) => sink.lines.length === 1), "the new epoch has begun");
  for (const { subscriber } of opened) hub.leave(subscriber);
  assert.is(listening, 0);
});

test("createHub() cuts off the one subscriber whose read() throws", async () => {
  const there = elsewhere();
  const errors: unknown[] = [];
  const hub = hubOf(there.channel, null, (error) => void errors.push(error));
  tick(there, 1, 3);
  const other = open(hub, there.channel);
  const replaying = open(hub, there.channel, { since: "earliest" });
  const { read } = there.store;
  there.store.read = (position, maxBytes) => {
    if (position === 0) throw new Error("the oldest segment is damaged");
    return read(position, maxBytes);
  };
  tick(there, 4, 5); // Both get the chunk; one of them must read the events before it.
  await until(() => other.sink.numbers().length === 2, "the other one has the events");
  await until(() => replaying.ends.length === 1, "its stream has ended");
  assert.equal(replaying.ends.map(({ reason }) => reason), ["failed"]);
  tick(there, 6, 6);
  await until(() => other.sink.numbers().length === 3, "the other one continues");
  assert.is(errors.length, 1);
  hub.leave(other.subscriber);
});

test("heartbeat is sent before its time is over, by at most eight sweeps in each", async () => {
  await inVirtualTime(async ({ elapse, now }) => {
    const there = elsewhere();
    const hub = hubOf(there.channel, 5);
    const opened: Opened[] = [];
    const lastSeen: number[] = [];
    let longest = 0;
    let shortest = Infinity;
    const takeBeats = () => {
      opened.forEach(({ sink }, index) => {
        if (sink.lines.splice(0).includes("")) {
          longest = Math.max(longest, now() - lastSeen[index]!);
          shortest = Math.min(shortest, now() - lastSeen[index]!);
          lastSeen[index] = now();
        }
      });
    };
    for (let i = 0; i < 200; i++) {
      lastSeen[opened.push(open(hub, there.channel)) - 1] = now();
      await elapse(40);
      takeBeats();
    }
    const { sink } = opened[0]!;
    const before = sink.polls;
    for (let ms = 0; ms < 50_000; ms += 5) {
      await elapse(5);
      takeBeats();
    }
    assert.ok(sink.polls - before <= 10 * 8 + 1, `${sink.polls - before} sweeps in ten heartbeats`);
    // Time passes in steps of 5 ms here, and of 40 ms at first.
    assert.ok(shortest >= 4370 && longest <= 5040, `${shortest} to ${longest} ms of silence`);
    for (const { subscriber } of opened) hub.leave(subscriber);
  });
});

test("heartbeat is sent on time to a single subscriber", async () => {
  await inVirtualTime(async ({ elapse }) => {
    const there = elsewhere();
    const hub = hubOf(there.channel, 5);
    const { sink, subscriber } = open(hub, there.channel);
    for (let beats = 1; beats <= 3; beats++) {
      await elapse(4990);
      assert.is(sink.lines.length, beats - 1);
      await elapse(15);
      assert.is(sink.lines.length, beats);
    }
    hub.leave(subscriber);
  });
});

test("heartbeatMs of a subscription is kept beside streams with a longer heartbeat", async () => {
  await inVirtualTime(async ({ elapse }) => {
    const there = elsewhere();
    const hub = hubOf(there.channel, 30);
    const slow = open(hub, there.channel);
    await elapse(1000);
    const fast = open(hub, there.channel, { heartbeatMs: 5000 });
    for (let beats = 1; beats <= 5; beats++) {
      await elapse(5005);
      assert.is(fast.sink.lines.length, beats);
    }
    assert.is(slow.sink.lines.length, 0);
    await elapse(4000);
    assert.is(slow.sink.lines.length, 1);
    for (const { subscriber } of [slow, fast]) hub.leave(subscriber);
  });
});

test.run();
