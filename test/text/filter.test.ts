import * as assert from "uvu/assert";
import {
  type Filterable,
  parseFilter,
  parseQuantity,
  parseTerms,
  subjectTerm,
  unclearTerms,
} from "../../src/text/filter.ts";
import { lastTimeOfDay } from "../../src/text/local_time.ts";
import { suite } from "../support/suite.ts";

const test = suite("filter");

/** Half past two today: a filter without a date means today. */
const TIME = new Date().setHours(14, 30, 0, 0);
const dayAfter = (days: number) => new Date(TIME + days * 86_400_000).toLocaleDateString("sv"); // As 2026-11-28.

function event(type: string, payload: unknown, subject?: string): Filterable {
  const json = JSON.stringify({ type, subject, event: payload, id: "a-1" });
  return { type, subject, id: "a-1", time: TIME, json, summary: `${type} in words` };
}

const TORRENT = event("search_result_torrent", {
  query: "open",
  result: { name: 'Sintel "HD" (2010)', size: 2_000_000_000, seeders: 7, tags: ["film", "free"], ok: true },
}, "08ada5a7");
const ORDER = event("order/placed", {
  id: "o-1",
  total: 42.5,
  lines: [{ article: "tea", amount: 2 }],
  note: null,
});

/** Which of the two events pass. */
function passing(text: string): string {
  const accepts = parseFilter(text);
  return [TORRENT, ORDER].map((event) => accepts === undefined || accepts(event) ? "+" : "-").join("");
}

test("parseFilter() has is:trouble for types of failures", () => {
  const found = ["disk_error", "order_placed", "netFailed"].filter((type) =>
    parseFilter("is:Trouble")!(event(type, { is: "fine" }))
  );
  assert.equal(found, ["disk_error", "netFailed"]);
  assert.is(parseFilter("-is:trouble")!(event("disk_error", {})), false);
  assert.is(parseFilter("event.is:fine")!(event("order_placed", { is: "fine" })), true);
  assert.is(parseFilter("is:fine")!(event("order_placed", { is: "fine" })), false);
});

test("parseFilter() accepts events in which all terms match", () => {
  const cases: readonly (readonly [text: string, passing: string])[] = [
    ["", "++"],
    ["   ", "++"],
    ["sintel", "+-"],
    ["SINTEL 2010", "+-"],
    ["sintel tea", "--"],
    ['"sintel 2010"', "--"],
    ['"HD', "+-"],
    ["in words", "++"],
    ['"in words"', "++"],
    ["-sintel", "-+"],
    ["name:sintel", "+-"],
    ["query:sintel", "--"],
    ["result.name:sintel", "+-"],
    ["event.result.name:sintel", "+-"],
    ["query.name:sintel", "--"],
    ['name:"sintel "', "+-"],
    ["name:sin*10)", "+-"],
    ["name:sin*", "+-"],
    ["name:in*", "--"],
    ["size:>1GB", "+-"],
    ["size:>=2GB", "+-"],
    ["size:>2GB", "--"],
    ["size:<2GiB", "+-"],
    ["size:2000000000", "+-"],
    ["size:2", "--"],
    ["-size:>1GB", "-+"],
    ["total:<=42.5", "-+"],
    ["amount:2", "-+"],
    ["article:tea", "-+"],
    ["tags:free", "+-"],
    ["ok:true", "+-"],
    ["note:null", "-+"],
    ["type:search_*", "+-"],
    ["type:search", "--"],
    ["-type:search_*", "-+"],
    ["type:order/placed", "-+"],
    ["subject:08*", "+-"],
    ["subject:*", "++"],
    ["time:>14:29", "++"],
    ["time:<14:30", "--"],
    ["time:>=14:30:00", "++"],
    [`time:>${dayAfter(0)}T12:00 time:<${dayAfter(1)}T12:00`, "++"],
    [`time:>${dayAfter(1)}`, "--"],
    ["udp://tracker", "--"],
    ["[", "++"],
    ["a-1", "--"], // The cursor is not searched.
    ["-", "++"],
    ["e(", "--"],
    ["nothing:x", "--"],
    ["name:", "--"],
  ];
  for (const [text, expected] of cases) assert.is(passing(text), expected, text);
});

