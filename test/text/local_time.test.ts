import process from "node:process";
import * as assert from "uvu/assert";
import { lastTimeOfDay, localTime } from "../../src/text/local_time.ts";
import { suite } from "../support/suite.ts";

const test = suite("local_time");

/** Runs `use` where the clock goes from 02:00 to 03:00 on 2026-03-29. */
function inBerlin(use: () => void): void {
  const { TZ } = process.env;
  process.env["TZ"] = "Europe/Berlin";
  try {
    use();
  } finally {
    if (TZ === undefined) delete process.env["TZ"];
    else process.env["TZ"] = TZ;
  }
}

test("lastTimeOfDay() is yesterday's for a time that has not been today, also where today skips it", () => {
  inBerlin(() => {
    const last = (text: string, now: string) => {
      const time = lastTimeOfDay(text, Date.parse(now));
      return time === undefined ? undefined : new Date(time).toISOString().slice(0, 16);
    };
    assert.is(last("02:30", "2026-03-29T03:10+02:00"), "2026-03-28T01:30");
    assert.is(last("02:30", "2026-03-30T02:10+02:00"), "2026-03-29T01:30"); // 03:30: the day before has no 02:30.
    // From 03:00 the clock goes back to 02:00.
    assert.is(last("02:30", "2026-10-25T02:40+02:00"), "2026-10-25T00:30");
    assert.is(last("02:30", "2026-10-25T02:10+01:00"), "2026-10-25T00:30");
    assert.is(last("02:30", "2026-10-25T02:40+01:00"), "2026-10-25T01:30");
    assert.is(last("02:30", "2026-10-26T01:00+01:00"), "2026-10-25T01:30");
    assert.is(last("23:50", "2026-03-29T03:10+02:00"), "2026-03-28T22:50");
    assert.is(last("14:30", "2026-03-01T14:00+01:00"), "2026-02-28T13:30");
    assert.is(last("Noon", "2026-11-28T12:00+01:00"), "2026-11-28T11:00");
    assert.is(last("midnight", "2026-11-28T12:00+01:00"), "2026-11-27T23:00");
    for (const text of ["25:00", "12:60", "12", "constructor", ""]) {
      assert.is(last(text, "2026-11-28T12:00Z"), undefined);
    }
  });
});

test("localTime() reads days that exist", () => {
  inBerlin(() => {
    assert.is(localTime("2026-02-28"), Date.parse("2026-02-28T00:00+01:00"));
    assert.is(localTime("2026-11-28 12:00:05"), Date.parse("2026-11-28T12:00:05+01:00"));
    assert.is(localTime("2026-02-30"), undefined);
    assert.is(localTime("12:00"), undefined);
  });
});

test.run();
