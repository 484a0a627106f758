import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { openLines } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  exitsCleanly,
  FIXTURES,
  nextEvent,
  permissionsFor,
  withFolder,
  withServer,
} from "./server_process.ts";

const test = suite("server: watch folder");

test("serve --watch-folder streams a torrent that is added, and renames a corrupt one", async () => {
  await withFolder(async (folder) => {
    await withServer(["--watch-folder", folder, "--corrupt-after", "1"], async ({ url, child }) => {
      const lines = await openLines(`${url}/events`);
      await nextEvent(lines, "events_start");
      for (const name of ["corrupt.torrent", "leaves.torrent"]) {
        await copyFile(FIXTURES + name, join(folder, name));
      }
      const discovered = await nextEvent(lines, "torrent_discovered", 5000);
      assert.equal(discovered.event, {
        infohash: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
        timestamp: 1375363666,
        name: "Leaves of Grass by Walt Whitman.epub",
        files: [["Leaves of Grass by Walt Whitman.epub", 362017]],
        trackers: [],
        dispersy_cid: "0".repeat(40),
      });
      // Later, because it could be a file that is still being written.
      const corrupt = await nextEvent(lines, "watch_folder_corrupt_torrent");
      assert.equal(corrupt.event, { name: "corrupt.torrent" });
      assert.equal((await readdir(folder)).sort(), ["corrupt.torrent.corrupt", "leaves.torrent"]);
      await lines.close();
      assert.equal(child.stderr.lines, []);
    }, permissionsFor(folder));
  });
});

test("serve --watch-folder ends with the server", async () => {
  await withFolder(async (folder) => {
    await copyFile(`${FIXTURES}leaves.torrent`, join(folder, "leaves.torrent"));
    await withServer(["--watch-folder", folder], async ({ child }) => {
      child.signal("SIGTERM");
      await exitsCleanly(child);
    }, permissionsFor(folder));
  });
});

test.run();
