import { appendFileSync, writeFileSync } from "node:fs";
import { mkdir, open, readdir, stat, unlink, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { MAX_TORRENT_BYTES } from "../../src/server/torrent.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { encode, PIECES, torrentNamed } from "./torrents.ts";
import { contentOf, watched, whileDecoding } from "./watched_folder.ts";

const test = suite("watch folder: corrupt");

/** Shorter than by default, and long enough for a first look at the file on a busy machine. */
const CORRUPT_AFTER_MS = 800;

/** What is decoded as far as its name, and then is no torrent. */
const BROKEN = encode({ info: { length: 5, name: "broken", ...PIECES, pieces: "" } });

test("watchFolder() renames a file that is no torrent after `corruptAfter`, and not before", async () => {
  await watched({ corruptAfter: 1_500 }, async ({ path, corrupt, names, problems }) => {
    const written = performance.now();
    await writeFile(path("bad.torrent"), "d4:info");
    await until(() => corrupt.length > 0, "it is reported");
    assert.ok(performance.now() - written > 1_400, `after ${performance.now() - written} ms`);
    assert.equal([corrupt, await readdir(path())], [["bad.torrent"], ["bad.torrent.corrupt"]]);
    assert.equal([names(), problems], [[], []]);
  });
});

test("watchFolder() waits half a minute by default, and leaves a corrupt file alone until then", async () => {
  await watched({}, async ({ path, corrupt, scansPass }) => {
    await writeFile(path("bad.torrent"), "d4:info");
    const written = performance.now();
    while (performance.now() - written < 2_500) await scansPass();
    assert.equal([corrupt, await contentOf(path("bad.torrent"))], [[], "d4:info"]);
  });
});

test("watchFolder() never renames files that are empty or hidden, or that a program still writes", async () => {
  await watched({ corruptAfter: 1 }, async ({ path, corrupt, names, problems, scansPass }) => {
    const left = ["empty.torrent", ".hidden.torrent", "._mac.torrent", "a.torrent", "b.torrent", "c.torrent"];
    const beside = ["a.torrent.part", "b.torrent.crdownload", "c.torrent.!qB"];
    for (const name of beside) await writeFile(path(name), "");
    for (const name of left) await writeFile(path(name), name === "empty.torrent" ? "" : "d4:info");
    await scansPass();
    await scansPass();
    const torrents = (await readdir(path())).filter((name) => !name.startsWith("pass "));
    assert.equal(torrents.sort(), [...left, ...beside].sort());
    assert.equal([corrupt, names(), problems], [[], [], []]);
    await unlink(path("a.torrent.part"));
    await until(() => corrupt.length > 0, "the one that nothing writes any more");
    assert.equal(corrupt, ["a.torrent"]);
    await writeFile(path("empty.torrent"), torrentNamed("filled"));
    await writeFile(path(".hidden.torrent"), torrentNamed("hidden"));
    await until(() => names().length === 2, "they are torrents now");
  });
});

test("watchFolder() looks again at what it set aside when that changes, and puts it back", async () => {
  await watched({ corruptAfter: 1 }, async ({ path, corrupt, names, problems, scansPass }) => {
    const whole = torrentNamed("slow writer");
    const writer = await open(path("a.torrent"), "w");
    await writer.write(whole.subarray(0, 20));
    await until(() => corrupt.length === 1, "it is set aside");
    await scansPass();
    await writer.write(whole.subarray(20));
    await writer.close();
    await until(() => names().length === 1, "it is a torrent after all");
    const isAside = async () => (await readdir(path())).some((name) => name.endsWith(".corrupt"));
    await until(async () => !await isAside(), "it has its name again");
    assert.ok((await readdir(path())).includes("a.torrent"));
    await writeFile(path("b.torrent.corrupt"), "there before");
    await writeFile(path("b.torrent"), torrentNamed("b"));
    await until(() => names().length === 2, "the other one is reported");
    await writeFile(path("b.torrent.corrupt"), torrentNamed("repaired"));
    await until(() => names().length === 3, "it is repaired");
    await scansPass();
    assert.match((await contentOf(path("b.torrent.corrupt")))!, /8:repaired/);
    assert.equal([names(), corrupt, problems], [["b", "repaired", "slow writer"], ["a.torrent"], []]);
  });
});

test("watchFolder() reports a file that is too large as a problem once, and leaves it alone", async () => {
  await watched({ corruptAfter: 1 }, async ({ path, corrupt, names, problems, scansPass }) => {
    const file = await open(path("huge.torrent"), "w");
    await file.truncate(MAX_TORRENT_BYTES + 1);
    await file.close();
    await writeFile(path("deep.torrent"), "d1:a" + "l".repeat(200));
    await until(() => problems.length === 2, "they are problems");
    await scansPass();
    assert.equal(problems.map((problem) => problem.replace(/^.*\//, "")).sort(), [
      'deep.torrent": it nests more than 100 levels deep',
      'huge.torrent": it has more than 104857600 bytes',
    ]);
    assert.equal([corrupt, names()], [[], []]);
    await stat(path("huge.torrent"));
    await stat(path("deep.torrent"));
  });
});

test("watchFolder() numbers the name of a corrupt file when that name exists", async () => {
  await watched({ corruptAfter: CORRUPT_AFTER_MS }, async ({ path, corrupt, names, problems }) => {
    await writeFile(path("Bad.Torrent.corrupt"), "first");
    await mkdir(path("Bad.Torrent.corrupt.1"));
    await writeFile(path("html.torrent"), "<html>");
    await writeFile(path("Bad.Torrent"), "d4:info");
    await until(() => corrupt.length === 2, "all are reported");
    assert.equal(corrupt.sort(), ["Bad.Torrent", "html.torrent"]);
    assert.equal((await readdir(path())).sort(), [
      "Bad.Torrent.corrupt",
      "Bad.Torrent.corrupt.1",
      "Bad.Torrent.corrupt.2",
      "html.torrent.corrupt",
    ]);
    assert.is(await contentOf(path("Bad.Torrent.corrupt")), "first");
    assert.is(await contentOf(path("Bad.Torrent.corrupt.2")), "d4:info");
    assert.is(await contentOf(path("html.torrent.corrupt")), "<html>");
    await writeFile(path("Bad.Torrent"), "again");
    await until(() => corrupt.length === 3, "another one of that name is reported");
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
      await writeFile(file, BROKEN);
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
      await writeFile(file, BROKEN);
      await until(() => corrupt.length > 0, "it is reported");
      assert.ok(
        performance.now() - changed > CORRUPT_AFTER_MS - 50,
        `after ${performance.now() - changed} ms`,
      );
      assert.ok((await contentOf(`${file}.corrupt`))!.endsWith("eemore"));
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

test.run();
