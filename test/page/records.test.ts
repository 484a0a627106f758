import * as assert from "uvu/assert";
import { createRates } from "../../src/page/rates.ts";
import { createRecords } from "../../src/page/records.ts";
import { suite } from "../support/suite.ts";

const test = suite("page records");

test("createRecords() keeps events up to their number and size, also while it is paused", () => {
  const records = createRecords(3, 450);
  let n = 0;
  const add = (text: string) => records.add({ type: "tick", event: text, id: `a-${++n}` });
  const shown = () =>
    Array.from({ length: records.matching.length }, (_, i) => records.matching.at(i)!.summary);
  for (const text of ["a", "b", "c", "d"]) add(text);
  assert.equal([shown(), records.kept, records.received, records.added], [["b", "c", "d"], 3, 4, 4]);
  add("x".repeat(300));
  assert.equal(shown().map((text) => text[0]), ["c", "d", "x"]);
  add("y".repeat(300));
  assert.equal(shown().map((text) => text[0]), ["y"], "they are too long for one another");
  add("z".repeat(1000));
  assert.equal(shown().map((text) => text[0]), ["z"], "the newest is kept however long it is");

  records.clear();
  assert.equal([shown(), records.kept, records.received], [[], 0, 0]);
  add("before");
  records.pause();
  for (let i = 1; i <= 5000; i++) add(`${i}`);
  assert.equal([shown(), records.held, records.received], [["before"], 5000, 5001]);
  records.pause();
  assert.is(records.held, 5000, "a second pause changes nothing");
  records.filter({ types: new Set(), text: "4999" });
  assert.equal(shown(), [], "what is held back is not shown by a filter either");
  records.resume();
  assert.equal([shown(), records.held], [["4999"], undefined]);
  records.filter({ types: new Set(["other"]), text: "" });
  assert.equal(shown(), []);
  records.filter({ types: new Set(), text: "" });
  assert.equal(shown(), ["4998", "4999", "5000"]);
});

test("createRates() counts the seconds of the last minutes", () => {
  const rates = createRates(10);
  const at = (second: number, group: "torrent" | "market" = "torrent") =>
    rates.count(group, second * 1000 + 999);
  for (const second of [100, 100, 101, 109]) at(second);
  at(101, "market");
  assert.equal([100, 101, 102, 109].map((second) => rates.of("torrent", second)), [2, 1, 0, 1]);
  assert.is(rates.of("market", 101), 1);
  at(90); // It has the slot of second 100, which is newer.
  assert.is(rates.of("torrent", 100), 2);
  at(111, "market");
  assert.equal([101, 111].map((second) => rates.of("torrent", second)), [0, 0]);
  assert.is(rates.of("market", 111), 1);
  rates.clear();
  assert.is(rates.of("market", 111), 0);
});

test.run();
