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

const test = suite("hub");

/** A sink that keeps what it is given. */
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

  /** The numbers of the ticks it was given. */
  numbers(): number[] {
    return this.lines.flatMap((line) => /"n":(\d+)/.exec(line)?.[1] ?? []).map(Number);
  }
}

interface Opened {
  readonly sink: TestSink;
  readonly subscriber: Subscriber;
  readonly ends: End[];
}

function open(hub: Hub, log: EventLog, options: { since?: string; until?: number } = {}): Opened {
  const sink = new TestSink();
  const ends: End[] = [];
  const start = log.locate(options.since ?? "latest");
  if (start instanceof Promise) throw new Error("the start is known at once");
  const subscriber = hub.subscribe({
    start,
    until: options.until ?? Infinity,
    bookmarks: false,
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

test("subscribe() serves the newcomer when a new epoch ends all other streams", async () => {
  const left = await timersLeftBy(async () => {
    const there = elsewhere();
    tick(there, 1, 5);
    const hub = hubOf(there.channel, 0.05);
    const old = open(hub, there.channel, { until: 10 }); // It waits for what is to come up to there.
    there.replaceStore(); // Nothing is in the new epoch: where the old one ends has been reached.
    const { sink, subscriber } = open(hub, there.channel);
    assert.equal(old.ends.map(({ reason }) => reason), ["completed"]);
    tick(there, 21, 22);
    await until(() => sink.numbers().length === 2, "the newcomer has the events");
    assert.equal(sink.numbers(), [21, 22]);
    await until(() => sink.lines.includes(""), "it has a heartbeat");
    hub.leave(subscriber);
  });
  assert.is(left, 0);
});

test("the hub serves all others when the end of a response throws", async () => {
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

test("abort() cuts off all subscribers when the abort of a response throws", () => {
  const there = elsewhere();
  const hub = hubOf(there.channel);
  const opened = [1, 2, 3].map(() => open(hub, there.channel));
  opened[0]!.sink.error = new TypeError("Invalid state: the stream is closed");
  hub.abort();
  assert.equal(opened.map(({ ends }) => ends[0]?.reason), ["closed", "closed", "closed"]);
  assert.is(there.channel.stats().readers, 0);
});

test("leave() and a failing log end every subscriber when their responses are closed already", async () => {
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
  await until(() => hub.stats().subscribers === 0, "all have left");
  assert.equal(opened.map(({ ends }) => ends.map(({ reason }) => reason)), [
    ["disconnected"],
    ["failed"],
    ["failed"],
  ]);
  assert.is(errors.length, 1);
});

test("a log that throws for one reader cuts off that reader alone", async () => {
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
  tick(there, 4, 5); // The chunk goes to both; one of them has to read what comes before it.
  await until(() => other.sink.numbers().length === 2, "the other one has the events");
  await until(() => replaying.ends.length === 1, "its stream has ended");
  assert.equal(replaying.ends.map(({ reason }) => reason), ["failed"]);
  tick(there, 6, 6);
  await until(() => other.sink.numbers().length === 3, "the other one goes on");
  assert.is(errors.length, 1);
  hub.leave(other.subscriber);
});

test("the heartbeat timer walks at most eight times a heartbeat, and no silence is longer than a heartbeat", async () => {
  await inVirtualTime(async ({ elapse, now }) => {
    const there = elsewhere();
    const hub = hubOf(there.channel, 5);
    const opened: Opened[] = [];
    const lastSeen: number[] = [];
    let longest = 0;
    let shortest = Infinity;
    const look = () => {
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
      look();
    }
    const { sink } = opened[0]!;
    const before = sink.polls;
    for (let ms = 0; ms < 50_000; ms += 5) {
      await elapse(5);
      look();
    }
    assert.ok(sink.polls - before <= 10 * 8 + 1, `${sink.polls - before} walks in ten heartbeats`);
    // Time goes by in steps of 5 ms here, and 40 at first.
    assert.ok(shortest >= 4370 && longest <= 5040, `${shortest} to ${longest} ms of silence`);
    for (const { subscriber } of opened) hub.leave(subscriber);
  });
});

test("a lone silent stream has its heartbeat when it is due", async () => {
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

test.run();
