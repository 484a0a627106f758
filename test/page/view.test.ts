import * as assert from "uvu/assert";
import { csvOf } from "../../src/page/csv.ts";
import {
  durationText,
  formatView,
  linkTo,
  parseView,
  questionOf,
  selectionOf,
  startingAtItsTime,
} from "../../src/page/view.ts";
import { suite } from "../support/suite.ts";

const test = suite("page view");

test("formatView() writes a view into an address from which parseView() reads it", () => {
  assert.is(formatView(parseView("")), "", "the view that the page opens with needs no query");
  const searches = [
    "?types=market_*,order/placed",
    "?subject=order/42&subject=a%26b",
    "?since=2026-11-28T12:00:00.000Z&filter=name:sintel+-%22a+b%22",
    "?last=1000&chart=1h",
    "?from=2026-11-28T12:00:00.000Z&to=2026-11-28T12:01:00.000Z",
    "?event=k3f9-17&at=2026-11-28T12:00:00.000Z&chart=all",
  ];
  for (const search of searches) assert.is(formatView(parseView(search)), search);
  assert.match(parseView("?since=noon").since!, /^\d{4}-\d\d-\d\dT[\d:]+\.000Z$/);
  const malformed = "?types=,&since=&last=-1&from=x&to=y&chart=2h&subject=";
  assert.equal(parseView(malformed), parseView(""));
  assert.is(
    formatView(parseView("?types=a"), "?tenant=7&filter=old"),
    "?tenant=7&types=a",
    "others are kept",
  );
});

test("questionOf() asks for the last events, or from where startingAtItsTime() makes the view start", () => {
  const question = (search: string) => questionOf(startingAtItsTime(parseView(search)));
  const none = { types: [], subjects: [] };
  assert.equal(question(""), { ...none, last: 200 });
  assert.equal(question("?types=a&subject=b&filter=c"), { types: ["a"], subjects: ["b"], last: 200 });
  assert.equal(question("?since=earliest&from=2026-11-28&to=2026-11-29"), { ...none, since: "earliest" });
  const at = "2026-11-28T12:00:00.000Z";
  assert.equal(question(`?from=${at}&to=2026-11-29`), { ...none, since: at });
  assert.equal(question(linkTo("k-1", Date.parse(at))), { ...none, since: at });
  assert.equal(question("?event=k-1"), { ...none, last: 200 });
});

test("durationText() writes durations back in words, and no other start", () => {
  const texts = ["-1h", "-5m", "-30s", "-2d", "-1w", "earliest", ""].map(durationText);
  assert.equal(texts, ["hour", "5 minutes", "30 seconds", "2 days", undefined, undefined, undefined]);
});

test("selectionOf() selects by the filter and the range together", () => {
  const event = (time: number, name: string) => {
    const json = JSON.stringify({ type: "a", event: { name } });
    return { type: "a", subject: undefined, time, json, summary: name };
  };
  const events = [event(1, "x"), event(2, "x"), event(2, "y"), event(3, "x"), event(4, "x")];
  const selected = (view: Parameters<typeof selectionOf>[0]) =>
    events.filter(selectionOf(view) ?? (() => true)).map(({ time, summary }) => `${time}${summary}`).join(
      " ",
    );
  assert.is(selected({ text: "", range: undefined }), "1x 2x 2y 3x 4x");
  assert.is(selected({ text: "", range: { from: 2, to: 3 } }), "2x 2y 3x");
  assert.is(selected({ text: "name:x", range: { from: 2, to: 3 } }), "2x 3x");
});

test("csvOf() writes a column for each value, and no formula", () => {
  const events = [
    {
      type: "found",
      subject: "a",
      event: { name: '=HYPERLINK("x")', result: { size: -5, tags: ["a", "b"] } },
      id: "k-1",
    },
    { type: "closed", id: "k-2", time: "2026-11-28T12:00:00.000Z" },
    { type: "said", event: "one\ntwo", id: "k-3" },
  ];
  assert.is(
    csvOf(events.map((event) => JSON.stringify(event))),
    [
      "time,type,subject,id,event.name,event.result.size,event.result.tags,event",
      `,found,a,k-1,"'=HYPERLINK(""x"")",-5,"[""a"",""b""]",`,
      "2026-11-28T12:00:00.000Z,closed,,k-2,,,,",
      ',said,,k-3,,,,"one\ntwo"',
      "",
    ].join("\r\n"),
  );
});

test.run();
