import { appendFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { readTorrent } from "../../src/server/torrent.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { encode, PIECES, torrentNamed } from "./torrents.ts";
import { contentOf, watched, whileDecoding } from "./watched_folder.ts";

const test = suite("watch folder: corrupt");

/** Shorter than by default, and long enough for a first look at the file on a busy machine. */
const CORRUPT_AFTER_MS = 800;

test("watchFolder() renames a file that is no torrent after two seconds", async () => {
  await watched({}, async ({ path, corrupt, names, problems }) => {
    const written = performance.now();
    await writeFile(path("bad.torrent"), "d4:info");
    await until(() => corrupt.length > 0, "it is reported");
    assert.ok(performance.now() - written > 1_900, `after ${performance.now() - written} ms`);
    assert.equal([corrupt, await readdir(path())], [["bad.torrent"], ["bad.torrent.corrupt"]]);
    assert.equal([names(), problems], [[], []]);
  });
});

test("watchFolder() numbers the name of a corrupt file when that name exists", async () => {
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, corrupt, names, problems }) => {
    await writeFile(path("Bad.Torrent.corrupt"), "first");
    await mkdir(path("Bad.Torrent.corrupt.1"));
    await writeFile(path("empty.torrent"), "");
    await writeFile(path("html.torrent"), "<html>");
    await writeFile(path("Bad.Torrent"), "d4:info");
    await until(() => corrupt.length === 3, "all are reported");
    assert.equal(corrupt.sort(), ["Bad.Torrent", "empty.torrent", "html.torrent"]);
    assert.equal((await readdir(path())).sort(), [
      "Bad.Torrent.corrupt",
      "Bad.Torrent.corrupt.1",
      "Bad.Torrent.corrupt.2",
      "empty.torrent.corrupt",
      "html.torrent.corrupt",
    ]);
    assert.is(await contentOf(path("Bad.Torrent.corrupt")), "first");
    assert.is(await contentOf(path("Bad.Torrent.corrupt.2")), "d4:info");
    assert.is(await contentOf(path("html.torrent.corrupt")), "<html>");
    await writeFile(path("Bad.Torrent"), "again");
    await until(() => corrupt.length === 4, "another one of that name is reported");
    assert.is(await contentOf(path("Bad.Torrent.corrupt.3")), "again");
    assert.equal([names(), problems], [[], []]);
  });
});

test("watchFolder() leaves a corrupt file alone when it changes just before it is renamed", async () => {
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, names, corrupt }) => {
    const file = path("a.torrent");
    let reads = 0;
    const written = performance.now();
    let changed = 0;
    const changeWhenDue = () => {
      if (++reads < 2) return; // It is read once at first, and once when it is due.
      changed = performance.now();
      writeFileSync(file, torrentNamed("repaired"));
    };
    await whileDecoding("broken", changeWhenDue, async () => {
      await writeFile(file, "d6:broken");
      await until(() => names().length > 0, "the repaired file is reported");
      assert.is(reads, 2);
      assert.ok(changed - written > CORRUPT_AFTER_MS - 50, `after ${changed - written} ms`);
      assert.equal([names(), corrupt, await readdir(path())], [["repaired"], [], ["a.torrent"]]);
    });
  });
});

test("watchFolder() waits again when a corrupt file changes", async () => {
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, corrupt }) => {
    const file = path("a.torrent");
    let changed = 0;
    let reads = 0;
    await whileDecoding("broken", () => {
      if (++reads !== 2) return;
      appendFileSync(file, "more");
      changed = performance.now();
    }, async () => {
      await writeFile(file, "d6:broken");
      await until(() => corrupt.length > 0, "it is reported");
      assert.ok(
        performance.now() - changed > CORRUPT_AFTER_MS - 50,
        `after ${performance.now() - changed} ms`,
      );
      assert.is(await contentOf(`${file}.corrupt`), "d6:brokenmore");
      assert.equal(await readdir(path()), ["a.torrent.corrupt"]);
    });
  });
});

test("watchFolder() reports a corrupt file that cannot be renamed once for each change of it", async () => {
  // The name just fits into a folder, the name with ".corrupt" does not.
  const name = `${"x".repeat(247)}.torrent`;
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, corrupt, names, problems, scansPass }) => {
    await writeFile(path(name), "corrupt");
    await until(() => corrupt.length > 0, "it is reported");
    await scansPass();
    assert.equal(corrupt, [name]);
    assert.is(problems.length, 1);
    assert.match(problems[0]!, /^cannot rename ".*": ENAMETOOLONG/);
    await writeFile(path(name), "still corrupt");
    await until(() => corrupt.length > 1, "it is reported again");
    await scansPass();
    assert.equal([corrupt, problems.length], [[name, name], 1], "the same problem is reported once");
    await writeFile(path(name), torrentNamed("good"));
    await until(() => names().length > 0, "the torrent is reported");
  });
});

test("watchFolder() renames a file of more than 64 MiB, even when it is a torrent", async () => {
  const pieces = new Uint8Array(20 * Math.ceil(2 ** 26 / 20));
  const bytes = encode({ info: { length: 5, name: "huge", ...PIECES, pieces } });
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, names, corrupt }) => {
    await writeFile(path("huge.torrent"), bytes);
    await until(() => corrupt.length + names().length > 0, "it is reported");
    assert.equal([names(), corrupt], [[], ["huge.torrent"]]);
  });
  assert.is((await readTorrent(bytes)).name, "huge", "or else the test shows nothing");
});

test.run();
