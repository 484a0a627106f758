/** The channel in a file on a disk that is full, read-only or damaged, and a file that is removed. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, open, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import * as assert from "uvu/assert";
import { EventsError } from "../../src/mod.ts";
import { createEntryWriter } from "../../src/channel/entry_writer.ts";
import { encodeEvents } from "../../src/events/encode.ts";
import { EventsFile } from "../../src/sqlite/file.ts";
import { createApp } from "../../src/server/app.ts";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import { Writer } from "../../src/sqlite/writer.ts";
import { linesOf, until, within } from "../support/harness.ts";
import { sleep } from "../support/hostile_proxy.ts";
import { suite } from "../support/suite.ts";
import {
  catalogue,
  readAll,
  rejects,
  type TestChannel,
  type TestSchemas,
  type Tick,
  ticks,
  upTo,
  withChannel,
  withFile,
} from "./channels.ts";

const test = suite("sqlite faults");

const PAGE_BYTES = 4096;

/** Runs `use` with the path of a file in a file system of its own, which is that large. Needs root. */
function withMount(size: string, use: (file: string) => Promise<void>): Promise<void> {
  return withFile(async (file) => {
    const folder = join(dirname(file), "mount");
    await mkdir(folder);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
    try {
      await use(join(folder, "events.db"));
    } finally {
      execFileSync("umount", ["-l", folder]);
    }
  });
}

/** The server on a channel, as a client and an operator see it. */
function serverOn(channel: TestChannel) {
  const app = createApp<TestSchemas>({
    channel,
    version: "1",
    startPayload: () => ({}),
    onConnect: () => () => {},
  }, { heartbeat: null });
  return {
    /** Publishes events by `POST`, and returns the status and the code of the error. */
    post: async (...events: readonly Tick[]) => {
      const headers = { "Content-Type": "application/json" };
      const response = await app.request("/events", {
        method: "POST",
        headers,
        body: JSON.stringify(events),
      });
      return [response.status, (await response.json()).error?.code];
    },
    open: async (query: string) => linesOf((await app.request(`/events?${query}`)).body!),
    health: async () => (await (await app.request("/healthz")).json()).status,
  };
}

test("publish() rejects while the disk is full, streams go on, and it recovers when there is room", () =>
  withMount("6m", async (file) => {
    const ballast = join(dirname(file), "ballast");
    await writeFile(ballast, new Uint8Array(3 * 1024 * 1024));
    const problems: string[] = [];
    const onProblem = (problem: Error) => void problems.push(problem.message);
    const text = "x".repeat(20_000);
    const acknowledged = await withChannel(file, async (channel) => {
      const { post, open, health } = serverOn(channel);
      const publish = (n: number) => post(...ticks(n, n + 1, text));
      let n = 1;
      let answer = await publish(n);
      for (; answer[0] === 202 && n < 1000; answer = await publish(n)) n += 2;
      assert.equal(answer, [503, "ChannelUnavailable"]);
      assert.is(await health(), "degraded");
      assert.is(channel.last, n - 1, "what was rejected is not stored");
      assert.match(channel.problem ?? "", /full/);
      await rejects(
        channel.publish("tick", { n, text }),
        "ChannelUnavailable",
        /^nothing was published: .*full/,
      );
      assert.equal(await readAll(channel, "earliest"), upTo(n - 1));
      const stream = await open(`since=${channel.epoch}-${n - 3}`);
      assert.equal((await stream.events(3)).map(({ event }) => event?.n), [undefined, n - 2, n - 1]);
      await rm(ballast);
      await until(() => channel.problem === undefined, "it recovers by itself", 20_000);
      assert.is(await health(), "serving");
      assert.equal(await publish(n), [202, undefined]);
      assert.equal((await stream.events(2)).map(({ event }) => event.n), [n, n + 1]);
      await stream.close();
      return n + 1;
    }, { history: { events: 10 }, onProblem });
    assert.ok(
      problems.length >= 1 && problems.every((problem) => /events\.db: .*full/.test(problem)),
      problems.join(),
    );
    await withChannel(file, async (channel) => {
      assert.equal(await readAll(channel, "earliest"), upTo(acknowledged));
    });
  }));

