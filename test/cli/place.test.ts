import * as assert from "uvu/assert";
import { readPlace } from "../../src/cli/place.ts";
import { suite } from "../support/suite.ts";

const test = suite("place");

/** Half past two in the afternoon, here. */
const NOW = new Date(2026, 10, 29, 14, 30).getTime();

/** The local time of a place after `--since`. */
function since(text: string): string {
  return new Date(readPlace("since", text, NOW)!).toLocaleString("sv");
}

test("readPlace() takes the last time of day, and dates with a local time", () => {
  assert.is(since("noon"), "2026-11-29 12:00:00");
  assert.is(since("midnight"), "2026-11-29 00:00:00");
  assert.is(since("9:05"), "2026-11-29 09:05:00");
  assert.is(since("14:30"), "2026-11-29 14:30:00");
  assert.is(since("14:30:01"), "2026-11-28 14:30:01");
  assert.is(since("2026-11-28"), "2026-11-28 00:00:00");
  assert.is(since("2026-11-28T12:00"), "2026-11-28 12:00:00");
  assert.is(since("2026-11-28 23:59:58"), "2026-11-28 23:59:58");
  assert.is(readPlace("until", "2026-11-30T12:00", NOW), new Date(2026, 10, 30, 12).toISOString());
});

test("readPlace() leaves ids and times as they are, and makes a duration one back", () => {
  for (const text of ["k3f9-17", "earliest", "latest", "2026-11-28T03:00:00Z", "-10m"]) {
    assert.is(readPlace("since", text, NOW), text);
  }
  assert.is(readPlace("since", "10m", NOW), "-10m");
  assert.is(readPlace("until", "1.5h", NOW), "-1.5h");
  assert.is(readPlace("since", undefined, NOW), undefined);
});

test("readPlace() refuses what is no place, and says it as the help does", () => {
  for (
    const text of [
      "yesterday",
      "25:00",
      "12:60",
      "2026-02-30",
      "2026-13-01T12:00",
      "2026-11-28T24:00",
      "10 m",
    ]
  ) {
    assert.throws(
      () => readPlace("since", text, NOW),
      /^--since takes .* a duration back \(10m\), not "/,
      text,
    );
  }
  for (const text of ["noon", "latest"]) {
    assert.throws(() => readPlace("until", text, NOW), /^--until takes /);
  }
});

test.run();
