import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import type { StreamEnd } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { createLog } from "../../src/server/log.ts";
import { createSession, type Session } from "../../src/tribler/mod.ts";
import { readBlocks } from "../docs/blocks.ts";
import { type Child, running, startProgram } from "../support/children.ts";
import { findFreePort, linesOf, openLines, serving, until, within } from "../support/harness.ts";

const test = suite("nginx");

/** The block of this language on the page about production, as a reader would copy it. */
async function fromPage(language: string): Promise<string> {
  const block = (await readBlocks("docs/production.md")).find((block) => block.language === language);
  if (block === undefined) throw new Error(`docs/production.md has no block of ${language}`);
  return block.text;
}

/** The page recommends a key. */
const KEY = "s3cret";
const WITH_KEY = { "X-Api-Key": KEY };

interface Proxied {
  /** The proxy. */
  readonly url: string;
  readonly session: Session;
  /** The streams of that server which are over. */
  readonly ends: readonly StreamEnd[];
  /** How many streams the server behind it has. */
  subscribers(): Promise<number>;
}

/** Starts a proxy, its files in a folder of its own: from that folder, its own port, and the server's. */
type StartProxy = (folder: string, port: number, upstream: number) => Promise<Child>;

/** Runs `use` with a server behind a proxy. */
async function behind(start: StartProxy, use: (proxied: Proxied) => Promise<void>): Promise<void> {
  const session = createSession({ version: "7.1.5" });
  const ends: StreamEnd[] = [];
  const log = { ...createLog("off"), streamEnded: (end: StreamEnd) => void ends.push(end) };
  const app = createApp(session, { heartbeat: 0.2, apiKey: KEY, clientAddressHeader: "X-Real-IP", log });
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await serving(app, async (direct, upstream) => {
      const port = await findFreePort();
      const url = `http://127.0.0.1:${port}`;
      await running(await start(folder, port, upstream), async (proxy) => {
        const answers = () => fetch(`${url}/healthz`).then(({ status }) => status === 200, () => false);
        try {
          await until(answers, "the proxy answers");
        } catch (error) {
          throw new Error(`${(error as Error).message}: ${proxy.stderr.lines.join("\n")}`);
        }
        const subscribers = async () => {
          const metrics = await (await fetch(`${direct}/metrics`, { headers: WITH_KEY })).text();
          const counts = [...metrics.matchAll(/^events_endpoint_subscribers\{.*\} (\d+)$/gm)];
          return counts.reduce((sum, [, count]) => sum + Number(count), 0);
        };
        await use({ url, session, ends, subscribers });
      });
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** nginx with these lines, and nothing but its defaults around them. */
const nginx = (block: string): StartProxy => async (folder, port, upstream) => {
  const lines = block.replaceAll("127.0.0.1:8085", `127.0.0.1:${upstream}`);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  const config = `
    pid ${folder}/pid;
    events {}
    http {
      access_log off;
      ${paths.join("\n")}
      server {
        listen 127.0.0.1:${port};
        ${lines}
      }
    }`;
  await writeFile(join(folder, "nginx.conf"), config);
  const path = `${process.env["PATH"]}:/usr/sbin`;
  const args = [
    "-p",
    folder,
    "-c",
    join(folder, "nginx.conf"),
    "-e",
    "stderr",
    "-g",
    "daemon off; master_process off;",
  ];
  return startProgram("nginx", args, { env: { PATH: path } });
};

/** Caddy with the lines of the page, on a port of this machine in place of a name on the internet. */
const caddy: StartProxy = async (folder, port, upstream) => {
  const lines = (await fromPage("caddyfile"))
    .replaceAll("127.0.0.1:8085", `127.0.0.1:${upstream}`)
    .replace("events.example.org", `http://127.0.0.1:${port}`);
  await writeFile(join(folder, "Caddyfile"), `{\n\tadmin off\n}\n${lines}`);
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  return startProgram("caddy", ["run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"], {
    env,
  });
};

/** What has to hold behind every proxy. */
async function eventsArrive(
  { url, session, ends, subscribers }: Proxied,
  passesAddress = true,
): Promise<void> {
  // NDJSON: the head at once, each event before the next is published, and in silence the heartbeats.
  const lines = await openLines(`${url}/events`, { headers: WITH_KEY });
  assert.is((await lines.event()).type, "events_start");
  for (let n = 0; n < 5; n++) {
    session.emit("upgrader_tick", { text: `${n}` });
    assert.equal((await lines.event()).event, { text: `${n}` });
  }
  for (let beat = 0; beat < 3; beat++) assert.is(await lines.next(), "");
  session.emit("upgrader_tick", { text: "after a silence" });
  const last = await lines.event();
  assert.equal(last.event, { text: "after a silence" });

  // SSE, the same.
  const response = await within(
    fetch(`${url}/events`, { headers: { ...WITH_KEY, Accept: "text/event-stream" } }),
    "SSE",
  );
  assert.is(response.headers.get("content-type"), "text/event-stream");
  const sse = linesOf(response.body!);
  const line = async (pattern: RegExp) => {
    for (let next; (next = await sse.next()) !== undefined;) if (pattern.test(next)) return next;
    throw new Error(`the stream ended without ${pattern}`);
  };
  await line(/^event: events_start$/);
  for (let beat = 0; beat < 2; beat++) await line(/^:$/);
  for (let n = 0; n < 5; n++) {
    session.emit("upgrader_tick", { text: `sse ${n}` });
    assert.match(await line(/^data: .*upgrader_tick/), new RegExp(`"sse ${n}"`));
  }

  // A resume, a POST and a refusal pass too.
  const resumed = await openLines(`${url}/events?follow=false`, {
    headers: { ...WITH_KEY, "Last-Event-ID": last.id },
  });
  const [, ...missed] = await resumed.rest();
  assert.equal(missed.map(({ event }) => event.text), [0, 1, 2, 3, 4].map((n) => `sse ${n}`));
  const posted = await fetch(`${url}/events`, {
    method: "POST",
    headers: { ...WITH_KEY, "Content-Type": "application/json" },
    body: '{"type":"upgrader_started"}',
  });
  assert.is(posted.status, 202, await posted.text());
  await line(/^event: upgrader_started$/);
  const refused = await fetch(`${url}/events?since=nonsense`, { headers: WITH_KEY });
  assert.equal([refused.status, (await refused.json()).error.code], [400, "InvalidCursor"]);

  const stranger = await fetch(`${url}/events`);
  assert.equal([stranger.status, (await stranger.json()).error.code], [401, "Unauthorized"]);

  // A client that disconnects from the proxy is disconnected from the server.
  assert.is(await subscribers(), 2);
  await lines.close();
  await sse.close();
  await until(async () => await subscribers() === 0, "no subscriber is left");
  assert.equal(ends.map(({ reason }) => reason), ["completed", "disconnected", "disconnected"]);
  if (passesAddress) { for (const { address } of ends) assert.is(address, "127.0.0.1"); }

  // A server that closes ends the stream that the proxy passes on, on a whole line.
  const closing = await openLines(`${url}/events`, { headers: WITH_KEY });
  await closing.event();
  session.channel.close();
  assert.equal(await closing.rest(), []);
}

test("serve streams events at once behind nginx with its default buffering", async () => {
  await behind(nginx(await fromPage("nginx")), (proxied) => eventsArrive(proxied));
});

test("serve streams events at once behind nginx with proxy_pass alone, whose requests are HTTP/1.0", async () => {
  // nginx would hold back what does not fill a buffer; a header of the response disables that.
  await behind(
    nginx("location / { proxy_pass http://127.0.0.1:8085; }"),
    (proxied) => eventsArrive(proxied, false),
  );
});

test("serve streams events at once behind Caddy", async () => {
  await behind(caddy, (proxied) => eventsArrive(proxied));
});

test.run();
