/**
 * What `serve` does at a second SIGINT or SIGTERM.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { running, startCli, whereItListens } from "../support/children.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("signals");

for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`serve ends at once when ${signal} comes a second time, a second or more after the first`, async () => {
    await running(startCli(["serve", "--port", "0", "--drain", "60"]), async (child) => {
      const { url } = await whereItListens(child);
      const isDraining = async () => (await fetch(`${url}/healthz`)).status === 503;
      child.signal(signal);
      child.signal(signal); // npm passes on what a terminal has sent to the whole group.
      await until(isDraining, "it drains");
      const begin = performance.now();
      await until(async () => {
        assert.ok(await isDraining(), "signals in the same second are one");
        return performance.now() - begin > 1050;
      }, "a second has passed");
      child.signal(signal);
      assert.equal(await child.exit(3000), { code: exitCode, signal: null });
    });
  });
}

test.run();
