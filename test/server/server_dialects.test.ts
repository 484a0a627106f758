/**
 * `serve --dialect`: the front end of each release, attached to the server of the command.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { writeFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Generation } from "../../src/tribler/mod.ts";
import { running, startCli } from "../support/children.ts";
import { until, within } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { FRONT_ENDS } from "../tribler/front_ends.ts";
import { generationPayloads } from "../tribler/generation_payloads.ts";
import { outcome, permissionsFor, withServer } from "./server_process.ts";

const test = suite("server: dialects");

/** Publishes events by POST. */
async function publish(url: string, events: readonly unknown[]): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(events) });
  assert.is(response.status, 202, await response.text());
}

/** What the front end of a generation handles of what the server has. */
async function handledBy(generation: Generation, url: string): Promise<{ type: string; payload: unknown }[]> {
  const response = await within(fetch(`${url}?since=earliest&follow=false`), "the stream");
  const frontEnd = FRONT_ENDS[generation]();
  frontEnd.read(await response.text());
  return [...frontEnd.handled];
}

for (const generation of ["7.4", "7.5", "7.12", "8"] as const) {
  test(`serve --dialect ${generation} serves the front end of that release, and the page beside it`, async () => {
    await withServer(["--dialect", generation], async ({ url, child }) => {
      const path = generation === "8" ? "/api/events" : "/events";
      assert.ok(child.stdout.lines.some((line) => line.endsWith(path)), `${child.stdout.lines}`);
      const { torrent_finished } = generationPayloads[generation];
      await publish(url + path, [{ type: "torrent_finished", event: torrent_finished }]);
      const handled = await handledBy(generation, url + path);
      assert.equal(handled.at(-1), { type: "torrent_finished", payload: torrent_finished });
      const page = await (await fetch(url)).text();
      const [, own] = /<meta name="events" content="(.*)">/.exec(page)!;
      assert.is(own, generation === "8" ? "events" : "events/7.1");
      const standard = await (await fetch(`${url}/${own}?since=earliest&follow=false`)).text();
      assert.match(standard, /^\{"type":"events_start".*\n[^]*"type":"torrent_finished"/);
      const api = await (await fetch(`${url}/openapi.json`)).json();
      assert.ok(path in api.paths && `/${own}` in api.paths);
      const metrics = await (await fetch(`${url}/metrics`)).text();
      assert.ok(metrics.includes(`format="tribler-${generation}"`));
    });
  });
}

test("serve --dialect may be repeated, each with its --path: one channel, several dialects", async () => {
  const args = ["--dialect", "8,7.1", "--dialect", "7.12", "--path", "/api/events", "--path", "/events"];
  await withServer([...args, "--path", "/qt/events"], async ({ url }) => {
    const { torrent_finished } = generationPayloads["8"];
    await publish(`${url}/events`, [{ type: "torrent_finished", event: torrent_finished }]);
    for (
      const [generation, path] of [["8", "/api/events"], ["7.1", "/events"], ["7.12", "/qt/events"]] as const
    ) {
      const [start, finished] = await handledBy(generation, url + path);
      assert.equal(finished, { type: "torrent_finished", payload: torrent_finished });
      // Each front end finds what its own core would say, and that of 7.12 takes nothing else.
      const keys = Object.keys(start!.payload as object).filter((key) => key !== "heartbeat");
      const own: Record<string, string[]> = {
        "7.1": ["tribler_started", "version", "public_key", "sessions"],
        "7.12": ["public_key", "version"],
        "8": ["public_key", "version", "sessions"],
      };
      assert.equal(keys, own[generation]);
    }
  });
});

test("serve --dialect 8 takes the key from the cookie api_key, and answers /api/events/info", async () => {
  await withServer(["--dialect", "8", "--api-key", "a+key="], async ({ url }) => {
    const answer = (cookie: string) =>
      fetch(`${url}/api/events/info`, { headers: { Cookie: cookie } }).then(({ status }) => status);
    assert.equal([await answer("other=1; api_key=a%2Bkey%3D"), await answer("api_key=b")], [200, 401]);
    const info = await fetch(`${url}/api/events/info`, { headers: { "X-Api-Key": "a+key=" } });
    assert.equal(Object.keys(await info.json()), ["public_key", "version", "sessions"]);
  });
  await withServer(["--api-key", "key"], async ({ url }) => {
    const { status } = await fetch(`${url}/events`, { headers: { Cookie: "api_key=key" } });
    assert.is(status, 401, "only the front end of 8 sends it");
  });
});

test("serve --dialect 7.5 --watch-folder publishes corrupt files under the name of that generation", async () => {
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  try {
    await writeFile(join(folder, "bad.torrent"), "bad");
    const args = ["--dialect", "7.5", "--watch-folder", folder, "--corrupt-after", "0"];
    await withServer(args, async ({ url }) => {
      const last = async () => (await handledBy("7.5", `${url}/events`)).at(-1)!;
      await until(async () => (await last()).type === "watch_folder_corrupt_file", "it is published");
      assert.equal((await last()).payload, { name: "bad.torrent" });
    }, permissionsFor(folder));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("serve rejects dialects and paths that do not exist or do not go together, in one line", async () => {
  const rejected: [args: string[], reason: RegExp][] = [
    [["--dialect", "9"], /--dialect takes 7\.1, 7\.4, 7\.5, 7\.12, 8, not "9"/],
    [["--dialect", "7.5,7.12"], /two dialects cannot have the path \/events/],
    [["--dialect", "8,8", "--path", "/a,/b"], /--dialect 8 was given twice/],
    [["--path", "/a", "--path", "/b"], /--path was given 2 times, for 1 dialects/],
    [["--path", "events"], /not "events"/],
    [["--path", "/metrics"], /not "\/metrics"/],
    [["--path", "/a/../b c"], /not "\/a\/\.\.\/b c"/],
    [["--dialect", "8", "--watch-folder", tmpdir()], /--watch-folder/],
  ];
  for (const [args, reason] of rejected) {
    const { code, stderr } = await outcome(["serve", "--port", "0", ...args]);
    assert.is(code, 2, `${args}: ${stderr}`);
    assert.match(stderr.join("\n"), reason);
  }
});

test("serve reads EVENTS_DIALECT and EVENTS_PATH", async () => {
  const env = { EVENTS_DIALECT: "7.12", EVENTS_PATH: "/v7/events" };
  await running(startCli(["serve", "--port", "0"], { env }), async (child) => {
    await until(() => child.stdout.lines.some((line) => line.endsWith("/v7/events")), "it listens");
  });
});

test.run();
