import { Hono } from "hono";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { running, startCli } from "../support/children.ts";
import { linesOf, serving } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("replay");

test("replay publishes a recording in the rhythm of its times, and --speed changes it", async () => {
  const channel = createChannel(defineEvents({ note: v.string() }));
  const app = new Hono().route("/events", eventsEndpoint(channel));
  const folder = await mkdtemp(join(tmpdir(), "replay-"));
  const line = (seconds: number, rest: string) =>
    `{${rest},"id":"e-1","time":"${new Date(1e12 + seconds * 1000).toISOString()}"}`;
  const file = join(folder, "events.ndjson");
  const lines = [
    line(0, '"type":"events_start","event":{"heartbeat":5}'),
    line(3600, '"type":"note","subject":"n/1","event":"one"'),
    line(3601, '"type":"note","event":"two"'),
    '{"type":"note","event":"two too"}',
    line(3616, '"type":"note","event":"three"'),
  ];
  await writeFile(file, lines.join("\n"));
  try {
    await serving(app, async (url) => {
      const permissions = [`--allow-read=${folder}`];
      const replay = async (args: string[], input?: string) => {
        const options = { permissions, input: input !== undefined };
        return await running(startCli(["replay", ...args], options), async (child) => {
          if (input !== undefined) child.stdin.end(input);
          const { code } = await child.exit();
          return [code, ...child.stdout.lines, ...child.stderr.lines];
        });
      };
      assert.equal(await replay([file, `${url}/events`, "--speed", "10"]), [0, "4 accepted"]);
      const response = await app.request("/events?since=earliest&follow=false");
      const [, ...events] = await linesOf(response.body!).rest();
      assert.equal(events.map(({ event }) => event), ["one", "two", "two too", "three"]);
      assert.is((events[0] as { subject?: string }).subject, "n/1");
      const [, two, , three] = events.map(({ time }) => Date.parse(time));
      // 1.5 s, of which the request for the one before may have taken a part.
      assert.ok(three! - two! >= 750, `${three! - two!} ms`);
      // Years in a moment.
      const years = [line(0, '"type":"note","event":"a"'), line(1e9, '"type":"note","event":"b"'), ""];
      assert.equal(await replay(["-", `${url}/events`, "--speed", "max"], years.join("\n")), [
        0,
        "2 accepted",
      ]);
      const wrong = ["-", `${url}/events`, "--speed", "fast"];
      assert.equal(await replay(wrong), [
        2,
        'events-endpoint: --speed takes a number above 0, or max, not "fast"',
      ]);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
