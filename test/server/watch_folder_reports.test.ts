import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { torrentNamed } from "./torrents.ts";
import { contentOf, pause, type Setting, watched } from "./watched_folder.ts";

const test = suite("watch folder: reports");

test("watchFolder() retries with the same key while the channel is not available, and then reports each file once", async () => {
  let rejection: EventsErrorCode | undefined = "ChannelUnavailable";
  const reported: string[] = [];
  const tried = new Map<string, Set<string>>();
  const report = async (name: string, key: string) => {
    tried.set(name, (tried.get(name) ?? new Set()).add(key));
    await Promise.resolve();
    if (rejection !== undefined) throw new EventsError(rejection, "the store is away");
    reported.push(name);
  };
  const problems: string[] = [];
  const setting: Setting = {
    corruptAfter: 300,
    before: async (folder) => await writeFile(join(folder, "broken.torrent"), "corrupt"),
    onTorrent: ({ name }, key) => report(name, key),
    onCorrupt: ({ name }, key) => report(name, key),
    onProblem: ({ message }) => void problems.push(message),
  };
  await watched(setting, async ({ path }) => {
    await until(() => tried.has("broken.torrent"), "it is found to be corrupt");
    assert.is(await contentOf(path("broken.torrent.corrupt")), "corrupt");
    for (const name of ["a", "b", "c"]) await writeFile(path(`${name}.torrent`), torrentNamed(name));
    await until(() => problems.length > 0, "a problem is reported");
    rejection = "PublishUnconfirmed";
    await pause(200);
    assert.equal(reported, []);
    rejection = undefined;
    await until(() => reported.length >= 4, "all are reported");
    await writeFile(path("d.torrent"), torrentNamed("d"));
    await until(() => reported.includes("d"), "another one is reported");
    assert.equal(reported.sort(), ["a", "b", "broken.torrent", "c", "d"]);
    for (const [name, keys] of tried) assert.is(keys.size, 1, name);
    assert.is(new Set([...tried.values()].map((keys) => [...keys][0])).size, 5, "each has a key of its own");
    assert.match(problems[0]!, /^cannot report ".*broken\.torrent": the store is away$/);
    assert.ok(problems.length <= 8, "not at every scan");
  });
});

test("watchFolder() waits for onTorrent before it reports the next file", async () => {
  const order: string[] = [];
  const before = async (folder: string) => {
    for (const name of ["a", "b"]) await writeFile(join(folder, `${name}.torrent`), torrentNamed(name));
  };
  const onTorrent = async ({ name }: { name: string }) => {
    order.push(name);
    await pause(100);
    order.push(`${name} is reported`);
  };
  await watched({ before, onTorrent }, async () => {
    await until(() => order.length === 4, "both are reported");
    assert.equal([order[1], order[3]], [`${order[0]} is reported`, `${order[2]} is reported`]);
  });
});

test.run();
