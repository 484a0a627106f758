import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { readServeOptions, SERVE_HELP } from "../../src/cli/serve_options.ts";

const test = suite("serve options");

/** The flags whose help ends with their default, in brackets. */
function documentedDefaults(): [flag: string, value: string][] {
  const lines = [...SERVE_HELP.matchAll(/^ {2}(--[\w-]+) [A-Z]+ .*\(([^()]+)\)$/gm)];
  return lines.map(([, flag, value]) => [flag!, value!]);
}

test("readServeOptions() returns the same when a documented default is given", () => {
  const absent = readServeOptions([], {});
  const defaults = documentedDefaults();
  assert.ok(defaults.length >= 14, `the help names ${defaults.length} defaults`);
  for (const [flag, value] of defaults) {
    if (flag === "--stream") continue; // Rejected without --nats: it names a stream there.
    assert.equal(readServeOptions([flag, value], {}), absent, flag);
    const variable = `EVENTS_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
    assert.equal(readServeOptions([], { [variable]: value }), absent, variable);
  }
});

test.run();
