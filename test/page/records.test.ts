import * as assert from "uvu/assert";
import { createRates, peaksOf } from "../../src/page/rates.ts";
import { createRecords, hasOnlyLosses } from "../../src/page/records.ts";
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
  records.pause(0);
  for (let i = 1; i <= 5000; i++) add(`${i}`);
  assert.equal([shown(), records.held, records.received], [["before"], 5000, 5001]);
  records.pause(0);
  assert.is(records.held, 5000, "a second pause changes nothing");
  const scanned = () => {
    while (records.isScanning) records.scan();
    return shown();
  };
  records.filter(({ summary }) => summary === "4999");
  assert.equal(scanned(), [], "what is held back is not shown by a filter either");
  records.resume();
  assert.equal([scanned(), records.held, records.mark], [["4999"], undefined, 1]);
  records.filter(() => false);
  assert.equal(scanned(), []);
  records.filter(undefined);
  assert.equal(scanned(), ["4998", "4999", "5000"]);
});

test("createRecords() shows what a filter found when it has looked at everything, also what arrived meanwhile", () => {
  const records = createRecords(1000, 1e6);
  let n = 0;
  const add = () => records.add({ type: "tick", event: ++n, id: `a-${n}` });
  while (n < 1000) add();
  const { generation } = records;
  let looked = 0;
  // The clock stands still until the browser is to draw.
  const slow = () => {
    if (++looked === 50) { for (const began = performance.now(); performance.now() - began < 10;); }
    return looked % 2 === 0;
  };
  records.filter(slow);
  assert.equal([records.isScanning, records.matching.length, looked], [true, 1000, 50]);
  for (let i = 0; i < 100; i++) add();
  assert.is(records.matching.length, 900, "the oldest are gone, and the new ones wait for their turn");
  while (records.isScanning) records.scan();
  assert.equal([records.generation, looked], [generation + 1, 1050]);
  assert.is(records.matching.length, 500);
  add();
  assert.equal([records.kept, looked], [1000, 1051]);
});

test("Records.filter() shows what it found also when the last records took longer than a turn", () => {
  const records = createRecords(100, 1_000_000);
  for (let n = 1; n <= 40; n++) records.add({ type: "tick", event: n });
  let turns = 0;
  records.filter(({ json }) => {
    for (const end = performance.now() + 1; performance.now() < end;);
    return json.includes("5");
  });
  while (records.isScanning && ++turns < 100) records.scan();
  assert.is(records.matching.length, 4);
});

test("Records.pause() lets an answer in that was on its way, and holds back what was published later", () => {
  const records = createRecords(100, 1_000_000);
  const add = (second: number) => records.add({ type: "tick", time: new Date(second * 1000).toISOString() });
  add(1);
  records.pause(5000);
  for (const second of [2, 3, 6, 4, 7]) add(second);
  assert.equal([records.matching.length, records.held, records.mark], [3, 3, 3]);
  records.resume();
  assert.equal([records.matching.length, records.mark], [6, 3]);
});

test("Records.pause() holds the answer to a question that was asked while it was paused, however late and long", () => {
  const records = createRecords(3, 1_000_000);
  const add = (type: string, second: number) =>
    records.add({ type, time: new Date(second * 1000).toISOString() });
  records.pause(5000, -1);
  add("tick", 1);
  assert.equal([records.matching.length, records.held], [0, 1], "its time is over");
  records.clear();
  records.pause(5000, Infinity);
  add("events_lost", 6); // What is missing before the answer.
  for (const second of [1, 2, 3, 4]) add("tick", second);
  assert.equal([records.matching.length, records.held], [3, 0], "no more than are kept");
  add("tick", 6);
  add("tick", 4);
  assert.is(records.held, 2, "it is over with the first event that was published later");
});

test("Records.isFiltered says whether a filter selects, also while it is paused", () => {
  const records = createRecords(100, 1_000_000);
  for (let n = 1; n <= 3; n++) records.add({ type: "tick", event: n });
  assert.not(records.isFiltered);
  records.pause(0);
  records.filter(({ json }) => json.includes("2"));
  assert.equal([records.isFiltered, records.matching.length], [true, 1]);
  records.filter(undefined);
  assert.equal([records.isFiltered, records.matching.length], [false, 3]);
});

test("hasOnlyLosses() finds that no event is listed beside reports of losses", () => {
  const records = createRecords(100, 1_000_000);
  assert.ok(hasOnlyLosses(records));
  records.add({ type: "events_lost", event: { count: null, reason: "history_expired" } });
  assert.ok(hasOnlyLosses(records), "the list needs an explanation");
  records.add({ type: "tick" });
  assert.not(hasOnlyLosses(records));
});

test("createRates() counts the last seconds one by one, and the whole past in steps", () => {
  const rates = createRates(10, 80);
  const at = (second: number, group: "blue" | "amber" = "blue") => rates.count(group, second * 1000 + 999);
  for (const second of [100, 100, 101, 109]) at(second);
  at(101, "amber");
  assert.equal([100, 101, 102, 109].map((second) => rates.of("blue", second)), [2, 1, 0, 1]);
  assert.is(rates.of("amber", 101), 1);
  at(90); // It has the slot of second 100, which is newer.
  assert.is(rates.of("blue", 100), 2);
  at(111, "amber");
  assert.equal([101, 111].map((second) => rates.of("blue", second)), [0, 0]);
  assert.is(rates.of("amber", 111), 1);
  const recent = rates.recent(112, 10, 5);
  assert.equal([recent.start, recent.step, recent.length], [100, 5, 2]);
  assert.equal(Array.from(recent.counts.get("blue")!), [2, 1]);
  // The whole past has at least a minute, and more than 80 seconds have steps of five.
  const whole = rates.whole(112, 112);
  assert.equal([whole.start, whole.step, whole.length], [52, 1, 60]);
  assert.equal(Array.from(whole.counts.get("blue")!).slice(-22), [
    1,
    ...Array(9).fill(0),
    2,
    1,
    ...Array(7).fill(0),
    1,
    0,
    0,
  ]);
  const later = rates.whole(135, 135);
  assert.equal([later.start, later.step, later.length], [50, 5, 17]);
  assert.equal(Array.from(later.counts.get("blue")!).slice(8, 12), [1, 0, 3, 1]);
  assert.equal(Array.from(later.counts.get("amber")!).slice(8, 13), [0, 0, 1, 0, 1]);
  assert.equal([rates.whole(135, 10).start, rates.whole(135, 10).length], [10, 25], "it goes back as asked");
  // Steps that would be narrower than a pixel are joined, and none of their events becomes invisible.
  const peaks = peaksOf(recent, 1);
  assert.equal([peaks.start, peaks.step, Array.from(peaks.counts.get("blue")!)], [100, 10, [4]]);
  assert.is(peaksOf(recent, 2), recent);
  const odd = peaksOf(rates.recent(112, 9, 1), 5);
  assert.equal([odd.start, odd.step, Array.from(odd.counts.get("blue")!)], [102, 2, [0, 0, 0, 2, 0]]);
  rates.clear();
  assert.is(rates.of("amber", 111), 0);
  assert.equal(Array.from(rates.whole(115, 115).counts.get("amber")!), Array(60).fill(0));
});

test.run();
