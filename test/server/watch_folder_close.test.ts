import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { WatchFolder } from "../../src/server/watch_folder.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { torrentNamed } from "./torrents.ts";
import { pause, watched } from "./watched_folder.ts";

const test = suite("watch folder: close");

/** Runs `body` with a function that returns the delays of all running timers. */
async function watchingTimers(body: (live: () => number[]) => Promise<void>): Promise<void> {
  const { setTimeout, clearTimeout, setInterval } = globalThis;
  const live = new Map<unknown, number>();
  const start = (callback: () => void, ms: number) => {
    const timer = setTimeout(() => {
      live.delete(timer);
      callback();
    }, ms);
    live.set(timer, ms);
    return timer;
  };
  const clear = (timer: ReturnType<typeof setTimeout>) => {
    live.delete(timer);
    clearTimeout(timer);
  };
  const refuse = () => {
    throw new Error("scans on an interval may overlap");
  };
  Object.assign(globalThis, { setTimeout: start, clearTimeout: clear, setInterval: refuse });
  try {
    await body(() => [...live.values()]);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval });
  }
}

test("watchFolder() leaves no timer and no scan when it is closed before, during or after a scan", async () => {
  const before = async (folder: string) => {
    for (let i = 0; i < 50; i++) await writeFile(join(folder, `${i}.torrent`), torrentNamed(`${i}`));
  };
  await watchingTimers(async (live) => {
    await watched({}, async ({ path, watch, names, scansPass }) => {
      await scansPass();
      await until(() => live().length === 1 && live()[0]! > 1_000, "it waits for the next sweep");
      await watch.close();
      assert.equal(live(), []);
      await watch.close();
      await writeFile(path("late.torrent"), torrentNamed("late"));
      await pause(200);
      assert.equal([live(), names()], [[], []]);
    });
    const busy = async (folder: string) => await writeFile(join(folder, "bad.torrent"), "bad");
    await watched(
      { interval: "default", before: busy },
      () => until(() => live().join() === "500", "it waits for 500 ms"),
    );
    assert.equal(live(), []);
    // Closed in the middle of a scan that has 50 files to report.
    let reported = 0;
    let closing: Promise<void> | undefined;
    let watch: WatchFolder | undefined;
    const onTorrent = () => {
      reported++;
      closing = watch!.close();
    };
    await watched({ before, onTorrent }, async (watched) => {
      watch = watched.watch;
      await until(() => closing !== undefined, "it is closed");
      await closing;
      assert.equal([live(), reported], [[], 1]);
      await pause(200);
      assert.equal([live(), reported], [[], 1]);
    });
    // Closed before its first scan can be over.
    await watched({ before }, async ({ watch, torrents }) => {
      await watch.close();
      await pause(200);
      assert.equal([live(), torrents], [[], []]);
    });
  });
});

test("WatchFolder.close() waits for the running scan, which reports nothing more", async () => {
  const before = async (folder: string) => {
    for (let i = 0; i < 10; i++) await writeFile(join(folder, `${i}.torrent`), torrentNamed(`${i}`));
  };
  const { digest } = crypto.subtle;
  let goOn = () => {};
  let digests = 0;
  const gate = new Promise<void>((resolve) => goOn = resolve);
  crypto.subtle.digest = async (...args) => {
    digests++;
    await gate;
    return digest.apply(crypto.subtle, args);
  };
  try {
    await watched({ before }, async ({ watch, torrents }) => {
      await until(() => digests > 0, "a file is read");
      let closed = false;
      const closing = watch.close().then(() => closed = true);
      await pause(100);
      assert.not(closed);
      goOn();
      await until(() => closed, "it is closed");
      await closing;
      await pause(100);
      assert.equal([digests, torrents], [1, []]);
    });
  } finally {
    goOn();
    crypto.subtle.digest = digest;
  }
});

test.run();