test("parseFilter() finds a hash by its beginning, as rows show it", () => {
  const finds = (text: string, subject: string) => parseFilter(text)!(event("t", { hash: subject }, subject));
  const hash = "08ada5a7a6183aae1e09d831df6748d566095a10";
  for (const text of ["subject:08ada5a7", "subject:08ADA5A7…", "subject:08ada5a7a6", `subject:${hash}`]) {
    assert.ok(finds(text, hash), text);
    assert.not(finds(`-${text}`, hash), text);
  }
  assert.ok(finds("hash:08ada5a7…", hash) && finds("08ada5a7…", hash));
  assert.ok(finds("subject:f81d4fae…", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
  assert.not(finds("subject:08ada5a", hash));
  assert.not(finds("subject:a6183aae", hash));
  assert.not(finds("subject:12345678", "1234567890"));
});

test("subjectTerm() writes a term that finds its subject alone", () => {
  const hash = "08ada5a7a6183aae1e09d831df6748d566095a10";
  const odd = [
    "order/*",
    "Order/42",
    'say "hi"',
    '"',
    'a""b',
    "08ada5a7",
    hash.toUpperCase(),
    `${hash}00`,
    "08ada5a7…",
    ">",
  ];
  const subjects = ["order/42", "a b", "//x", ">1", "-a", "x:y", "a\nb", hash, ...odd];
  for (const subject of subjects) {
    const accepts = parseFilter(subjectTerm(subject))!;
    const found = [...subjects, "order/421", "a"].filter((other) => accepts(event("t", {}, other)));
    assert.equal(found, [subject], subjectTerm(subject));
    assert.equal(unclearTerms(subjectTerm(subject)), []);
  }
});

test("parseFilter() takes a time of day for the last time that it was that, and dates for local ones", () => {
  const accepts = (text: string, time: number) => parseFilter(text)!({ ...TORRENT, time });
  const now = Date.now();
  const soon = new Date(now + 120_000).toLocaleTimeString("sv"); // As 14:30:00.
  assert.ok(accepts(`time:>${soon}`, now - 12 * 3_600_000), soon);
  assert.not(accepts(`time:>${soon}`, now - 25 * 3_600_000), soon);
  for (const [name, clock] of [["noon", "12:00"], ["Midnight", "0:00"]] as const) {
    const time = lastTimeOfDay(clock, now)!;
    assert.equal([accepts(`time:>=${name}`, time), accepts(`time:>=${name}`, time - 1)], [true, false]);
  }
  const day = new Date(2026, 10, 28).getTime();
  assert.equal([accepts("time:>=2026-11-28", day), accepts("time:>=2026-11-28", day - 1)], [true, false]);
  assert.ok(accepts("time:>2026-11-28t03:00:00z", Date.parse("2026-11-28T03:00:01Z")));
});

test("parseTerms() takes what no term is for a word, and parseQuantity() reads sizes", () => {
  assert.equal(parseTerms('a:>1GB -b:"c ""d""" udp://x "e'), [
    { isNegated: false, field: "a", operator: ">", value: "1GB", isQuoted: false },
    { isNegated: true, field: "b", operator: "", value: 'c "d"', isQuoted: true },
    { isNegated: false, field: undefined, operator: "", value: "udp://x", isQuoted: false },
    { isNegated: false, field: undefined, operator: "", value: "e", isQuoted: true },
  ]);
  const sizes = ["1", "-1.5", "1k", "1kB", "1KiB", "2GiB", "3Tb", "1 GB", "GB", "1x"].map(parseQuantity);
  assert.equal(sizes, [1, -1.5, 1000, 1000, 1024, 2 ** 31, 3e12, undefined, undefined, undefined]);
});

test("unclearTerms() returns the terms that are mistakes", () => {
  const days = ["time:>25:00", "time:<12:99", "time:>2026-02-30", "time:>2026-02-30T12:00Z", "time:>5"];
  const others = ["time:12:00", "time:noon", "is:nonsense", "-is:troubles", "is:>trouble"];
  const mistakes = [
    ...days,
    ...others,
    "size:>abc",
    "time:>soon",
    "size:>",
    "-size:>=",
    "name:",
    'name:"',
    'name:"big buck',
    'name:"big""',
  ];
  for (const mistake of mistakes) assert.equal(unclearTerms(`sintel ${mistake}`), [mistake], mistake);
  assert.equal(unclearTerms("size:>abc a time:<soon"), ["size:>abc", "time:<soon"]);
  const right = [
    'time:>noon time:<Midnight time:>"2026-11-28 12:00" time:>2026-11-28T03:00:00.250+01:00 event.time:12 is:"trouble"',
    'size:>1GB size:<=-2.5 time:>12:00 time:>=2026-11-28 made:<2026-11-28T03:00:00Z "big buck" name:"big buck"',
    "-type:market_* http://a:80/ a:b a:b: - > 5 it's 6\" is:trouble",
    "",
  ];
  for (const text of right) assert.equal(unclearTerms(text), [], text);
});

test.run();