test("publish() rejects when the file system has become read-only, streams go on, and a restart on a good one has every event", () =>
  withFile(async (path) => {
    const [image, folder] = [`${path}.img`, join(dirname(path), "mount")];
    const mount = () => execFileSync("mount", ["-o", "loop", image, folder]);
    const file = join(folder, "events.db");
    await writeFile(image, new Uint8Array(16 * 1024 * 1024));
    execFileSync("mkfs.ext4", ["-qF", image]);
    await mkdir(folder);
    mount();
    try {
      await withChannel(file, async (channel) => {
        const { post, open, health } = serverOn(channel);
        assert.equal(await post(...ticks(1, 3)), [202, undefined]);
        const stream = await open("since=earliest");
        assert.is((await stream.events(4)).at(-1)!.event.n, 3);
        // The system does this to a disk that fails. Without the failure it would refuse, because the file is open.
        execFileSync("mount", ["-o", "remount,abort", folder]);
        assert.equal(await post(...ticks(4, 4)), [503, "ChannelUnavailable"]);
        assert.is(await health(), "degraded");
        assert.match(channel.problem ?? "", /readonly|read-only|I\/O error/);
        const other = await open("since=earliest&follow=false");
        assert.equal((await other.rest()).slice(1).map(({ event }) => event.n), [1, 2, 3]);
        await stream.close();
      }, { durability: "power" });
      execFileSync("umount", [folder]);
      mount();
      await withChannel(file, async (channel) => {
        const { post, health } = serverOn(channel);
        assert.equal(await post(...ticks(4, 4)), [202, undefined]);
        assert.is(await health(), "serving");
        assert.equal(await readAll(channel, "earliest"), upTo(4));
      });
    } finally {
      execFileSync("umount", ["-l", folder]);
    }
  }));

test("sqliteChannel() rejects a file that it cannot write", () =>
  withMount("2m", async (file) => {
    await withChannel(file, (channel) => channel.publishBatch(ticks(1, 2)));
    execFileSync("mount", ["-o", "remount,ro", dirname(file)]);
    await rejects(
      sqliteChannel(file, catalogue),
      "ChannelUnavailable",
      /^cannot open .*: this process must be able to write/,
    );
    execFileSync("mount", ["-o", "remount,rw", dirname(file)]);
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), [1, 2]));
  }));

test("sqliteChannel() rejects a path at which no file can be", () =>
  withFile(async (file) => {
    await mkdir(file);
    await rejects(sqliteChannel(file, catalogue), "ChannelUnavailable", /^cannot open .*events\.db: /);
    await rejects(sqliteChannel(`${file}/no/events.db`, catalogue), "ChannelUnavailable", /^cannot open /);
  }));

test("publish() rejects while the file is elsewhere, or another one in its place", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publishBatch(ticks(1, 3));
      await rename(file, `${file}.away`);
      await rejects(
        channel.publish("tick", { n: 4 }),
        "ChannelUnavailable",
        /the file was removed or replaced/,
      );
      assert.match(channel.problem ?? "", /removed or replaced/);
      await writeFile(file, "another one");
      await rejects(
        channel.publish("tick", { n: 4 }),
        "ChannelUnavailable",
        /the file was removed or replaced/,
      );
      assert.equal(await readAll(channel, "earliest"), [1, 2, 3]);
      await sleep(1200); // It looks for the file every second.
      const [cpu, start] = [process.cpuUsage(), performance.now()];
      await sleep(500);
      const { user, system } = process.cpuUsage(cpu);
      const share = (user + system) / 1000 / (performance.now() - start);
      assert.ok(share < 0.2, `it takes ${Math.round(share * 100)} % of a core to wait`);
      await rename(`${file}.away`, file);
      await until(() => channel.problem === undefined, "it recovers by itself", 20_000);
      await channel.publish("tick", { n: 4 });
    });
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), upTo(4)));
  }));

test("Writer tries the disk again after a failure, also while other steps always wait", () =>
  withFile(async (path) => {
    const file = await EventsFile.open(path, "process");
    const writeEntry = createEntryWriter(catalogue.types);
    const options = { writeEntry, survivesPowerLoss: false, onStored: () => {}, onProblem: () => {} };
    const writer = new Writer(file, options);
    let isOver = false;
    try {
      const events = encodeEvents(catalogue, ticks(1, 1), 1000);
      await rename(path, `${path}.away`);
      await rejects(writer.publish(events, undefined, () => {}), "ChannelUnavailable", /removed/);
      await rename(`${path}.away`, path);
      const step = async () => {
        if (!isOver) writer.between(step);
        await sleep(20);
      };
      writer.between(step);
      await until(() => writer.problem === undefined, "the writer recovers", 20_000);
    } finally {
      isOver = true;
      await writer.stop();
      await file.close();
    }
  }));

test("Writer reports events as stored only when the disk has synced them, if they are to survive a loss of power", () =>
  withFile(async (path) => {
    const file = await EventsFile.open(path, "power");
    const stored: number[] = [];
    const writer = new Writer(file, {
      writeEntry: createEntryWriter(catalogue.types),
      survivesPowerLoss: true,
      onStored: (entries) => stored.push(...entries.map(({ position }) => position)),
      onProblem: () => {},
    });
    const { sync } = file;
    try {
      const events = encodeEvents(catalogue, ticks(1, 2), 1000);
      file.sync = () => Promise.reject(new Error("i/o error"));
      await rejects(writer.publish(events, "a", (first) => first), "PublishUnconfirmed", /i\/o error/);
      await rejects(writer.publish(events, "b", (first) => first), "ChannelUnavailable", /i\/o error/);
      assert.equal(stored, [], "after a loss of power the same positions could name other events");
      file.sync = sync;
      assert.is(await writer.publish(events, "a", (first) => first), 1);
      assert.equal(stored, [1, 2]);
      assert.is(await writer.publish(events, "b", (first) => first), 3);
      assert.equal(stored, [1, 2, 3, 4]);
    } finally {
      await writer.stop();
      await file.close();
    }
  }));

