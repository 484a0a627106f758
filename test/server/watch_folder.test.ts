import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { watchFolder, type WatchFolderOptions } from "../../src/server/watch_folder.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { encode, fixtures, PIECES, sha1, torrentNamed, WEBTORRENT } from "./torrents.ts";
import { watched } from "./watched_folder.ts";

const test = suite("watch folder");

test("watchFolder() reports every real torrent, whether it lies there at the start or is added later", async () => {
  const files = [...Object.keys(WEBTORRENT), "corrupt.torrent"];
  const before = async (folder: string) => {
    for (const file of files.slice(0, 4)) await copyFile(new URL(file, fixtures), join(folder, file));
  };
  await watched({ before, corruptAfter: 500 }, async ({ path, torrents, corrupt, problems }) => {
    await until(() => torrents.length === 4, "the first four are reported");
    await mkdir(path("sub", "deeper"), { recursive: true });
    for (const file of files.slice(4)) await copyFile(new URL(file, fixtures), path("sub", "deeper", file));
    await until(() => torrents.length === files.length - 1 && corrupt.length === 1, "all are reported");
    assert.equal(
      torrents.map(({ infohash }) => infohash).sort(),
      Object.values(WEBTORRENT).map((expected) => expected.infohash).sort(),
    );
    assert.equal(corrupt, ["corrupt.torrent"]);
    assert.equal((await readdir(path("sub", "deeper"))).filter((name) => name.includes("corrupt")), [
      "corrupt.torrent.corrupt",
    ]);
    assert.equal(problems, []);
  });
});

test("watchFolder() calls onTorrent with the payload of torrent_discovered", async () => {
  await watched({}, async ({ path, torrents }) => {
    const bytes = torrentNamed("dated ü", { announce: "http://a", "creation date": 1452468725 });
    await writeFile(path("dated.torrent"), bytes);
    await until(() => torrents.length === 1, "the dated one is reported");
    const started = Math.floor(Date.now() / 1000);
    await writeFile(path("undated.torrent"), torrentNamed("undated", { "creation date": 0 }));
    await until(() => torrents.length === 2, "the undated one is reported");
    const common = { dispersy_cid: "0".repeat(40) };
    const { timestamp, ...undated } = torrents[1]!;
    assert.equal(torrents[0], {
      infohash: sha1(encode({ length: 5, name: "dated ü", ...PIECES })),
      timestamp: 1452468725,
      name: "dated ü",
      files: [["dated ü", 5]],
      trackers: ["http://a"],
      ...common,
    });
    assert.equal(undated, {
      infohash: sha1(encode({ length: 5, name: "undated", ...PIECES })),
      name: "undated",
      files: [["undated", 5]],
      trackers: [],
      ...common,
    });
    assert.ok(Number.isInteger(timestamp) && timestamp >= started && timestamp <= Date.now() / 1000);
  });
  const dispersyCid = "0123456789abcdef".repeat(3).slice(0, 40);
  await watched({ dispersyCid }, async ({ path, torrents }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => torrents.length === 1, "it is reported");
    assert.is(torrents[0]!.dispersy_cid, dispersyCid);
  });
});

test("watchFolder() reads .torrent files alone, in upper or lower case, and no folders of such a name", async () => {
  await watched({}, async ({ path, names, scansPass, corrupt, problems }) => {
    await mkdir(path("folder.torrent"));
    await writeFile(path("folder.torrent", "Loud.TORRENT"), torrentNamed("loud"));
    for (const name of ["a.torrent.part", "b.torrent.corrupt", "torrent", "c.torrents", "d.txt"]) {
      await writeFile(path(name), torrentNamed(name));
    }
    await until(() => names().length > 0, "the upper-case one is reported");
    await scansPass();
    assert.equal(names(), ["loud"]);
    assert.equal([corrupt, problems], [[], []]);
  });
});

