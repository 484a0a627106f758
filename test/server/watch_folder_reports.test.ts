import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { EventsError, type EventsErrorCode } from "../../src/mod.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { torrentNamed } from "./torrents.ts";
import { contentOf, pause, type Setting, watched } from "./watched_folder.ts";

const test = suite("watch folder: reports");

test("tells again, by the same key, what cannot be told now, and then each file once", async () => {
  let refuses: EventsErrorCode | undefined = "ChannelUnavailable";
  const told: string[] = [];
  const tried = new Map<string, Set<string>>();
  const tell = async (name: string, key: string) => {
    tried.set(name, (tried.get(name) ?? new Set()).add(key));
    await Promise.resolve();
    if (refuses !== undefined) throw new EventsError(refuses, "it is away, for now");
    told.push(name);
  };
  const problems: string[] = [];
  const setting: Setting = {
    before: async (folder) => await writeFile(join(folder, "broken.torrent"), "corrupt"),
    onTorrent: ({ name }, key) => tell(name, key),
    onCorrupt: ({ name }, key) => tell(name, key),
    onProblem: ({ message }) => void problems.push(message),
  };
  await watched(setting, async ({ path }) => {
    await until(() => tried.has("broken.torrent"), "it is found to be corrupt");
    assert.is(await contentOf(path("broken.torrent.corrupt")), "corrupt");
    for (const name of ["a", "b", "c"]) await writeFile(path(`${name}.torrent`), torrentNamed(name));
    await until(() => problems.length > 0, "somebody is told");
    refuses = "PublishUnconfirmed";
    await pause(200);
    assert.equal(told, []);
    refuses = undefined;
    await until(() => told.length >= 4, "all are told");
    await writeFile(path("d.torrent"), torrentNamed("d"));
    await until(() => told.includes("d"), "another one is told");
    assert.equal(told.sort(), ["a", "b", "broken.torrent", "c", "d"]);
    for (const [name, keys] of tried) assert.is(keys.size, 1, name);
    assert.is(new Set([...tried.values()].map((keys) => [...keys][0])).size, 5, "each has a key of its own");
    assert.match(problems[0]!, /^cannot report ".*broken\.torrent": it is away, for now$/);
    assert.ok(problems.length <= 8, "not at every scan");
  });
});

test("waits for what it tells before it goes on", async () => {
  const order: string[] = [];
  const before = async (folder: string) => {
    for (const name of ["a", "b"]) await writeFile(join(folder, `${name}.torrent`), torrentNamed(name));
  };
  const onTorrent = async ({ name }: { name: string }) => {
    order.push(name);
    await pause(100);
    order.push(`${name} is told`);
  };
  await watched({ before, onTorrent }, async () => {
    await until(() => order.length === 4, "both are told");
    assert.equal([order[1], order[3]], [`${order[0]} is told`, `${order[2]} is told`]);
  });
});

test.run();
