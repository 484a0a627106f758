/**
 * `events-endpoint serve --nats`: processes beside a NATS server that is stopped and restarted.
 *
 * @module
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type Child, type ChildOptions, running, startCli, whereItListens } from "../support/children.ts";
import { findFreePort, openLines, until, within } from "../support/harness.ts";
import { managerOf, type NatsServer, withConnection, withNats } from "./server.ts";

const test = suite("nats serve");

const FIXTURES = new URL("../../node_modules/webtorrent-fixtures/fixtures/", import.meta.url);

interface Served {
  readonly url: string;
  readonly child: Child;
}

/** Runs `use` beside `events-endpoint serve --nats …`. */
async function onServer(
  nats: Pick<NatsServer, "url">,
  args: readonly string[],
  use: (server: Served) => Promise<void>,
  options?: ChildOptions,
): Promise<void> {
  await running(startCli(["serve", "--port", "0", "--nats", nats.url, ...args], options), async (child) => {
    await use({ url: (await whereItListens(child)).url, child });
  });
}

interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Headers;
}

async function post(url: string, text: string, key?: string): Promise<Answer> {
  const response = await within(
    fetch(`${url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) },
      body: JSON.stringify({ type: "upgrader_tick", event: { text } }),
    }),
    "the answer to a POST",
  );
  return { status: response.status, body: await response.json(), headers: response.headers };
}

async function health(url: string): Promise<{ readonly status: string; readonly problem?: string }> {
  const response = await within(fetch(`${url}/healthz`), "/healthz");
  assert.is(response.status, 200);
  return await response.json();
}

async function degraded(url: string): Promise<string | undefined> {
  const text = await (await within(fetch(`${url}/metrics`), "/metrics")).text();
  return /^events_endpoint_degraded (\d)$/m.exec(text)?.[1];
}

test("serve --nats delivers events and accepts cursors of other servers on the same NATS", () =>
  withNats((nats) =>
    onServer(nats, [], (one) =>
      onServer(nats, [], async (two) => {
        const lines = await openLines(`${two.url}/events?types=upgrader_tick`);
        await lines.event();
        const answer = await post(one.url, "first");
        assert.is(answer.status, 202);
        const event = await lines.event();
        assert.equal([event.event.text, event.id], ["first", answer.body.last_id]);
        await lines.close();
        await post(two.url, "second");
        const resumed = await openLines(
          `${one.url}/events?since=${event.id}&types=upgrader_tick&follow=false`,
        );
        assert.equal((await resumed.rest()).slice(1).map((event) => event.event.text), ["second"]);
        const both = await Promise.all([post(one.url, "third", "k"), post(two.url, "third", "k")]);
        assert.equal(both[0].body, both[1].body);
        for (const { child } of [one, two]) {
          child.signal("SIGTERM");
          assert.equal(await child.exit(), { code: 0, signal: null });
          assert.equal(child.stderr.lines, []);
        }
      }))
  ));

test("serve --stream uses a stream of that name", () =>
  withNats((nats) =>
    onServer(nats, ["--stream", "OTHER"], async ({ url }) => {
      await post(url, "here");
      await withConnection(nats, async (connection) => {
        const streams = await (await managerOf(connection)).streams.names().next();
        assert.equal(streams, ["OTHER"]);
      });
    })
  ));

test("serve --nats reports that NATS is down, rejects events meanwhile, and resumes after it", () =>
  withNats((nats) =>
    onServer(nats, [], async ({ url, child }) => {
      const lines = await openLines(`${url}/events?types=upgrader_tick`);
      await lines.event();
      await post(url, "before");
      assert.is((await lines.event()).event.text, "before");
      assert.equal([await health(url), await degraded(url)], [{ status: "serving" }, "0"]);
      await nats.kill();
      await until(async () => (await health(url)).status === "degraded", "/healthz reports it");
      assert.match((await health(url)).problem!, /NATS/);
      assert.is(await degraded(url), "1");
      await child.stderr.match(/connection to NATS at .* is lost/);
      const rejected = await post(url, "never");
      assert.equal([rejected.status, rejected.body.error.code], [503, "ChannelUnavailable"]);
      assert.match(rejected.headers.get("retry-after")!, /^\d+$/);
      const held = await openLines(`${url}/events?since=earliest&types=upgrader_tick&follow=false`);
      assert.is((await held.rest()).at(-1)!.event.text, "before", "the window is replayed");
      await nats.restart();
      await until(async () => (await health(url)).status === "serving", "/healthz reports serving", 30_000);
      assert.is(await degraded(url), "0");
      await child.stderr.match(/connection to NATS is there again/);
      assert.is((await post(url, "after")).status, 202);
      assert.is((await lines.event()).event.text, "after", "rejected events are not sent later");
      await lines.close();
      await nats.kill();
      child.signal("SIGTERM");
      assert.equal(await child.exit(), { code: 0, signal: null });
    })
  ));

test("serve --nats waits for NATS, reports that once, and stops on SIGTERM", async () => {
  const port = await findFreePort();
  const args = ["serve", "--port", "0", "--nats", `nats://user:s3cret@127.0.0.1:${port}`];
  await running(startCli(args), async (child) => {
    await child.stderr.match(new RegExp(`NATS at 127\\.0\\.0\\.1:${port} cannot be reached: .*tried again`));
    child.signal("SIGTERM");
    assert.equal(await child.exit(), { code: 0, signal: null });
    assert.is(child.stderr.lines.length, 1);
    assert.equal(child.stdout.lines, []);
    assert.not.match(child.stderr.lines.join(), /s3cret/);
  });
  await withNats(async (nats) => {
    await nats.kill();
    await running(startCli(["serve", "--port", "0", "--nats", nats.url]), async (child) => {
      await child.stderr.match(/cannot be reached/);
      await nats.restart();
      const { url } = await whereItListens(child);
      assert.is((await post(url, "late")).status, 202);
    });
  });
});

test("serve --nats stops on SIGTERM while NATS accepts its connection and sends nothing", async () => {
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as AddressInfo;
  const connected = new Promise<Socket>((resolve) => mute.once("connection", resolve));
  try {
    await running(startCli(["serve", "--port", "0", "--nats", `nats://127.0.0.1:${port}`]), async (child) => {
      (await within(connected, "a connection")).on("error", () => {}); // The server cuts it.
      child.signal("SIGTERM");
      assert.equal(await within(child.exit(), "the exit", 5000), { code: 0, signal: null });
      assert.equal(child.stderr.lines, []);
    });
  } finally {
    mute.close();
  }
});

test("serve --nats creates a deleted stream again, and logs that once", () =>
  withNats((nats) =>
    onServer(nats, [], async ({ url, child }) => {
      await post(url, "gone");
      await withConnection(nats, async (connection) => {
        await (await managerOf(connection)).streams.delete("EVENTS");
      });
      await child.stderr.match(/ error the stream EVENTS was replaced/);
      await until(async () => (await post(url, "new")).status === 202, "the new stream accepts events");
      assert.is(child.stderr.lines.length, 1);
    })
  ));

test("serve --nats exits with the reason when the stream cannot hold a channel", () =>
  withNats(async (nats) => {
    await withConnection(nats, async (connection) => {
      await (await managerOf(connection)).streams.add({ name: "EVENTS", subjects: ["wrong.>"] });
    });
    await running(startCli(["serve", "--port", "0", "--nats", nats.url]), async (child) => {
      assert.equal(await child.exit(), { code: 1, signal: null });
      assert.is(child.stderr.lines.length, 1);
      assert.match(
        child.stderr.lines[0]!,
        /^events-endpoint: the stream EVENTS cannot hold a channel: .*subjects/,
      );
    });
  }));

test("serve --watch-folder publishes a torrent once that appeared while NATS was down", async () => {
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  const permissions = [`--allow-read=${folder}`, `--allow-write=${folder}`];
  try {
    await withNats((nats) =>
      onServer(nats, ["--watch-folder", folder, "--corrupt-after", "1"], async ({ url, child }) => {
        const lines = await openLines(`${url}/events?types=torrent_discovered,watch_folder_corrupt_torrent`);
        await lines.event();
        await nats.kill();
        await until(async () => (await health(url)).status === "degraded", "/healthz reports it");
        await writeFile(join(folder, "leaves.torrent"), await readFile(new URL("leaves.torrent", FIXTURES)));
        await writeFile(join(folder, "broken.torrent"), "broken");
        await child.stderr.match(/cannot report ".*leaves\.torrent"/);
        await nats.restart();
        const received = await lines.events(2);
        assert.equal(received.map(({ type, event }) => [type, event.name]).sort(), [
          ["torrent_discovered", "Leaves of Grass by Walt Whitman.epub"],
          ["watch_folder_corrupt_torrent", "broken.torrent"],
        ]);
        await writeFile(join(folder, "sintel.torrent"), await readFile(new URL("sintel.torrent", FIXTURES)));
        assert.is((await lines.event()).event.name, "Sintel.2010.4K.DMRip.x264.DD.DTS.SRT-MaLLIeHbKa.mkv");
        await lines.close();
      }, { permissions })
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
