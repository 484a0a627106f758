import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { slopeOf, soak } from "./soak.ts";

const test = suite("soak");

test("serve delivers each event once to every reader of five seconds under load, and leaves nothing open", async () => {
  const { published, connections, delivered } = await soak(5);
  assert.ok(published > 0 && delivered > 0 && connections > 40, `${published}, ${connections}, ${delivered}`);
});

test("slopeOf() measures the second half, in KiB a minute", () => {
  assert.is(slopeOf([900, 0, 500, 100, 101, 102, 103]), 60);
  assert.is(slopeOf([0, 1000, 7, 7]), 0);
});

test.run();
