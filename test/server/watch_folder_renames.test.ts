import { utimesSync, writeFileSync } from "node:fs";
import { copyFile, link, mkdir, rename, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { FileMemory } from "../../src/server/folder_scan.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { torrentNamed } from "./torrents.ts";
import { watched, whileDecoding } from "./watched_folder.ts";

const test = suite("watch folder: renames");

test("watchFolder() does not report a moved file again: renamed, into a sub-folder, over another, swapped", async () => {
  await watched({}, async ({ path, names, scansPass, problems }) => {
    await mkdir(path("sub"));
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await writeFile(path("b.torrent"), torrentNamed("b"));
    // Two names of one file, as a sub-folder that is moved may hold.
    await link(path("a.torrent"), path("sub", "hard link.torrent"));
    await link(path("a.torrent"), path("sub", "hard link 2.torrent"));
    await until(() => names().length === 4, "all are reported");
    const moves: [string, string][][] = [
      [["a.torrent", "A2.torrent"]],
      [["A2.torrent", join("sub", "a.torrent")]],
      [["sub", "sub2"]],
      [[join("sub2", "a.torrent"), "a.torrent"]],
      [["a.torrent", "swap"], ["b.torrent", "a.torrent"], ["swap", "b.torrent"]],
      [["a.torrent", "b.torrent"]],
    ];
    for (const move of moves) {
      for (const [from, to] of move) await rename(path(from), path(to));
      await scansPass();
      assert.equal(names(), ["a", "a", "a", "b"], `${move}`);
    }
    assert.equal(problems, []);
  });
});

test("watchFolder() reports a file once that is moved again and again while 3000 others are scanned", async () => {
  const folders = ["a", "b", "c"];
  const before = async (folder: string) => {
    for (const name of folders) {
      await mkdir(join(folder, name));
      for (let n = 0; n < 1000; n++) {
        writeFileSync(join(folder, name, `${n}.torrent`), torrentNamed(`${name}${n}`));
      }
    }
    await writeFile(join(folder, "a", "moved.torrent"), torrentNamed("moved"));
  };
  await watched({ before, interval: 1 }, async ({ path, names, scansPass, problems }) => {
    await until(() => names().length === 3001, "all are reported", 60_000);
    for (let move = 0; move < 60; move++) {
      const [from, to] = [folders[move % 3]!, folders[(move + 1) % 3]!];
      await rename(path(from, "moved.torrent"), path(to, "moved.torrent"));
      await new Promise((resolve) => setTimeout(resolve, move)); // At another moment of a scan each time.
    }
    await scansPass();
    await scansPass();
    assert.is(names().filter((name) => name === "moved").length, 1);
    assert.equal([names().length, problems], [3001, []]);
  });
});

test("FileMemory settles a file whose inode is another one each time, and reads one in its place again", () => {
  const memory = new FileMemory();
  const scan = (stamp: string, inode: string) => {
    memory.update({ files: new Map([["a", { stamp, inode, size: 1n, at: 0 }]]), unread: new Set() });
    const file = memory.seen.get("a")!;
    const wasSettled = file.settled;
    file.settled = true;
    return wasSettled;
  };
  assert.equal(["1", "1", "2", "2", ""].map((inode) => scan("x", inode)), [false, true, false, true, false]);
  assert.equal(["3", "4", "5", "6"].map((inode) => scan("x", inode)), [false, true, true, true]);
  assert.equal(["7", "8"].map((inode) => scan("y", inode)), [false, false], "of another size or time");
});

test("watchFolder() does not report a file again when it was touched or rewritten with the same torrent", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length > 0, "it is reported");
    await utimes(path("a.torrent"), 1, 1);
    await scansPass();
    await writeFile(path("a.torrent"), torrentNamed("a", { comment: "another file, the same torrent" }));
    await scansPass();
    await writeFile(path("new"), torrentNamed("a", { comment: "another inode" }));
    await rename(path("new"), path("a.torrent"));
    await scansPass();
    assert.equal(names(), ["a"]);
  });
});

test("watchFolder() reports another torrent in the same file, and the same torrent in another file", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 1, "it is reported");
    await writeFile(path("a.torrent"), torrentNamed("b"));
    await until(() => names().length === 2, "the other one is reported");
    await writeFile(path("new"), torrentNamed("c"));
    await rename(path("new"), path("a.torrent"));
    await until(() => names().length === 3, "the third one is reported");
    await copyFile(path("a.torrent"), path("copy.torrent"));
    await until(() => names().length === 4, "the copy is reported");
    await rename(path("a.torrent"), path("moved.torrent"));
    await writeFile(path("a.torrent"), torrentNamed("c"));
    await until(() => names().length === 5, "the new file in the place of the moved one is reported");
    // From here on each differs from what was there in one respect only: inode, time of change, size.
    await utimes(path("a.torrent"), 1, 1);
    await writeFile(path("new"), torrentNamed("d"));
    await utimes(path("new"), 1, 1);
    await scansPass();
    await rename(path("new"), path("a.torrent"));
    await until(() => names().length === 6, "one of the same size and time is reported");
    await writeFile(path("a.torrent"), torrentNamed("e"));
    await until(() => names().length === 7, "one of the same inode and size is reported");
    await utimes(path("a.torrent"), 1, 1);
    await scansPass();
    writeFileSync(path("a.torrent"), torrentNamed("longer"));
    utimesSync(path("a.torrent"), 1, 1);
    await until(() => names().length === 8, "one of the same inode and time is reported");
    await scansPass();
    assert.equal(names(), ["a", "b", "c", "c", "c", "d", "e", "longer"]);
  });
});

test("watchFolder() reads a file once when it does not change", async () => {
  let reads = 0;
  await whileDecoding("pieces", () => void reads++, async () => {
    await watched({}, async ({ path, names, scansPass }) => {
      await writeFile(path("a.torrent"), torrentNamed("a"));
      await until(() => names().length > 0, "it is reported");
      assert.is(reads, 1);
      await scansPass();
      assert.is(reads, 3, "two of them are the torrents of scansPass");
    });
  });
});

test("watchFolder() reports a file again when it vanished and came back", async () => {
  await watched({}, async ({ path, names, scansPass }) => {
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 1, "it is reported");
    await unlink(path("a.torrent"));
    await scansPass();
    await writeFile(path("a.torrent"), torrentNamed("a"));
    await until(() => names().length === 2, "it is reported again");
  });
});

test.run();
