import { unlinkSync, writeFileSync } from "node:fs";
import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { encode, fixtures, PIECES, torrentNamed, WEBTORRENT } from "./torrents.ts";
import { pause, watched, whileDecoding } from "./watched_folder.ts";

const test = suite("watch folder: slow writers");

test("watchFolder() reports a file once and whole when it is written with pauses of 1.2 s", async () => {
  const bytes = await readFile(new URL("bunny.torrent", fixtures));
  await watched({ interval: "default" }, async ({ path, torrents, corrupt, problems }) => {
    const third = Math.ceil(bytes.length / 3);
    await writeFile(path("slow.torrent"), bytes.subarray(0, third));
    // The pauses are what is tested: each shorter than the two seconds, both together longer.
    await pause(1_200);
    await appendFile(path("slow.torrent"), bytes.subarray(third, 2 * third));
    await pause(1_200);
    assert.equal(torrents, []);
    await appendFile(path("slow.torrent"), bytes.subarray(2 * third));
    await until(() => torrents.length > 0, "the whole file is reported");
    await until(async () => (await readdir(path())).length === 1, "the folder holds one file");
    assert.equal(torrents.map(({ infohash }) => infohash), [WEBTORRENT["bunny.torrent"]!.infohash]);
    assert.equal([corrupt, problems], [[], []]);
  });
});

test("watchFolder() reads a file after an interval without a change", async () => {
  await watched({ interval: 1_000 }, async ({ path, torrents }) => {
    // It is a torrent at every moment: whenever it is read, it is reported.
    for (let i = 0; i < 30; i++) {
      await writeFile(path("busy.torrent"), torrentNamed(`version ${i}`));
      await pause(50);
    }
    assert.equal(torrents, []);
    await until(() => torrents.length > 0, "the last version is reported");
    assert.equal(torrents.map(({ name }) => name), ["version 29"]);
  });
});

test("watchFolder() does not report a file that changes while it is read", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    const file = path("a.torrent");
    await whileDecoding("old", () => writeFileSync(file, torrentNamed("newer")), async () => {
      await writeFile(file, torrentNamed("old"));
      await until(() => names().length > 0, "it is reported");
      await scansPass();
      assert.equal(names(), ["newer"]);
    });
  });
});

test("watchFolder() reports nothing when a file vanishes while it is read", async () => {
  await watched({ corruptAfter: 800 }, async ({ path, names, corrupt, problems, scansPass }) => {
    const file = path("a.torrent");
    let reads = 0;
    await whileDecoding("old", () => void (++reads, unlinkSync(file)), async () => {
      await writeFile(file, torrentNamed("old"));
      await until(() => reads > 0, "it is read");
      await scansPass();
    });
    const vanishWhenDue = () => void (++reads === 3 && unlinkSync(file));
    await whileDecoding("broken", vanishWhenDue, async () => {
      await writeFile(file, encode({ info: { length: 5, name: "broken", ...PIECES, pieces: "" } }));
      await until(() => reads === 3, "it is due");
      await scansPass();
    });
    assert.equal([names(), corrupt, problems], [[], [], []]);
    assert.equal((await readdir(path())).filter((name) => !name.startsWith("pass ")), []);
  });
});

test.run();
