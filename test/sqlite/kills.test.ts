/** The channel in a file, whose process is killed. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { killRepeatedly } from "./kills.ts";

const test = suite("sqlite kills");

/** A fifth of the 200 kills of the gate, which has five runtimes. */
const KILLS = 40;

test("sqliteChannel() keeps every acknowledged event, once and in order, when its process is killed", async () => {
  const { publishing, acknowledged } = await killRepeatedly(KILLS);
  assert.ok(publishing >= KILLS / 2, `${publishing} were killed while they published`);
  assert.ok(acknowledged >= KILLS, `${acknowledged} events`);
});

test.run();
