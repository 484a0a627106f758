/**
 * A disk that has the log, and does not take what is merged from it into the file.
 *
 * @module
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { readAll, rejects, type TestChannel, ticks, upTo, withChannel, withFile } from "./channels.ts";

const test = suite("sqlite failed merge");

/** So large that the log is merged before the next publication. */
const MANY = ticks(1, 150, "x".repeat(30_000));
/** Older events are read from the file. */
const OPTIONS = { history: { events: 10 } };

/** A disk that fails to take a file. */
interface FailingDisk {
  /** What it has of the file. */
  readonly taken: Uint8Array;
  /** Drops from the file what the disk has not taken, as a system may that could not write it. */
  drop(): void;
  repair(): void;
}

async function withFailingDisk(file: string, use: (disk: FailingDisk) => Promise<void>): Promise<void> {
  const { fdatasync } = fs;
  const taken = fs.readFileSync(file);
  const { ino } = fs.statSync(file);
  fs.fdatasync = ((descriptor: number, callback: (error: Error | null) => void) => {
    if (fs.fstatSync(descriptor).ino !== ino) return fdatasync(descriptor, callback);
    setImmediate(() => callback(new Error("EIO: i/o error, fdatasync")));
  }) as typeof fdatasync;
  syncBuiltinESMExports();
  const repair = () => {
    fs.fdatasync = fdatasync;
    syncBuiltinESMExports();
  };
  const drop = () => {
    fs.truncateSync(file);
    fs.writeFileSync(file, taken, { flag: "r+" });
  };
  try {
    await use({ taken, drop, repair });
  } finally {
    repair();
  }
}

/** Lets the channel merge what it has, on a disk that fails. */
async function mergeInVain(channel: TestChannel): Promise<void> {
  await rejects(
    channel.publishBatch(ticks(151, 151)),
    "ChannelUnavailable",
    /: EIO: i\/o error, fdatasync: try again later/,
  );
  await rejects(
    channel.erase({ subject: "none" }),
    "ChannelUnavailable",
    /: EIO: i\/o error, fdatasync: try again later/,
  );
}

test("publish() leaves the log as it is while the disk has not taken what was merged from it", () =>
  withFile((file) =>
    withChannel(file, async (channel) => {
      await channel.publishBatch(MANY);
      await withFailingDisk(file, async ({ taken }) => {
        await mergeInVain(channel);
        const lost = `${file}.lost`; // What there is after a loss of power.
        fs.writeFileSync(lost, taken);
        fs.copyFileSync(`${file}-wal`, `${lost}-wal`);
        await withChannel(lost, async (channel) => {
          assert.equal(await readAll(channel, "earliest"), upTo(150));
        });
      });
    }, OPTIONS)
  ));

test("publish() merges the log once more when the disk works again, also what the system has dropped", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publishBatch(MANY);
      await withFailingDisk(file, async ({ drop, repair }) => {
        await mergeInVain(channel);
        drop();
        repair();
        await channel.publishBatch(ticks(151, 160));
        assert.is(channel.problem, undefined);
      });
    }, OPTIONS);
    await withChannel(file, async (channel) => {
      assert.equal(await readAll(channel, "earliest"), upTo(160));
    });
  }));

test("close() keeps the log when the disk has not taken what was merged from it", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publishBatch(MANY);
      await withFailingDisk(file, async ({ drop }) => {
        await mergeInVain(channel);
        await channel.close();
        drop();
      });
    }, OPTIONS);
    await withChannel(file, async (channel) => {
      assert.equal(await readAll(channel, "earliest"), upTo(150));
    });
  }));

test("close() closes the file also when its log is gone", () =>
  withFile(async (file) => {
    await withChannel(file, async (channel) => {
      await channel.publishBatch(MANY);
      await withFailingDisk(file, async () => {
        await mergeInVain(channel);
        fs.rmSync(`${file}-wal`);
        await channel.close();
      });
    }, OPTIONS);
    await withChannel(file, ({ closed }) => Promise.resolve(assert.not(closed)));
  }));

test.run();