test("sqliteChannel() rejects a file that was cut at any byte", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      for (let n = 1; n <= 60; n += 3) {
        await channel.publishBatch(ticks(n, n + 2, "x".repeat(n * 10)), `${n}`);
      }
    });
    const whole = await readFile(file);
    const cuts = upTo(whole.length / 487 | 0).map((step) => step * 487);
    for (let at = PAGE_BYTES; at < whole.length; at += PAGE_BYTES) cuts.push(at - 1, at, at + 1);
    assert.ok(cuts.length > 50, `${cuts.length} cuts`);
    for (const at of [1, 15, 16, 99, 100, whole.length - 1, ...cuts]) {
      await writeFile(file, whole.subarray(0, at));
      await rejects(
        sqliteChannel(file, catalogue),
        at < 512 ? "FileMismatch" : "FileDamaged",
        /^cannot open /,
      )
        .catch((error) => {
          throw new Error(`cut at ${at} of ${whole.length}: ${error.message}`);
        });
    }
    await writeFile(file, whole);
    await withChannel(file, async (channel) => assert.equal(await readAll(channel, "earliest"), upTo(60)));
  }));

test("sqliteChannel() has whole publications in their order when its log was cut at any byte", () =>
  withFile(async (file) => {
    const copy = `${file}.copy`;
    await withChannel(file, async (channel) => {
      for (let n = 1; n <= 60; n += 3) await channel.publishBatch(ticks(n, n + 2));
      for (const end of ["", "-wal"]) await cp(file + end, copy + end);
    });
    const [stored, log] = [await readFile(copy), await readFile(`${copy}-wal`)];
    const seen = new Set<number>();
    for (let at = 0; at < log.length; at += 1999) {
      await writeFile(copy, stored);
      await writeFile(`${copy}-wal`, log.subarray(0, at));
      await withChannel(copy, async (channel) => {
        assert.is(channel.last % 3, 0, "each publication is there or not");
        assert.equal(await readAll(channel, "earliest"), upTo(channel.last));
        seen.add(channel.last);
      });
    }
    assert.ok(seen.size > 15, [...seen].join());
  }));

test("read() reports events that a damaged file does not have, and delivers the others", () =>
  withFile(async (file) => {
    const text = "x".repeat(100);
    await withChannel(file, (channel) => channel.publishBatch(ticks(1, 3000, text)));
    const whole = await readFile(file);
    const outcomes = { opening: 0, reading: 0, loss: 0, none: 0 };
    for (let page = 1; page < whole.length / PAGE_BYTES; page++) {
      const handle = await open(file, "r+");
      // Zeros, as a file system leaves them, or what stood in another page.
      const other = page % 2 === 1
        ? new Uint8Array(PAGE_BYTES)
        : whole.subarray(PAGE_BYTES * 9, PAGE_BYTES * 10);
      await handle.write(other, 0, PAGE_BYTES, page * PAGE_BYTES);
      await handle.close();
      outcomes[await outcomeOf(file)]++;
      await writeFile(file, whole);
    }
    assert.ok(outcomes.reading + outcomes.loss > 50, JSON.stringify(outcomes));
    assert.ok(outcomes.none <= 5, JSON.stringify(outcomes)); // Pages without events, and the one in its own place.
  }));

/** Reads a file, and returns how a loss was reported. Nothing may be missing without that. */
async function outcomeOf(file: string): Promise<"opening" | "reading" | "loss" | "none"> {
  const channel = await sqliteChannel(file, catalogue, { onProblem: () => {} }).catch((error) => {
    assert.instance(error, EventsError);
  });
  if (channel === undefined) return "opening";
  try {
    let failures = 0;
    let losses = 0;
    let seen = 0;
    for (let position = 0; position < channel.last;) {
      const batch = await within(Promise.resolve(channel.read(position, 1e6)), "a batch").catch((error) => {
        assert.is((error as EventsError).code, "ChannelUnavailable");
        assert.match(channel.problem ?? "", /events\.db/);
        failures++;
      });
      if (batch === undefined) break;
      if (batch.lost !== undefined) [losses, position] = [losses + 1, position + batch.lost.count!];
      for (const entry of batch.entries) {
        const event = channel.parse(entry);
        assert.equal([entry.position, event.type === "tick" && event.event.n], [++position, position]);
        seen++;
      }
    }
    if (failures > 0) return "reading";
    if (losses > 0) return "loss";
    assert.is(seen, 3000);
    return "none";
  } finally {
    await channel.close();
  }
}

test("sqliteChannel() takes an empty file for a new one", () =>
  withFile(async (file) => {
    const id = await withChannel(file, (channel) => channel.publish("tick", { n: 1 }));
    await truncate(file, 0);
    await withChannel(file, async (channel) => {
      assert.is((await channel.locate(id)).unknownEpoch, true);
      assert.is(channel.last, 0);
    });
  }));

test.run();
