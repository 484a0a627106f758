import * as assert from "uvu/assert";
import { groupOf, pairsOf, wordsOf } from "../../src/text/event_text.ts";
import { suite } from "../support/suite.ts";

const test = suite("event text");

test("groupOf() finds trouble in what types of any catalogue call it", () => {
  const troubles = [
    ...["torrent_error", "tribler_exception", "payment_failed", "watch_folder_corrupt_torrent"],
    ...["signal_low_space", "task_crashed", "level_fatal", "disk_full.critical", "kernel:panic"],
    ...["build/aborted", "login_denied", "payment_declined", "job_rejected", "connection_refused"],
    ...["alert_raised", "job_timed_out", "request.timeout", "orderFailed", "jobTimedOut", "http_ERROR"],
    ...["power_outage", "node_unhealthy", "host_unreachable", "error_unresolved_yet_failed"],
  ];
  assert.equal(troubles.filter((type) => groupOf(type) !== "trouble"), []);
});

test("groupOf() takes no ordinary event for trouble, nor one that says that trouble is over", () => {
  const others = [
    ...["order_placed", "session_expired", "session_timeout", "market_ask_timeout", "market_bid_timeout"],
    ...["alert_resolved", "error.cleared", "failure/recovered", "crash_fixed", "user_logged_out"],
  ];
  assert.equal(others.filter((type) => groupOf(type) === "trouble"), []);
  assert.equal(["order_placed", "a.b", "c"].map(groupOf), ["order", "a", "c"]);
});

test("pairsOf() quotes texts with spaces, which stand after a key, and wordsOf() none", () => {
  const text = 'Traceback\nFile "x.py"\x1b[2J';
  assert.equal(pairsOf({ text, n: 1 }), [["text", '"Traceback File \\"x.py\\"\\u001b[2J"'], ["n", "1"]]);
  assert.equal([wordsOf(text), wordsOf({ a: "b c" })], ['Traceback File "x.py"\\u001b[2J', '{"a":"b c"}']);
});

test.run();
