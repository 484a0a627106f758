import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as assert from "uvu/assert";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { torrentNamed } from "./torrents.ts";
import { pause, type Setting, watched } from "./watched_folder.ts";

const test = suite("watch folder: problems");

if (process.platform === "linux") {
  test("watchFolder() reports a file that cannot be read once, and does not rename it", async () => {
    await watched({ corruptAfter: 300 }, async ({ path, names, corrupt, problems, scansPass }) => {
      // The memory of the process looks like a regular file, but its first page cannot be read.
      await symlink("/proc/self/mem", path("unreadable.torrent"));
      await until(() => problems.length > 0, "the problem is reported");
      assert.match(problems[0]!, /^cannot read ".*unreadable.torrent": EIO/);
      await pause(600); // A corrupt file would be renamed meanwhile.
      await scansPass();
      assert.equal([names(), corrupt, problems.length], [[], [], 1]);
    });
  });
}

test("watchFolder() reports a folder that cannot be read once, and scans the others", async () => {
  // Longer than any path may be, in two halves that are not: no rights are needed, and root has too many.
  const half = Array.from({ length: 10 }, () => "x".repeat(250));
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  try {
    await mkdir(join(outside, ...half), { recursive: true });
    await watched({}, async ({ path, names, scansPass, problems }) => {
      await mkdir(path(...half), { recursive: true });
      await rename(join(outside, half[0]!), path(...half, "too long"));
      try {
        await until(() => problems.length > 0, "the problem is reported");
        await writeFile(path("a.torrent"), torrentNamed("a"));
        await scansPass();
        assert.equal(names(), ["a"]);
        assert.is(problems.length, 1);
        assert.match(problems[0]!, /^cannot read ".*": ENAMETOOLONG/);
      } finally {
        await rename(path(...half, "too long"), join(outside, half[0]!));
      }
      await scansPass();
      assert.is(problems.length, 1);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

test("watchFolder() reports its files again when the folder was gone, and not when it could not be read", async () => {
  const outside = await mkdtemp(join(tmpdir(), "outside-"));
  const folder = join(outside, "link");
  const repoint = async (target: string) => {
    await symlink(target, join(outside, "next"));
    await rename(join(outside, "next"), folder);
  };
  try {
    await mkdir(join(outside, "real"));
    await symlink(join(outside, "real"), folder);
    await writeFile(join(folder, "a.torrent"), torrentNamed("a"));
    await watched({ folder }, async ({ names, scansPass, problems }) => {
      await until(() => names().length === 1, "it is reported");
      await repoint(folder);
      await until(() => problems.length === 1, "the folder cannot be read");
      assert.match(problems[0]!, /^cannot read ".*": ELOOP/);
      await repoint(join(outside, "real"));
      await scansPass();
      assert.equal([names(), problems.length], [["a"], 1]);
      await rename(join(outside, "real"), join(outside, "away"));
      await until(() => problems.length === 2, "the folder is gone");
      assert.match(problems[1]!, /^cannot read ".*": ENOENT/);
      await rename(join(outside, "away"), join(outside, "real"));
      await until(() => names().length === 2, "it is reported again");
      await scansPass();
      assert.is(problems.length, 2);
    });
  } finally {
    await rm(outside, { recursive: true });
  }
});

test("watchFolder() reports a name that is not UTF-8 once, and reads the others", async () => {
  await watched({}, async ({ folder, path, names, problems, scansPass }) => {
    const isPossible = process.platform === "linux";
    // Deno cannot write such a name itself.
    if (isPossible) execFileSync("sh", ["-c", `printf x > "$(printf '${folder}/caf\\351.torrent')"`]);
    await writeFile(path("café.torrent"), torrentNamed("utf-8"));
    await until(() => names().length === 1 && problems.length === (isPossible ? 1 : 0), "both are seen");
    await scansPass();
    assert.equal(problems.length, isPossible ? 1 : 0);
    if (isPossible) assert.match(problems[0]!, /^cannot read ".*caf\ufffd\.torrent": its name is not UTF-8/);
  });
});

test("watchFolder() reports a callback that throws, and continues", async () => {
  const reported: string[] = [];
  const problems: string[] = [];
  const setting: Setting = {
    corruptAfter: 300,
    onTorrent({ name }) {
      reported.push(name);
      if (name === "async") return Promise.reject(new Error("async torrent")) as unknown as void;
      throw new Error(`bad ${name}`);
    },
    onCorrupt({ name }) {
      reported.push(name);
      throw `bad ${name}`;
    },
    onProblem(problem) {
      problems.push(problem.message);
      throw problem;
    },
  };
  await watched(setting, async ({ path }) => {
    for (const name of ["first", "second", "async"]) {
      await writeFile(path(`${name}.torrent`), torrentNamed(name));
      await until(() => reported.includes(name), `${name} is reported`);
    }
    await writeFile(path("corrupt.torrent"), "corrupt");
    await until(() => problems.length === 4, "all problems are reported");
    assert.equal(reported, ["first", "second", "async", "corrupt.torrent"]);
    assert.equal(problems, [
      "onTorrent failed: bad first",
      "onTorrent failed: bad second",
      "onTorrent failed: async torrent",
      "onCorrupt failed: bad corrupt.torrent",
    ]);
  });
});

test.run();
