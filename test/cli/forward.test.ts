import { Hono } from "hono";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { openStateFile } from "../../src/cli/state_file.ts";
import { createChannel, defineEvents, type EndpointOptions, eventsEndpoint } from "../../src/mod.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { type Child, type Exit, running, startCli } from "../support/children.ts";
import { findFreePort, linesOf, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("forward");

const catalogue = defineEvents({ note: v.string(), tick: v.number() });
const KEPT = 200;

/** A key that every hub takes for publishing alone. */
const PUBLISH_KEY = "publ1sh";

/** A hub with a key, on a port that stays the same when it is stopped and started again. */
async function createHub(key: string, options: EndpointOptions<typeof catalogue.schemas> = {}) {
  const channel = createChannel(catalogue, { history: { events: KEPT } });
  const port = await findFreePort();
  const app = new Hono();
  /** The key of each request that was accepted, and what is called after it. */
  const keys: string[] = [];
  const hooks: { onAccepted?: (() => void) | undefined } = {};
  app.use(async (c, next) => {
    const error = { handled: true, code: "Unauthorized", message: "who are you?" };
    const given = c.req.header("X-Api-Key");
    if (given !== key && !(given === PUBLISH_KEY && c.req.method === "POST")) return c.json({ error }, 401);
    await next();
    if (c.req.method !== "POST" || c.res.status !== 202) return;
    keys.push(c.req.header("Idempotency-Key")!);
    hooks.onAccepted?.();
  });
  app.route("/events", eventsEndpoint(channel, { heartbeat: 5, ...options }));
  let server: Awaited<ReturnType<typeof listen>> | undefined;
  return {
    channel,
    keys,
    hooks,
    url: `http://127.0.0.1:${port}/events`,
    start: async () => void (server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port })),
    stop: async () => await server?.stop(0),
    /** The payloads of all events, with their subjects. */
    events: async () => {
      const headers = { "X-Api-Key": key };
      const response = await app.request("/events?since=earliest&follow=false", { headers });
      const [, ...events] = await linesOf(response.body!).rest();
      return events.map((event) => [(event as { subject?: string }).subject, event.event]);
    },
  };
}

type Hub = Awaited<ReturnType<typeof createHub>>;

function publish({ channel }: Hub, first: number, last: number): void {
  for (let n = first; n <= last; n++) {
    channel.publishBatch([{ type: "note", subject: `n/${n}`, event: `note ${n}` }]);
  }
}

const expected = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => [`n/${first + n}`, `note ${first + n}`]);

