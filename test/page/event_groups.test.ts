import * as assert from "uvu/assert";
import { createGroups } from "../../src/page/event_groups.ts";
import { triblerEvents } from "../../src/tribler/mod.ts";
import { suite } from "../support/suite.ts";

const test = suite("event groups");

test("createGroups() gives Tribler's groups the same colours in whichever order their types come", () => {
  const colours = { torrent: "blue", market: "amber", core: "green", search: "purple", trouble: "trouble" };
  for (const types of [triblerEvents.types, triblerEvents.types.toReversed()]) {
    const groups = createGroups();
    const found = types.map((type) => groups.of(type));
    assert.equal(
      Object.fromEntries([...new Set(found)].sort().map((group) => [groups.label(group), group])),
      Object.fromEntries(Object.entries(colours).sort(([, a], [, b]) => a < b ? -1 : 1)),
    );
    assert.is(groups.label(groups.of("watch_folder_corrupt_torrent")), "trouble");
    assert.is(groups.label(groups.of("new_version_available")), "core");
    assert.is(groups.label(groups.of("channel_discovered")), "search");
  }
});

test("createGroups() names the groups of other types by their own words, and gives no colour to two of them", () => {
  const groups = createGroups();
  const labels = (...types: string[]) => types.map((type) => groups.label(groups.of(type)));
  assert.equal(
    labels("watch_added", "search.done", "channel_created", "payment_failed", "new_order", "market_open"),
    ["watch", "search", "channel", "trouble", "new", "other"],
  );
  assert.equal(labels("watch_ended", "user_created", "channel:left"), ["watch", "other", "channel"]);
  const colours = ["watch_added", "search.done", "channel_created", "new_order"].map((type) =>
    groups.of(type)
  );
  assert.is(new Set(colours).size, 4);
  // Beside types of one's own, those of Tribler take the colours that are left.
  assert.equal(labels("torrent_finished"), ["other"]);
  assert.equal([groups.of("events_lost"), groups.of("events.created")], ["trouble", "other"]);
});

test.run();
