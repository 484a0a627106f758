/**
 * A loss of power: what the disk has then is what was synced, and any part of what was written since.
 *
 * The test notes what stands in the file and in its log whenever a sync begins, which the disk has once that has ended. At a
 * loss each block written since is there or not, at random, as a disk that writes in any order leaves it.
 *
 * @module
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync } from "node:sqlite";
import timers, { setImmediate } from "node:timers";
import * as assert from "uvu/assert";
import type { Durability } from "../../src/sqlite/mod.ts";
import { type Random, randomOf } from "../support/hostile_proxy.ts";
import { suite } from "../support/suite.ts";
import { readAll, type TestChannel, ticks, upTo, withChannel, withFile } from "./channels.ts";

const test = suite("sqlite power");

/** What a disk writes as a whole. */
const SECTOR_BYTES = 512;
/** The file is merged with its log some times in a run. */
const TEXT = "x".repeat(30_000);
const EVENTS = 330;
const SEED = 2026;

/** The content of a file and its log. */
interface Content {
  readonly file: Uint8Array;
  readonly log: Uint8Array;
}

/** A state of the disk after a loss, and the number of events that were acknowledged before. */
interface Loss extends Content {
  readonly acknowledged: number;
}

function contentOf(file: string): Content {
  return { file: fs.readFileSync(file), log: fs.readFileSync(`${file}-wal`) };
}

/** Runs `use`, and calls back whenever a sync begins or has ended, with what the disk certainly has. */
async function withSyncs(
  file: string,
  onSync: (synced: Content) => void,
  use: () => Promise<void>,
): Promise<void> {
  const { fdatasync } = fs;
  let synced = contentOf(file);
  const logInode = fs.statSync(`${file}-wal`).ino;
  fs.fdatasync = ((descriptor: number, callback: (error: Error | null) => void) => {
    const part = fs.fstatSync(descriptor).ino === logInode ? "log" : "file";
    const content = fs.readFileSync(part === "log" ? `${file}-wal` : file);
    onSync(synced);
    fdatasync(descriptor, (error) => {
      if (error === null) synced = { ...synced, [part]: content };
      onSync(synced);
      callback(error);
    });
  }) as typeof fs.fdatasync;
  syncBuiltinESMExports();
  try {
    await use();
  } finally {
    fs.fdatasync = fdatasync;
    syncBuiltinESMExports();
  }
}

/** Returns what a disk may have of a file: each sector as it was synced, or as it was written since. */
function mixed(synced: Uint8Array, written: Uint8Array, random: Random): Uint8Array {
  const share = [0, 0.003, 0.1, 0.5, 0.9, 1][Math.floor(random() * 6)]!;
  const size = random() < 0.5 ? synced.length : written.length;
  const mix = new Uint8Array(size);
  for (let at = 0; at < size; at += SECTOR_BYTES) {
    const source = random() < share ? written : synced;
    mix.set(source.subarray(at, Math.min(at + SECTOR_BYTES, size)), at);
  }
  return mix;
}

/** Publishes, and returns what is left after a loss of power at this share of the moments. */
async function losses(file: string, durability: Durability, share: number, random: Random): Promise<Loss[]> {
  const found: Loss[] = [];
  let acknowledged = 0;
  const onSync = (synced: Content) => {
    if (random() >= share) return;
    const now = contentOf(file);
    const [mixedFile, log] = [mixed(synced.file, now.file, random), mixed(synced.log, now.log, random)];
    found.push({ file: mixedFile, log, acknowledged });
  };
  const publish = async (channel: TestChannel) => {
    for (let n = 1; n <= EVENTS;) {
      const count = 1 + Math.floor(random() * 3);
      const last = n + count - 1;
      const half = Math.ceil(count / 2);
      await Promise.all([
        channel.publishBatch(ticks(n, n + half - 1, TEXT)),
        ...(count > half ? [channel.publishBatch(ticks(n + half, last, TEXT))] : []),
      ]);
      acknowledged = last;
      n = last + 1;
    }
  };
  await withChannel(file, (channel) => withSyncs(file, onSync, () => publish(channel)), {
    durability,
    history: { events: 10 },
  });
  return found;
}

for (const durability of ["process", "power"] as const) {
  const promise = durability === "power"
    ? "has every acknowledged event"
    : "has the first events whole and in order, under another epoch,";
  test(`durability "${durability}": the file ${promise} after a loss of power`, () =>
    withFile(async (file) => {
      const random = randomOf(SEED);
      const found = await losses(file, durability, durability === "power" ? 0.2 : 1, random);
      const epoch = await withChannel(file, ({ epoch }) => Promise.resolve(epoch));
      const least = durability === "power" ? 40 : 8;
      assert.ok(found.length >= least, `${found.length} losses`);
      const copy = `${file}.lost`;
      let missing = 0;
      for (const { acknowledged, ...content } of found) {
        fs.writeFileSync(copy, content.file);
        fs.writeFileSync(`${copy}-wal`, content.log);
        if (durability === "process") changeBoot(copy);
        await withChannel(copy, async (channel) => {
          assert.equal(await readAll(channel, "earliest"), upTo(channel.last));
          if (durability === "process") assert.is.not(channel.epoch, epoch);
          else {
            assert.is(channel.epoch, epoch);
            assert.ok(channel.last >= acknowledged, `${channel.last} of ${acknowledged}`);
          }
          missing += Math.max(0, acknowledged - channel.last);
        });
      }
      if (durability === "process") assert.ok(missing > 0, "the test would notice what is missing");
    }));
}

