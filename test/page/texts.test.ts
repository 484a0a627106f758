import * as assert from "uvu/assert";
import { EventsError } from "../../src/client/mod.ts";
import { emptyText } from "../../src/page/empty_text.ts";
import { issueText } from "../../src/page/issue_text.ts";
import { subjectName, textParts } from "../../src/page/row_text.ts";
import { lossesText } from "../../src/page/status_text.ts";
import { parseView } from "../../src/page/view.ts";
import { suite } from "../support/suite.ts";

const test = suite("page texts");

const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";

test("textParts() writes names first, and hashes short", () => {
  const parts = (type: string, event: unknown, subject?: string) =>
    textParts({ type, event, ...(subject !== undefined && { subject }) })
      .map(({ kind, text }) => kind === "name" ? `*${text}*` : kind === "quiet" ? `(${text})` : text).join(
        "|",
      );
  assert.is(parts("torrent_finished", { infohash: HASH, name: "Sintel" }, HASH), "*Sintel*");
  assert.is(parts("torrent_finished", { infohash: HASH, name: "Sintel" }), "*Sintel*|( 08ada5a7…)");
  assert.is(
    parts("torrent_finished", { infohash: HASH, name: "Dead (1968) 0123abcd… x" }),
    "*Dead (1968) 0123abcd… x*|( 08ada5a7…)",
  );
  const file = { infohash: HASH, name: "Sintel (2010)", files: [["a", 1024]] };
  assert.is(parts("torrent_discovered", file, HASH), "*Sintel (2010)*| (1 file, 1.00 KiB)");
  const removed = { infohash: HASH, dispersy_cid: HASH };
  assert.is(
    parts("torrent_removed_from_channel", removed),
    "(08ada5a7…)| was removed from channel|( 08ada5a7…)",
  );
  assert.is(
    parts("order_placed", { id: "o-1", total: 42, customer: { name: "Ann" } }, "order/o-1"),
    '*o-1*|(  total )|42|(  customer )|{"name":"Ann"}',
  );
  assert.is(
    parts("built", { commit: HASH, branch: "main", by: "Ann" }),
    "(commit )|(08ada5a7…)|(  branch )|main|(  by )|Ann",
  );
  assert.is(parts("tick", 7), "7");
  const trace = 'Traceback:\nFile "x.py"';
  assert.is(parts("crashed", { text: trace, of: "a b" }), '*Traceback: File "x.py"*|(  of )|"a b"');
  assert.is(parts("said", 'two "words"'), 'two "words"');
  assert.is(parts("moved", { name: "", title: "Tea room" }), '*Tea room*|(  name )|""');
  assert.is(parts("shop_closed", undefined), "");
});

test("subjectName() finds what an event calls its subject, and takes no error for a name", () => {
  const events = [
    { name: "Sintel" },
    { title: "Tea" },
    { result: { name: "Dead" } },
    { error: "disk full" },
    7,
  ];
  const names = [...events, { name: "" }, undefined].map((event) => subjectName({ type: "a", event }));
  assert.equal(names, ["Sintel", "Tea", "Dead", undefined, undefined, undefined, undefined]);
});

