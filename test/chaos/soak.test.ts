import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { slopeOf, soak } from "./soak.ts";

const test = suite("soak");

test("five seconds of it: every account is exact, and nothing is left open", async () => {
  const { published, connections, delivered } = await soak(5);
  assert.ok(published > 0 && delivered > 0 && connections > 40, `${published}, ${connections}, ${delivered}`);
});

test("the slope is that of the second half, in a minute", () => {
  assert.is(slopeOf([900, 0, 500, 100, 101, 102, 103]), 60);
  assert.is(slopeOf([0, 1000, 7, 7]), 0);
});

test.run();