/** Calls a function while the disk fails to sync, and no timer strikes; it gets the callbacks of the intervals, and mends the disk. */
async function withFailingDisk(
  use: (disk: { intervals: readonly (() => void)[]; mend: () => void }) => Promise<void>,
): Promise<void> {
  const [{ setInterval }, { fdatasync }] = [timers, fs];
  const intervals: (() => void)[] = [];
  timers.setInterval = ((callback: () => void, ms: number) => {
    intervals.push(callback);
    return setInterval(callback, ms);
  }) as typeof setInterval;
  fs.fdatasync =
    ((_: number, callback: (error: Error) => void) =>
      setImmediate(() => callback(new Error("EIO: i/o error, fdatasync")))) as unknown as typeof fdatasync;
  syncBuiltinESMExports();
  const mend = () => {
    [timers.setInterval, fs.fdatasync] = [setInterval, fdatasync];
    syncBuiltinESMExports();
  };
  try {
    await use({ intervals, mend });
  } finally {
    mend();
  }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => undefined, ({ code }) => code);

test('durability "power": events are dropped for newer ones when those are synced, not before', () =>
  withFile((file) =>
    withFailingDisk(({ intervals, mend }) =>
      withChannel(file, async (channel) => {
        assert.is(await codeOf(channel.publishBatch(ticks(1, 5))), "PublishUnconfirmed");
        for (const strike of intervals) strike();
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        assert.equal([channel.first, channel.last], [1, 0]);
        mend();
        await channel.publishBatch(ticks(6, 6));
        assert.equal([channel.first, channel.last], [5, 6]);
      }, { durability: "power", keep: { events: 2 }, onProblem: () => {} })
    )
  ));

test("erase() erases events that wait for a disk that fails", () =>
  withFile((file) =>
    withFailingDisk(({ mend }) =>
      withChannel(file, async (channel) => {
        const drafts = ticks(1, 4).map((draft, index) => index % 2 ? { ...draft, subject: "a/1" } : draft);
        assert.is(await codeOf(channel.publishBatch(drafts)), "PublishUnconfirmed");
        const erased = channel.erase({ subject: "a/1" });
        await erased.catch(() => {}); // Its traces are left in the file until the disk works again.
        mend();
        await channel.publishBatch(ticks(5, 5));
        const { entries, last } = await channel.read(0, 64 * 1024);
        assert.equal([entries.map(({ position }) => position), last ?? 5], [[1, 3, 5], 5]);
        assert.is(channel.stats().published.tick, 3);
      }, { durability: "power", onProblem: () => {} })
    )
  ));

test('durability "power": of what the log held before it was merged nothing is read after a loss of power', () =>
  withFile(async (file) => {
    const logs: { readonly synced: Uint8Array; readonly written: Uint8Array; readonly file: Uint8Array }[] =
      [];
    const onSync = (synced: Content) =>
      logs.push({ synced: synced.log, written: contentOf(file).log, file: synced.file });
    await withChannel(file, async (channel) => {
      // Small commits stand at the beginning of the log, and then as much as it is merged after.
      for (let n = 1; n <= 5; n++) await channel.publishBatch(ticks(n, n));
      await channel.publishBatch(ticks(6, 150, TEXT));
      // The next one writes over all of the small ones, and its sync begins.
      await withSyncs(file, onSync, async () => void await channel.publishBatch(ticks(151, 160, TEXT)));
    }, { durability: "power" });
    const { synced, written, file: content } = logs.at(-2)!;
    assert.ok(
      written.length > synced.length / 2 && !equal(written, synced),
      "the log begins anew in its place",
    );
    for (let sectors = 0; sectors <= 64; sectors += 3) {
      // The disk has written the end of what was written over, and not yet its beginning.
      const log = Uint8Array.from(written);
      log.set(synced.subarray(0, sectors * SECTOR_BYTES));
      const copy = `${file}.lost`;
      fs.writeFileSync(copy, content);
      fs.writeFileSync(`${copy}-wal`, log);
      await withChannel(copy, async (channel) => {
        assert.ok(
          channel.last >= 150,
          `${channel.last} of 150, with ${sectors} sectors of the log as they were before`,
        );
        assert.equal(await readAll(channel, "earliest"), upTo(channel.last));
      });
    }
  }));

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Makes the file one that was open in an earlier boot of the machine. */
function changeBoot(file: string): void {
  const db = new DatabaseSync(file);
  db.exec("UPDATE meta SET value = 'an earlier one' WHERE name = 'boot'");
  db.close();
}

test.run();