test("emptyText() says why the list is empty, and what can be done", () => {
  const open = { type: "open", start: undefined, resumed: false } as const;
  const says = (search: string, more: object = {}) => {
    const { why, remedies } = emptyText({
      view: parseView(search),
      status: open,
      kept: 0,
      held: 0,
      oldestKept: undefined,
      isExpired: false,
      retrySeconds: 0,
      ...more,
    });
    return `${why} ${remedies.join()}`.trim();
  };
  assert.is(says(""), "No events yet.");
  assert.is(says("?since=latest"), "Nothing yet. earliest");
  assert.is(says("?since=-1h"), "Nothing in the last hour. earliest");
  assert.is(says("?types=a"), "The server has no events of the type a. all-events");
  assert.is(
    says("?types=a,b&since=-1h"),
    "No events of the 2 chosen types in the last hour. earliest,all-events",
  );
  assert.is(says(`?subject=${HASH}&since=earliest`), "The server has no events about 08ada5a7…. all-events");
  assert.is(says("?filter=x", { kept: 200 }), "None of the 200 events matches. clear-filter,earliest");
  assert.is(says("?filter=x&since=earliest", { kept: 1 }), "The one event does not match. clear-filter");
  assert.is(
    says("?filter=x+size:>abc", { kept: 1 }),
    "The filter does not understand size:>abc clear-filter",
  );
  assert.is(says("?types=a", { held: 3 }), "The list is paused.");
  const noon = new Date().setHours(12, 0, 0, 0);
  const range = `?from=${new Date(noon).toISOString()}&to=${new Date(noon + 60_000).toISOString()}`;
  assert.is(says(range, { kept: 200 }), "No events from 12:00:00 to 12:01:00. clear-range");
  assert.is(
    says("?since=2020-01-01T00:00:00Z", { isExpired: true }),
    "The events of that time are gone: the server no longer keeps them. newest",
  );
  const failure = (code: "Unauthorized" | "ConnectionFailed" | "RequestRejected") =>
    new EventsError(code, "no");
  const closed = (code: "Unauthorized" | "RequestRejected") => ({
    status: { type: "closed", cause: failure(code) },
  });
  assert.is(says("", closed("Unauthorized")), "A key is missing. key");
  assert.is(
    says("?types=zz", closed("RequestRejected")),
    "The server rejected the question. retry,all-events",
  );
  const unknown = new EventsError("RequestRejected", "no", { serverCode: "InvalidCursor" });
  assert.is(
    says("?since=zz", { status: { type: "closed", cause: unknown } }),
    "The server does not know the place in the address where the events were to start. newest,earliest",
  );
  const waiting = { type: "waiting", delay: 5, attempt: 2, cause: failure("ConnectionFailed") };
  assert.is(says("", { status: waiting, retrySeconds: 5 }), "The server is away. retry");
});

test("lossesText() says how many events were lost, when and why", () => {
  const time = new Date().setHours(14, 2, 11, 0);
  const loss = (count: number | undefined, reason: string) => ({ count, reason, time });
  assert.is(lossesText([]), "");
  assert.is(
    lossesText([loss(1201, "history_expired")]),
    "1,201 events lost at 14:02:11: no longer kept",
  );
  assert.is(
    lossesText([loss(undefined, "unknown_epoch")]),
    "Some events lost at 14:02:11: server restarted",
  );
  assert.is(
    lossesText([loss(undefined, "unknown_epoch"), loss(1, "slow_consumer")]),
    "At least 1 event lost 2 times, last at 14:02:11: read too slowly",
  );
});

test("issueText() speaks the language of fields", () => {
  const cases: readonly (readonly [message: string, text: string])[] = [
    ['Invalid key: Expected "name" but received undefined', "needed"],
    ["Invalid type: Expected string but received undefined", "needed"],
    ["Invalid type: Expected string but received null", "needed"],
    ['Invalid type: Expected number but received "soon"', 'must be a number, not "soon"'],
    ["Invalid type: Expected (string | null) but received 3", "must be text or empty, not 3"],
    ["Invalid type: Expected Object but received 3", "must be a group of fields, not 3"],
    ["Invalid integer: Received 1.5", "must be a whole number, not 1.5"],
    ["Invalid infohash: Expected 40 hexadecimal digits", "must be 40 hexadecimal digits"],
    ['Invalid email: Received "x"', 'must be a valid email, not "x"'],
    ["Invalid value: Expected >=1 but received 0", "must be at least 1, not 0"],
    ['Invalid key: Expected never but received "more"', "not known here"],
    ["is required", "needed"],
    ["must be number, not string", "must be a number, not text"],
    ['does not match any of ["EUR","USD"]', 'must be one of "EUR", "USD"'],
    ["0 is less than 1", "0 is less than 1"],
  ];
  for (const [message, text] of cases) assert.is(issueText(message), text);
});

test.run();