/** Runs `use` in a folder of its own. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "forward-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("openStateFile() returns what was written, and refuses a file that is something else, in use or cannot be written", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "state");
    const file = await openStateFile<{ n: number }>(path, "a");
    assert.is(file.state, undefined);
    await Promise.all([file.write({ n: 1 }), file.write({ n: 2 }, true)]);
    file.close();
    const again = await openStateFile(path, "a");
    assert.equal(again.state, { n: 2 });
    again.close();
    const rejected = async (path: string, kind: string, pattern: RegExp) => {
      const error = await openStateFile(path, kind).then(() => undefined, (error: Error) => error);
      assert.match(error?.message ?? "", pattern);
    };
    await rejected(path, "b", /is that of "a"/);
    await writeFile(join(folder, "other"), '{"n":1}');
    await rejected(join(folder, "other"), "a", /is no state file/);
    await writeFile(join(folder, "torn"), '{"of":"a');
    await rejected(join(folder, "torn"), "a", /is no state file/);
    await rejected(folder, "a", /cannot read the state file/);
    await rejected(join(folder, "no", "state"), "a", /^cannot write the state file \S+: .*ENOENT/);
    const held = await openStateFile(path, "a");
    await rejected(path, "a", /^the state file \S+ is in use: the process \d+ is using it$/);
    held.close();
    assert.equal((await readdir(folder)).filter((name) => name.includes(".lock-")), []);
  });
});

test("forward publishes each event once and in order, over kill -9 and restarts of both servers, and counts losses", async () => {
  const [source, target] = [await createHub("s0urce"), await createHub("t4rget")];
  await inFolder(async (folder) => {
    const state = join(folder, "state");
    const env = { EVENTS_FROM_API_KEY: "s0urce" };
    const permissions = [`--allow-read=${folder}`, `--allow-write=${folder}`];
    const start = (key = "t4rget") =>
      startCli(["forward", source.url, target.url, "--state", state, "--to-api-key", key], {
        env,
        permissions,
      });
    const arrived = (count: number) => until(() => target.channel.last === count, `${count} events arrived`);
    try {
      await Promise.all([source.start(), target.start()]);
      publish(source, 1, 50);
      // It is killed when the target has accepted the batch, and has not answered.
      let child: Child = start();
      await running(child, async () => {
        target.hooks.onAccepted = () => child.signal("SIGKILL");
        await child.exit();
      });
      target.hooks.onAccepted = undefined;
      assert.equal(await target.events(), expected(1, 50));
      assert.is(JSON.parse(await readFile(state, "utf8")).batch.events.length, 50);
      publish(source, 51, 60);
      child = start();
      await running(child, async () => {
        await arrived(60);
        assert.is(target.keys[1], target.keys[0]);
        await source.stop();
        publish(source, 61, 70);
        await source.start();
        await arrived(70);
        await target.stop();
        publish(source, 71, 80);
        await child.stderr.match(/cannot reach .*; trying again$/);
        await target.start();
        await arrived(80);
        child.signal("SIGINT");
        assert.equal(await child.exit(), { code: 0, signal: null });
        assert.equal(child.stdout.lines, ["80 forwarded, 0 lost"]);
      });
      assert.equal(await target.events(), expected(1, 80));
      // More than the source keeps.
      publish(source, 81, 80 + KEPT + 7);
      child = start();
      await running(child, async () => {
        await arrived(80 + KEPT);
        await child.stderr.match(/events_lost: 7 events are missing$/);
        child.signal("SIGTERM");
        assert.equal(await child.exit(), { code: 3, signal: null } satisfies Exit);
        assert.is(child.stderr.lines.at(-1), `events-endpoint: ${80 + KEPT} forwarded, 7 lost`);
      });
      assert.equal((await target.events()).at(-1), expected(1, 80 + KEPT + 7).at(-1));
      publish(source, 1, 1);
      child = start("wr0ng");
      await running(child, async () => {
        assert.is((await child.exit()).code, 1);
        assert.equal(child.stderr.lines, [
          "events-endpoint: Unauthorized: who are you?: give the key by --to-api-key or EVENTS_TO_API_KEY",
          "events-endpoint: 1 event is not confirmed: --state has kept what is sent first at the next start",
          `events-endpoint: ${80 + KEPT} forwarded, 7 lost`,
        ]);
      });
    } finally {
      await Promise.all([source.stop(), target.stop()]);
    }
  });
});

/** Starts `forward` from one hub to the other, with a state file in the folder. */
function startForward(from: Hub, to: Hub, folder: string, args: readonly string[], toKey = "t4rget"): Child {
  return startCli(["forward", from.url, to.url, "--state", join(folder, "state"), ...args], {
    env: { EVENTS_FROM_API_KEY: "s0urce", EVENTS_TO_API_KEY: toKey },
    permissions: [`--allow-read=${folder}`, `--allow-write=${folder}`],
  });
}