test("watchFolder() finds what is in a new folder with a dot in its name, and in one that replaced another, before the next sweep", async () => {
  const before = (folder: string) => mkdir(join(folder, "replaced"));
  await watched({ before }, async ({ path, names, scansPass }) => {
    const start = performance.now();
    await scansPass();
    mkdirSync(path("Some.Release.2020"));
    writeFileSync(path("Some.Release.2020", "a.torrent"), torrentNamed("a"));
    rmSync(path("replaced"), { recursive: true });
    mkdirSync(path("replaced"));
    await scansPass();
    await writeFile(path("replaced", "b.torrent"), torrentNamed("b"));
    await until(() => names().length === 2, "both are reported");
    assert.equal(names(), ["a", "b"]);
    assert.ok(performance.now() - start < 4_000, "the next sweep comes 5 s after the first");
  });
});

test("watchFolder() follows links to files alone, and reports a broken link once", async () => {
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  try {
    await writeFile(join(outside, "x.torrent"), torrentNamed("behind a link"));
    await mkdir(join(outside, "inner"));
    await writeFile(join(outside, "inner", "y.torrent"), torrentNamed("in a linked folder"));
    await watched({}, async ({ folder, path, names, scansPass, problems }) => {
      await symlink(join(outside, "x.torrent"), path("link.torrent"));
      await symlink(join(outside, "inner"), path("inner"));
      await symlink(join(outside, "inner"), path("inner.torrent"));
      await symlink(folder, path("loop"));
      await symlink(join(outside, "nowhere"), path("dangling.torrent"));
      await symlink(path("self.torrent"), path("self.torrent"));
      await until(() => names().length > 0, "the linked file is reported");
      await scansPass();
      assert.equal(names(), ["behind a link"]);
      assert.equal(problems.map((problem) => problem.replace(/: .*/, "")).sort(), [
        `cannot read ${JSON.stringify(path("dangling.torrent"))}`,
        `cannot read ${JSON.stringify(path("self.torrent"))}`,
      ]);
      assert.match(problems.join("\n"), /": ENOENT: [^,]+$/m);
      assert.match(problems.join("\n"), /": ELOOP: [^,]+$/m);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

test("watchFolder() reports each of 300 files once when it scans every millisecond", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `${1000 + i}`);
  await watched({ interval: 1 }, async (watched) => {
    for (const name of names) await writeFile(watched.path(`${name}.torrent`), torrentNamed(name));
    await until(() => watched.names().length >= names.length, "all are reported");
    await watched.scansPass();
    assert.equal(watched.names(), names);
  });
});

test("watchFolder() rejects with one line when it cannot watch the folder or an option is not valid", async () => {
  await watched({}, async ({ path }) => {
    await writeFile(path("file"), "");
    await symlink(path("self"), path("self"));
    const rejections: [Partial<WatchFolderOptions>, RegExp, ErrorConstructor | RangeErrorConstructor][] = [
      [{ folder: path("missing\nfolder") }, /^the watch folder ".*missing.*" does not exist$/, Error],
      [{ folder: "" }, /^the watch folder "" does not exist$/, Error],
      [{ folder: path("file") }, /^the watch folder ".*file" is not a folder$/, Error],
      [{ folder: path("self") }, /^the watch folder ".*self" cannot be read: ELOOP.*$/, Error],
      [{ folder: path("file", "below") }, /^the watch folder ".*below" cannot be read: ENOTDIR.*$/, Error],
      [{ interval: 0 }, /interval/, RangeError],
      [{ interval: NaN }, /interval/, RangeError],
      [{ interval: 2 ** 31 }, /interval/, RangeError],
      [{ corruptAfter: -1 }, /corruptAfter/, RangeError],
      [{ corruptAfter: NaN }, /corruptAfter/, RangeError],
      [{ dispersyCid: "A".repeat(40) }, /hexadecimal/, RangeError],
      [{ dispersyCid: "0".repeat(41) }, /hexadecimal/, RangeError],
    ];
    for (const [options, message, type] of rejections) {
      const callbacks = { onTorrent() {}, onCorrupt() {}, onProblem() {} };
      const error = await watchFolder({ folder: path(), ...callbacks, ...options }).then(
        (watch) => watch.close().then(() => undefined),
        (error: unknown) => error,
      );
      assert.instance(error, type, JSON.stringify(options));
      assert.match((error as Error).message, message);
    }
  });
});

test.run();