test("forward looks for events that had no answer when TO may have forgotten their key, and repeats none that are there", async () => {
  const [source, target] = [await createHub("s0urce"), await createHub("t4rget", { idempotencyWindow: 0.1 })];
  await inFolder(async (folder) => {
    const path = join(folder, "state");
    const changeState = async (change: (state: Record<string, unknown>) => void) => {
      const state = JSON.parse(await readFile(path, "utf8"));
      change(state);
      await writeFile(path, JSON.stringify(state));
    };
    const sentAt = Date.now() - 200_000;
    const other = () => target.channel.publish("note", "of another publisher", { subject: "other" });
    const OTHER = ["other", "of another publisher"];
    const account = async (child: Child, count: number, code: number) => {
      await until(() => target.channel.last === count, `${count} events arrived`);
      // The state has what was confirmed.
      await until(async () => !(await readFile(path, "utf8")).includes("batch"), "the batch is confirmed");
      child.signal("SIGINT");
      assert.is((await child.exit()).code, code);
    };
    try {
      await Promise.all([source.start(), target.start()]);
      other();
      publish(source, 1, 50);
      await running(startForward(source, target, folder, []), async (child) => {
        target.hooks.onAccepted = () => child.signal("SIGKILL");
        await child.exit();
      });
      target.hooks.onAccepted = undefined;
      other();
      await changeState((state) => state["batch"] = { ...state["batch"] as object, sentAt });
      publish(source, 51, 51);
      await running(startForward(source, target, folder, []), async (child) => {
        await child.stderr.match(
          /: 50 events of 2\d\d s ago had no answer, and \S+ has them: they are not sent again$/,
        );
        await account(child, 53, 0);
        assert.equal(child.stdout.lines, ["51 forwarded, 0 lost"]);
      });
      assert.equal(await target.events(), [OTHER, ...expected(1, 50), OTHER, ...expected(51, 51)]);
      // As when it was killed before the request was sent.
      publish(source, 52, 52);
      const cursor = `${source.channel.epoch}-52`;
      const events = [{ place: "", text: '{"type":"note","subject":"n/52","event":"note 52"}' }];
      const killBefore = (key: string) =>
        changeState((state) => state["batch"] = { key, events, cursor, sentAt });
      await killBefore("a");
      other();
      await running(startForward(source, target, folder, []), async (child) => {
        await account(child, 55, 0);
        assert.equal([child.stdout.lines, child.stderr.lines], [["52 forwarded, 0 lost"], []]);
      });
      assert.equal((await target.events()).slice(-2), [OTHER, ...expected(52, 52)]);
      await killBefore("b");
      await running(startForward(source, target, folder, [], PUBLISH_KEY), async (child) => {
        await account(child, 56, 3);
        assert.match(child.stderr.lines[0]!, /1 event of .* cannot be looked for there: they are sent again/);
        assert.is(child.stderr.lines.at(-1), "events-endpoint: 53 forwarded, 0 lost, 1 perhaps twice");
      });
    } finally {
      await Promise.all([source.stop(), target.stop()]);
    }
  });
});

test("forward selects events as tail does, and refuses a state file that another process is using", async () => {
  const [source, target] = [await createHub("s0urce"), await createHub("t4rget")];
  await inFolder(async (folder) => {
    try {
      await Promise.all([source.start(), target.start()]);
      publish(source, 1, 20);
      source.channel.publish("tick", 1, { subject: "n/3" });
      const range = ["--subject", "n/1*", "--subject", "n/3", "--types", "note", "--last", "9"];
      const child = startForward(source, target, folder, [...range, "--limit", "10"]);
      await running(child, async () => {
        await until(() => target.channel.last === 9, "nine events arrived");
        const second = startForward(source, target, folder, []);
        await running(second, async () => {
          assert.is((await second.exit()).code, 1);
          assert.match(
            second.stderr.lines.join("\n"),
            /^events-endpoint: the state file \S+ is in use: the process \d+ is using it$/,
          );
        });
        child.signal("SIGKILL");
        await child.exit();
      });
      publish(source, 3, 4);
      // What was killed does not hold the file, and the first start is over: --last has no effect.
      await running(startForward(source, target, folder, [...range, "--limit", "1"]), async (child) => {
        assert.is((await child.exit()).code, 0);
        assert.equal(child.stdout.lines, ["10 forwarded, 0 lost"]);
      });
      assert.equal(await target.events(), [...expected(11, 19), ...expected(3, 3)]);
    } finally {
      await Promise.all([source.stop(), target.stop()]);
    }
  });
});

test("forward exits with 2 and one line when the command line is not valid", async () => {
  const url = "http://127.0.0.1:1/events";
  await running(startCli(["forward", url, url]), async (child) => {
    assert.is((await child.exit()).code, 2);
    assert.equal(child.stderr.lines, ["events-endpoint: FROM and TO are the same address"]);
  });
});

test.run();
