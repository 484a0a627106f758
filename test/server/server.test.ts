import { Hono } from "hono";
import { copyFile, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { readServeOptions, type ServeOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { eventsEndpoint } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { createSession, triblerEvents } from "../../src/tribler/mod.ts";
import {
  type Child,
  type ChildOptions,
  type Exit,
  running,
  startCli,
  startProgram,
  whereItListens,
} from "../support/children.ts";
import {
  type Dictionary,
  findFreePort,
  type Lines,
  openLines,
  openWire,
  serving,
  timersLeftBy,
  until,
  type Wire,
  within,
} from "../support/harness.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const FIXTURES = fileURLToPath(new URL("../../node_modules/webtorrent-fixtures/fixtures/", import.meta.url));
const GET = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const test = suite("server");

interface Served {
  readonly url: string;
  readonly port: number;
  readonly child: Child;
}

/** Runs `use` beside `events-endpoint serve --port 0 …`. */
async function withServer(
  args: readonly string[],
  use: (server: Served) => Promise<void>,
  options?: ChildOptions,
): Promise<void> {
  await running(startCli(["serve", "--port", "0", ...args], options), async (child) => {
    await use({ ...await whereItListens(child), child });
  });
}

/** Runs the command to its end. */
async function outcome(args: readonly string[], options?: ChildOptions) {
  return await running(startCli(args, options), async (child): Promise<Exit & Printed> => {
    return { ...await child.exit(), stdout: child.stdout.lines, stderr: child.stderr.lines };
  });
}

interface Printed {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** Fails unless the command ends with this code after one line that matches, on stderr. */
async function refuses(
  args: readonly string[],
  code: number,
  reason: RegExp,
  options?: ChildOptions,
): Promise<void> {
  const result = await outcome(args, options);
  const what = `${args.join(" ")}: ${JSON.stringify(result)}`;
  assert.is(result.code, code, what);
  assert.equal(result.stdout, [], what);
  assert.is(result.stderr.length, 1, what);
  assert.ok(result.stderr[0]!.startsWith("events-endpoint: "), what);
  assert.match(result.stderr[0]!, reason);
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const response = await within(
    fetch(`${url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
    "the answer to a POST",
  );
  const answer = await response.text();
  assert.is(response.status, 202, answer);
}

function exceptions(count: number, bytes = 0): { type: string; event: { text: string } }[] {
  const text = "x".repeat(bytes);
  return Array.from(
    { length: count },
    (_, n) => ({ type: "tribler_exception", event: { text: `${n}${text}` } }),
  );
}

function texts(events: readonly { type: string; event?: { text: string } }[]): string[] {
  return events.filter(({ type }) => type === "tribler_exception").map(({ event }) => event?.text ?? "");
}

/** The next event, which is of this type. A stream has heartbeats, so that its lines alone never are too late. */
async function told(lines: Lines, type: string, ms?: number): Promise<Dictionary> {
  const event = await within(lines.event(), type, ms);
  assert.is(event.type, type);
  return event;
}

/** What a stream that does not follow carries, `events_start` included. */
async function keptSince(url: string, since: string): Promise<Dictionary[]> {
  const lines = await openLines(`${url}/events?since=${since}&follow=false`);
  return await within(lines.rest(), "the end of what is kept");
}

/** Runs `use` with a new folder, and removes it. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function permissionsFor(folder: string): ChildOptions {
  return { permissions: [`--allow-read=${folder}`, `--allow-write=${folder}`] };
}

/** Runs `use` with a port that is taken. */
async function withTakenPort(use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test("says where it listens, and serves there", async () => {
  await withServer([], async ({ url, port, child }) => {
    assert.is(url, `http://127.0.0.1:${port}`);
    assert.equal(child.stdout.lines.length, 1);
    const lines = await openLines(`${url}/events`);
    const start = await told(lines, "events_start");
    assert.equal(start.event, { tribler_started: true, version: start.event.version, heartbeat: 5 });
    assert.match(start.event.version, /^\d+\.\d+\.\d+/);
    await lines.close();
    assert.equal(child.stderr.lines, []);
  });
});

test("--help and --version say what they are asked, and end well", async () => {
  const flags = [
    "--host",
    "--port",
    "--watch-folder",
    "--heartbeat",
    "--history",
    "--history-bytes",
    "--api-key",
  ];
  flags.push(
    "--cors-origin",
    "--max-connections",
    "--max-connections-per-address",
    "--client-address-header",
  );
  flags.push(
    "--stall-timeout",
    "--max-body-bytes",
    "--max-batch",
    "--max-depth",
    "--idempotency-window",
    "--drain",
    "--help",
  );
  const [help, short, none, serveHelp, version] = await Promise.all(
    [["--help"], ["-h"], [], ["serve", "--help"], ["--version"]].map((args) => outcome(args)),
  );
  for (const { code, stderr } of [help!, short!, none!, serveHelp!, version!]) {
    assert.is(code, 0);
    assert.equal(stderr, []);
  }
  assert.match(help!.stdout.join("\n"), /events-endpoint serve/);
  assert.equal(short!.stdout, help!.stdout);
  assert.equal(none!.stdout, help!.stdout);
  for (const flag of flags) assert.match(serveHelp!.stdout.join("\n"), new RegExp(`${flag}\\b`));
  assert.is(version!.stdout.length, 1);
  assert.match(version!.stdout[0]!, /^\d+\.\d+\.\d+/);
});

test("a command line that means nothing: one line that says what, and exit code 2", async () => {
  await Promise.all([
    refuses(["serve", "--nope"], 2, /--nope/),
    refuses(["serve", "--port"], 2, /--port/),
    refuses(["serve", "--port", "eighty"], 2, /--port .* from 0 to 65535, not "eighty"/),
    refuses(["serve", "extra"], 2, /extra/),
    refuses(["frobnicate"], 2, /no command "frobnicate"/),
    refuses(["serve"], 2, /EVENTS_HEARTBEAT .*"soon"/, {
      env: { EVENTS_PORT: "0", EVENTS_HEARTBEAT: "soon" },
    }),
  ]);
});

test("every value that means nothing is refused, from the command line and from the environment", () => {
  const bad: Record<string, string[]> = {
    host: [""],
    port: ["65536", "1.5", "-1", "x", "", " ", "NaN", "Infinity", "0x10"],
    heartbeat: ["0", "-1", "x", "", "Infinity", "OFF", "86401", "1e2"],
    history: ["0", "-5", "2.5", "x", "", "Infinity"],
    "history-bytes": ["1023", "x", ""],
    "api-key": ["", "two words", "k\u00e9y", "line\n"],
    "cors-origin": [
      "*",
      "null",
      "https://x.example/",
      "https://x.example/path",
      "x.example",
      "https://X.example",
    ],
    "max-connections": ["0", "x", "", "1.5"],
    "max-connections-per-address": ["0", "x", "-1"],
    "client-address-header": ["X Real IP", "X-Real-IP:"],
    "stall-timeout": ["0", "x", ""],
    "max-body-bytes": ["0", "x", ""],
    "max-batch": ["0", "x", ""],
    "max-depth": ["0", "1001", "x", ""],
    "idempotency-window": ["0", "x", ""],
    drain: ["-1", "x", "", "off", "86401"],
  };
  const names: string[] = [];
  for (const [flag, values] of Object.entries(bad)) {
    for (const value of values) {
      names.push(`${flag} ${value}`);
      const refusedBy = (name: string) => (error: unknown) =>
        error instanceof UsageError && error.message.startsWith(`${name} `);
      assert.throws(
        () => readServeOptions([`--${flag}=${value}`], {}),
        refusedBy(`--${flag}`),
        `${flag} ${value}`,
      );
      const variable = `EVENTS_${flag.toUpperCase().replaceAll("-", "_")}`;
      if (value === "") continue; // A variable that is empty is one that is not set.
      assert.throws(
        () => readServeOptions([], { [variable]: value }),
        refusedBy(variable),
        `${variable} ${value}`,
      );
    }
  }
  assert.is(names.length, 67);
  const defaults = {
    host: "127.0.0.1",
    port: 8085,
    watchFolder: undefined,
    heartbeat: 5,
    history: 100_000,
    historyBytes: 32 * 1024 * 1024,
    nats: undefined,
    stream: "EVENTS",
    apiKey: undefined,
    corsOrigins: [] as readonly string[],
    maxConnections: 10_000,
    maxConnectionsPerAddress: 1000,
    clientAddressHeader: undefined,
    stallTimeout: 60,
    maxBodyBytes: 1024 * 1024,
    maxBatch: 10_000,
    maxDepth: 64,
    idempotencyWindow: 120,
    drain: 0,
    log: "text",
  };
  assert.equal(readServeOptions([], {}), defaults);
  const empty = {
    EVENTS_HOST: "",
    EVENTS_PORT: "",
    EVENTS_WATCH_FOLDER: "",
    EVENTS_HEARTBEAT: "",
    EVENTS_HISTORY: "",
  };
  assert.equal(readServeOptions([], empty), defaults);
  assert.equal(readServeOptions(["--heartbeat", "off"], {}), { ...defaults, heartbeat: null });
  assert.equal(readServeOptions([], { EVENTS_DRAIN: "2.5" }), { ...defaults, drain: 2.5 });
  assert.is(readServeOptions(["--help"], { EVENTS_PORT: "x" }), "help");
  const off = {
    stallTimeout: null,
    idempotencyWindow: null,
    maxConnections: null,
    maxConnectionsPerAddress: null,
  };
  assert.equal(
    readServeOptions(
      ["--stall-timeout=off", "--idempotency-window=off"].concat(
        ["--max-connections=off", "--max-connections-per-address=off"],
      ),
      { EVENTS_CORS_ORIGIN: "https://a.example, http://localhost:3000", EVENTS_API_KEY: "k" },
    ),
    { ...defaults, ...off, corsOrigins: ["https://a.example", "http://localhost:3000"], apiKey: "k" },
  );
  const repeated = [
    "--cors-origin",
    "https://a.example",
    "--cors-origin=https://b.example,https://c.example",
  ];
  assert.equal(
    (readServeOptions(repeated, { EVENTS_CORS_ORIGIN: "https://d.example" }) as typeof defaults).corsOrigins,
    ["https://a.example", "https://b.example", "https://c.example"],
  );
});

test("the servers of NATS are named as URLs, in which user and password may stand", () => {
  const read = (...args: string[]) => readServeOptions(["--nats", ...args], {}) as ServeOptions;
  const nobody = { tls: false, user: undefined, password: undefined };
  assert.equal(read("nats://one").nats, { ...nobody, addresses: ["one:4222"] });
  const several = read("nats://10.0.0.1:4223, nats://[::1]:4224/", "--stream", "SHOP_2");
  assert.equal(several.nats, { ...nobody, addresses: ["10.0.0.1:4223", "[::1]:4224"] });
  assert.is(several.stream, "SHOP_2");
  const known = { addresses: ["h:4222", "i:4222"], tls: true, user: "u", password: "p@ss" };
  assert.equal(read("tls://u:p%40ss@h,tls://i").nats, known);
  assert.equal(read("nats://t0ken@h").nats, { ...nobody, addresses: ["h:4222"], user: "t0ken" });
  const { nats, stream } = readServeOptions([], {
    EVENTS_NATS: "nats://h",
    EVENTS_STREAM: "S",
  }) as ServeOptions;
  assert.equal([nats?.addresses, stream], [["h:4222"], "S"]);
  assert.is((readServeOptions([], { EVENTS_NATS: "" }) as ServeOptions).nats, undefined);
  const wrong = ["", "h:4222", "http://h", "nats://", "nats://h,", "nats://secret@h,x"];
  for (const url of [...wrong, "nats://h/S", "nats://h?tls=true", "nats://h#S"]) {
    try {
      read(url);
      assert.unreachable(url);
    } catch (error) {
      assert.match((error as Error).message, /^--nats takes nats:\/\/HOST:PORT/, url);
      assert.not.match((error as Error).message, /secret/);
    }
  }
  assert.throws(() => read("nats://100%@h"), /--nats.*%25/);
  assert.throws(() => read("nats://h", "--stream", "a.b"), /--stream.*"a\.b"/);
  assert.throws(() => readServeOptions(["--stream", "S"], {}), /--stream .*--nats/);
});

test("an API key is wanted on the wire, and is nowhere to be seen", async () => {
  const KEY = "open-sesame";
  for (const [args, env] of [[["--api-key", KEY], {}], [[], { EVENTS_API_KEY: KEY }]] as const) {
    await withServer(args, async ({ url, child }) => {
      for (const query of ["", "?key=wrong", "?since=nonsense"]) {
        const refused = await within(fetch(`${url}/events${query}`), "a refusal");
        assert.is(refused.status, 401);
        assert.is(refused.headers.get("www-authenticate"), "Bearer");
        assert.not((await refused.text()).includes(KEY));
      }
      for (const query of [`nothing?key=${KEY}`, `events?key=${KEY}&since=x`, `events?key=${KEY}&types=x`]) {
        assert.not((await (await fetch(`${url}/${query}`)).text()).includes(KEY), query);
      }
      assert.is((await fetch(`${url}/healthz`)).status, 200);
      const lines = await openLines(`${url}/events?key=${KEY}`);
      await told(lines, "events_start");
      await post(url, exceptions(1), { "X-Api-Key": KEY });
      await post(url, exceptions(1), { Authorization: `Bearer ${KEY}` });
      await told(lines, "tribler_exception");
      await lines.close();
      child.signal("SIGTERM");
      await endsWell(child);
      assert.not(child.stdout.lines.join().includes(KEY));
    }, { env });
  }
  const wrong = await Promise.all([
    outcome(["serve", "--api-key", `${KEY} and more`]),
    outcome(["serve", `--apikey=${KEY}`]),
    outcome(["serve"], { env: { EVENTS_API_KEY: `${KEY} and more` } }),
    outcome(["serve", "--api-key", KEY, "--port", "x"]),
    outcome(["serve", "--api-key", KEY, "--host", "203.0.113.1", "--port", "0"]),
    outcome(["serve", "--help"], { env: { EVENTS_API_KEY: KEY } }),
  ]);
  for (const { stdout, stderr } of wrong) assert.not([...stdout, ...stderr].join("\n").includes(KEY));
});

test("a server that others can reach without a key says so, and is still reached by no name but its own", async () => {
  await withServer(["--host", "0.0.0.0"], async ({ port, child }) => {
    await child.stderr.match(/other machines can reach this server/);
    for (const [host, status] of [["evil.example", 403], ["192.0.2.1", 200], ["localhost", 200]] as const) {
      const wire = await openWire(port);
      wire.write(`HEAD /events HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      await until(() => wire.received().includes("\r\n\r\n"), host);
      assert.match(wire.received(), new RegExp(`^HTTP/1\\.1 ${status} `), host);
      wire.socket.destroy();
    }
  });
  await withServer(["--host", "0.0.0.0", "--api-key", "k"], async ({ url, child }) => {
    assert.is((await fetch(`${url}/healthz`)).status, 200);
    child.signal("SIGTERM");
    await endsWell(child);
  });
});

test("the limits are flags", async () => {
  const args = ["--max-connections", "2", "--max-body-bytes", "1000", "--max-batch", "2", "--max-depth", "3"];
  await withServer([...args, "--idempotency-window", "60", "--history-bytes", "1500"], async ({ url }) => {
    const statusOf = async (body: unknown, headers: Record<string, string> = {}) => {
      const response = await fetch(`${url}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
      await response.text();
      return response.status;
    };
    const streams = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
    const refused = await fetch(`${url}/events`);
    assert.is(refused.status, 503);
    assert.is((await refused.json()).error.code, "TooManyConnections");
    assert.is(await statusOf(exceptions(2)), 202);
    assert.is(await statusOf(exceptions(3)), 413);
    assert.is(await statusOf(exceptions(1, 1000)), 413);
    assert.is(await statusOf({ type: "tribler_exception", event: { text: "", deep: [[]] } }), 400);
    assert.is(await statusOf(exceptions(1), { "Idempotency-Key": "k" }), 202);
    assert.is(await statusOf(exceptions(1), { "Idempotency-Key": "k" }), 202);
    assert.is(await statusOf(exceptions(2), { "Idempotency-Key": "k" }), 422);
    for (const lines of streams) await lines.close();
    for (let n = 0; n < 4; n++) assert.is(await statusOf(exceptions(1, 500)), 202);
    let kept: Dictionary[] = [];
    await until(async () => {
      kept = await keptSince(url, "earliest").catch(() => []);
      return kept.length > 0;
    }, "there is a place again");
    assert.is(texts(kept).length, 2, "no more than 1500 bytes are kept");
  });
});

test("what cannot be served: one line that says why, and exit code 1", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const loop = join(folder, "loop");
    await symlink(loop, loop);
    const watched = join(folder, "missing");
    await withTakenPort(async (port) => {
      const inFolder = permissionsFor(folder);
      await Promise.all([
        refuses(["serve", "--port", `${port}`], 1, new RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`)),
        // A watch that has begun does not keep the process.
        refuses(["serve", "--port", `${port}`, "--watch-folder", folder], 1, /in use/, inFolder),
        refuses(["serve", "--port", "0", "--watch-folder", watched], 1, /missing" does not exist/, inFolder),
        refuses(["serve", "--port", "0", "--watch-folder", file], 1, /file" is not a folder/, inFolder),
        refuses(["serve", "--port", "0", "--watch-folder", loop], 1, /loop" cannot be read/, inFolder),
        // An address of a network that is kept for documentation.
        refuses(["serve", "--port", "0", "--host", "203.0.113.1"], 1, /203\.0\.113\.1:0: .*no such address/),
      ]);
    });
  });
});

test("each environment variable counts", async () => {
  await withFolder(async (folder) => {
    const port = await findFreePort();
    const env = {
      EVENTS_HOST: "localhost",
      EVENTS_PORT: `${port}`,
      EVENTS_WATCH_FOLDER: folder,
      EVENTS_HEARTBEAT: "0.25",
      EVENTS_HISTORY: "2",
    };
    await running(startCli(["serve"], { ...permissionsFor(folder), env }), async (child) => {
      const { url } = await whereItListens(child);
      assert.is(url, `http://localhost:${port}`);
      await post(url, exceptions(3));
      const kept = await keptSince(url, "earliest");
      assert.is(kept[0]?.event.heartbeat, 0.25);
      assert.equal(texts(kept), ["1", "2"]);
      const lines = await openLines(`${url}/events`);
      await copyFile(`${FIXTURES}alice.torrent`, join(folder, "alice.torrent"));
      await told(lines, "events_start");
      await told(lines, "torrent_discovered");
      await lines.close();
    });
  });
});

test("a flag wins over its environment variable", async () => {
  await withFolder((folder) =>
    withTakenPort(async (taken) => {
      const env = {
        EVENTS_HOST: "203.0.113.1",
        EVENTS_PORT: `${taken}`,
        EVENTS_WATCH_FOLDER: join(folder, "missing"),
        EVENTS_HEARTBEAT: "0.25",
        EVENTS_HISTORY: "1",
      };
      const args = ["--host", "127.0.0.1", "--watch-folder", folder, "--heartbeat", "off", "--history", "3"];
      await withServer(args, async ({ url, port }) => {
        assert.is(url, `http://127.0.0.1:${port}`);
        assert.is.not(port, taken);
        await post(url, exceptions(5));
        const kept = await keptSince(url, "earliest");
        assert.is(kept[0]?.event.heartbeat, null);
        assert.equal(texts(kept), ["2", "3", "4"]);
      }, { ...permissionsFor(folder), env });
    })
  );
});

test("--history bounds what since=earliest gives, and tells who resumes before it what is lost", async () => {
  await withServer(["--history", "3"], async ({ url }) => {
    const [, started] = await keptSince(url, "earliest");
    await post(url, exceptions(6));
    const [, ...kept] = await keptSince(url, "earliest");
    assert.equal(texts(kept), ["3", "4", "5"]);
    assert.is(kept.length, 3);
    const [, lost, ...resumed] = await keptSince(url, started!.id);
    assert.equal(lost?.event, { reason: "history_expired", count: 3 });
    assert.equal(texts(resumed), ["3", "4", "5"]);
  });
});

test("--heartbeat sets the pace of empty lines", async () => {
  await withServer(["--heartbeat", "0.2"], async ({ url }) => {
    const begin = performance.now();
    const lines = await openLines(`${url}/events`);
    assert.is((await told(lines, "events_start")).event.heartbeat, 0.2);
    for (let beat = 0; beat < 5; beat++) assert.is(await lines.next(), "");
    const took = performance.now() - begin;
    // A busy machine may be late, never early.
    assert.ok(took > 990 && took < 5000, `5 heartbeats took ${took} ms`);
    await post(url, exceptions(1));
    await told(lines, "tribler_exception");
    await lines.close();
  });
});

test("/healthz is well while it serves, and says so when it no longer does", async () => {
  await withServer([], async ({ url }) => {
    const response = await within(fetch(`${url}/healthz`), "/healthz");
    assert.is(response.status, 200);
    assert.equal(await response.json(), { status: "serving" });
  });
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5 });
  assert.is((await app.request("/healthz")).status, 200);
  session.channel.close();
  const closing = await app.request("/healthz");
  assert.is(closing.status, 503);
  assert.equal(await closing.json(), { status: "shutting down" });
});

test("what keeps a channel from its events is told in /healthz, which stays well, and in /metrics", async () => {
  const session = createSession({ version: "7.1.5" });
  let problem: string | undefined;
  const channel = Object.defineProperty(session.channel, "problem", { get: () => problem });
  const app = createApp({ ...session, channel }, { heartbeat: 5 });
  const gauge = async () =>
    /^events_endpoint_degraded (\d)$/m.exec(await (await app.request("/metrics")).text())?.[1];
  assert.is(await gauge(), "0");
  problem = "the store is away";
  const degraded = await app.request("/healthz");
  assert.is(degraded.status, 200);
  assert.equal(await degraded.json(), { status: "degraded", problem });
  assert.is(await gauge(), "1");
  problem = undefined;
  assert.equal(await (await app.request("/healthz")).json(), { status: "serving" });
  assert.is(await gauge(), "0");
});

test("what is not there is told in the shape of Tribler's errors", async () => {
  await withServer([], async ({ url }) => {
    const cases = [["GET", "/nothing"], ["POST", "/nothing"], ["GET", "/events/more"]];
    for (const [method = "", path] of cases) {
      const response = await within(fetch(`${url}${path}`, { method }), `${method} ${path}`);
      assert.is(response.status, 404, `${method} ${path}`);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json\b/);
      const { error } = await response.json();
      assert.equal(Object.keys(error), ["handled", "code", "message"]);
      assert.equal([error.handled, error.code], [true, "NotFound"]);
      assert.match(error.message, new RegExp(`${method} ${path}`));
    }
  });
});

test("a request whose target and Host make no URL is told so, on every route", async () => {
  await withServer([], async ({ port }) => {
    for (const path of ["/healthz", "/events", "/metrics"]) {
      const wire = await openWire(port);
      wire.write(`GET ${path} HTTP/1.1\r\nHost: 999.999.999.999\r\nConnection: close\r\n\r\n`);
      await within(wire.closed, "the answer");
      assert.match(wire.received(), /^HTTP\/1\.1 400 [^]*"code":"InvalidParameter"/, path);
    }
  });
});

test("HEAD answers on every route as GET does, and sends no body", async () => {
  await withServer([], async ({ url, port }) => {
    for (
      const path of ["/events", "/events?since=earliest", "/events?since=nonsense", "/healthz", "/nothing"]
    ) {
      const leave = new AbortController();
      const get = await within(fetch(url + path, { signal: leave.signal }), `GET ${path}`);
      const wire = await openWire(port);
      wire.write(`HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
      await within(wire.closed, `the end of HEAD ${path}`);
      const [status, ...headers] = wire.received().split("\r\n");
      assert.match(status!, new RegExp(`^HTTP/1\\.1 ${get.status} `), path);
      assert.ok(wire.received().endsWith("\r\n\r\n"), `${path}: ${wire.received()}`);
      assert.is(wire.received().split("\r\n\r\n").length, 2, `${path}: ${wire.received()}`);
      const type = headers.find((header) => /^content-type:/i.test(header));
      assert.is(type?.slice(type.indexOf(":") + 1).trim(), get.headers.get("content-type"), path);
      leave.abort();
      await get.body?.cancel().catch(() => {});
    }
  });
});

test("a torrent dropped into the watch folder is told on the open stream, a corrupt one set aside", async () => {
  await withFolder(async (folder) => {
    await withServer(["--watch-folder", folder], async ({ url, child }) => {
      const lines = await openLines(`${url}/events`);
      await told(lines, "events_start");
      for (const name of ["corrupt.torrent", "leaves.torrent"]) {
        await copyFile(FIXTURES + name, join(folder, name));
      }
      const discovered = await told(lines, "torrent_discovered", 5000);
      assert.equal(discovered.event, {
        infohash: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
        timestamp: 1375363666,
        name: "Leaves of Grass by Walt Whitman.epub",
        files: [["Leaves of Grass by Walt Whitman.epub", 362017]],
        trackers: [],
        dispersy_cid: "0".repeat(40),
      });
      // Later, because it could be a file that is still being written.
      const corrupt = await told(lines, "watch_folder_corrupt_torrent");
      assert.equal(corrupt.event, { name: "corrupt.torrent" });
      assert.equal((await readdir(folder)).sort(), ["corrupt.torrent.corrupt", "leaves.torrent"]);
      await lines.close();
      assert.equal(child.stderr.lines, []);
    }, permissionsFor(folder));
  });
});

test("a watch folder ends with the server", async () => {
  await withFolder(async (folder) => {
    await copyFile(`${FIXTURES}leaves.torrent`, join(folder, "leaves.torrent"));
    await withServer(["--watch-folder", folder], async ({ child }) => {
      child.signal("SIGTERM");
      await endsWell(child);
    }, permissionsFor(folder));
  });
});

test("SIGINT, SIGTERM: what is queued goes out, streams end on a whole line, a stalled reader holds up nothing", async () => {
  // At the same time, because a stalled reader costs each of them its whole grace.
  await Promise.all([stopsWell("SIGINT"), stopsWell("SIGTERM")]);
});

async function stopsWell(signal: "SIGINT" | "SIGTERM"): Promise<void> {
  await withFolder((folder) =>
    withServer(["--watch-folder", folder], async ({ url, port, child }) => {
      const stalled = await openWire(port);
      stalled.socket.pause();
      stalled.write(GET);
      const wires = [await openWire(port), await openWire(port)];
      for (const wire of wires) wire.write(GET);
      // These read nothing before the signal: what they miss is queued by then.
      const late: Lines[] = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
      const slow = await openWire(port);
      slow.write("GET /ev"); // It never gets to the end of its request.
      await until(
        () => wires.every((wire) => wire.received().includes("events_start")),
        "the streams are open",
      );

      for (let n = 0; n < 12; n++) await post(url, exceptions(1, 800_000)); // More than sockets buffer.
      await post(url, exceptions(10));
      const begin = performance.now();
      child.signal(signal);
      // Nobody is told of it any more, and that is no problem to speak of.
      await copyFile(`${FIXTURES}leaves.torrent`, join(folder, "leaves.torrent"));
      child.signal(signal); // A terminal tells the whole group, and so npm tells it once more.
      // Fails where a stream ends in the middle of a line.
      const endings = Promise.all(late.map((lines) => within(lines.rest(), "the end of a stream")));
      endings.catch(() => {}); // Awaited below, after what may fail before.
      await endsWell(child);
      const took = performance.now() - begin;
      assert.ok(took < 5000, `it took ${took} ms to end`);

      for (const events of await endings) assert.equal(texts(events).slice(12), texts(exceptions(10)));
      for (const wire of wires) {
        await within(wire.closed, "the end of a connection");
        assertWholeLines(wire);
      }
      await within(slow.closed, "the end of the connection without a request");
      stalled.socket.destroy();
    }, permissionsFor(folder))
  );
}

/** The child ends by itself within 5 s, with exit code 0, and had nothing to complain of. */
async function endsWell(child: Child): Promise<void> {
  const exit = await child.exit(5000);
  assert.equal({ ...exit, stderr: child.stderr.lines }, { code: 0, signal: null, stderr: [] });
}

/** All of the events came, and the server ended the response (RFC 9112 7.1) after a whole line. */
function assertWholeLines(wire: Wire): void {
  const tail = wire.received().slice(-4000);
  for (let n = 0; n < 10; n++) assert.ok(tail.includes(`"event":{"text":"${n}"}`), tail);
  assert.match(tail, /"time":"[^"]+"\}\n\r\n0\r\n\r\n$/);
}

test("ends soon where nobody is stalled, and takes no new connection meanwhile", async () => {
  await withServer([], async ({ url, child }) => {
    const streams = [await openLines(`${url}/events`), await openLines(`${url}/events`)];
    for (const lines of streams) await told(lines, "events_start");
    const begin = performance.now();
    child.signal("SIGTERM");
    for (const lines of streams) assert.equal(await within(lines.rest(), "the end of a stream"), []);
    await endsWell(child);
    assert.ok(performance.now() - begin < 2900, `it took ${performance.now() - begin} ms to end`);
    const refused = await fetch(`${url}/healthz`).then(() => false, () => true);
    assert.ok(refused, "nobody listens any more");
  });
});

test("who is in the middle of something when the server stops is told: SSE when to come back, a POST that it failed", async () => {
  await withServer([], async ({ url, port, child }) => {
    const body = JSON.stringify(exceptions(1));
    const slow = await openWire(port);
    slow.write("POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n");
    slow.write(`Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    const streams = await Promise.all(
      [1, 2, 3].map(() => within(fetch(`${url}/events?format=sse`), "the stream")),
    );
    const texts = Promise.all(streams.map((response) => within(response.text(), "the end of a stream")));
    texts.catch(() => {}); // Awaited below, after what may fail before.
    child.signal("SIGTERM");
    const retries = (await texts).map((text) => /\n\nretry: ([2-4]\d{3})\n\n$/.exec(text)?.[1]);
    assert.equal((await texts).map((text) => text.match(/^retry: /gm)!.length), [2, 2, 2], "at both ends");
    assert.ok(retries.every((retry) => retry !== undefined), `${retries}`);
    // Nobody waits for the rest of the body, which may never come.
    await until(() => slow.received().includes("\r\n\r\n"), "the answer to the POST");
    assert.match(slow.received(), /^HTTP\/1\.1 503 [^]*"code":"ChannelClosed"/);
    assert.match(slow.received(), /^retry-after: \d+\r$/im);
    await endsWell(child);
  });
});

test("--drain: /healthz says that it is about to stop while everything else is as before; then it stops", async () => {
  await withServer(["--drain", "3"], async ({ url, child }) => {
    const health = () => fetch(`${url}/healthz`).then(({ status }) => status);
    const lines = await openLines(`${url}/events`);
    await told(lines, "events_start");
    assert.is(await health(), 200);
    child.signal("SIGTERM");
    await until(async () => await health() === 503, "it says so");
    await post(url, exceptions(1));
    await told(lines, "tribler_exception");
    const another = await openLines(`${url}/events`);
    await told(another, "events_start");
    for (const stream of [lines, another]) {
      assert.equal(await within(stream.rest(), "the end of a stream"), []);
    }
    await endsWell(child);
  });
});

/** The 26 events as they are sent: `events_start` is the stream's own. */
const drafts = triblerEvents.types.map((type) => {
  const event = triblerPayloads[type as keyof typeof triblerPayloads];
  return event === undefined ? { type } : { type, event };
});

test("all events of Tribler reach curl in order, one line each, in every key what was sent", async () => {
  assert.is(drafts.length, 25);
  await withServer([], async ({ url }) => {
    await running(startProgram("curl", ["-sN", `${url}/events`]), async (curl) => {
      await curl.stdout.take(1);
      const refused = await fetch(`${url}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ type: "events_start", event: triblerPayloads.events_start }),
      });
      assert.is(refused.status, 400);
      assert.is((await refused.json()).error.code, "InvalidEvent");

      // One by one, as an array, and as lines.
      for (const draft of drafts.slice(0, 12)) await post(url, draft);
      await post(url, drafts.slice(12, 18));
      const lines = drafts.slice(18).map((draft) => `${JSON.stringify(draft)}\n`).join("");
      await post(url, lines, { "Content-Type": "application/x-ndjson" });

      const received = (await curl.stdout.take(26)).map((line) => JSON.parse(line) as Dictionary);
      const [start, ...events] = received;
      assert.equal(Object.keys(start!), ["type", "event", "id", "time"]);
      assert.is(start?.type, "events_start");
      assert.type(start?.event.tribler_started, "boolean");
      assert.type(start?.event.version, "string");
      assert.equal(events.map(({ id: _, time: __, ...sent }) => sent), drafts);
      const positions = events.map(({ id }) => Number(id.split("-")[1]));
      assert.equal(positions, events.map((_, n) => positions[0]! + n), "ids without gaps");
      for (const { time } of received) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

      await jqReads(`${url}/events?follow=false&since=${start!.id}`, drafts);
      assert.is(curl.stdout.lines.length, 26, "nothing else came");
    });
  });
});

/** Pipes the stream through jq, where this machine has it. */
async function jqReads(url: string, expected: readonly unknown[]): Promise<void> {
  const filter = 'select(.type != "events_start") | del(.id, .time)';
  const jq = startProgram("sh", ["-c", `command -v jq >&2 && curl -sN '${url}' | jq -c '${filter}'`]);
  await running(jq, async ({ stdout, stderr, exit }) => {
    const { code } = await exit();
    if (stderr.lines.length === 0) return;
    assert.is(code, 0, stderr.lines.join("\n"));
    assert.equal(stdout.lines.map((line) => JSON.parse(line)), expected);
  });
}

test("200 streams that are reset leave the server able to serve", async () => {
  await withServer([], async ({ url, port, child }) => {
    await openAndReset(port, () => post(url, exceptions(1, 100_000)));
    const lines = await openLines(`${url}/events`);
    await told(lines, "events_start");
    await post(url, exceptions(1));
    assert.equal((await told(lines, "tribler_exception")).event, { text: "0" });
    await lines.close();
    assert.is((await within(fetch(`${url}/healthz`), "/healthz")).status, 200);
    child.signal("SIGTERM");
    await endsWell(child);
  });
});

test("200 streams that are reset leave no subscriber, no reader and no timer", async () => {
  const session = createSession({ version: "7.1.5" });
  const endpoint = eventsEndpoint(session);
  const app = new Hono().route("/events", endpoint);
  let most = 0;
  const left = await timersLeftBy(() =>
    serving(app, async (_, port) => {
      await openAndReset(port, () => {
        most = endpoint.stats().subscribers;
        session.emit("tribler_exception", { text: "x".repeat(100_000) });
        return Promise.resolve();
      });
      await until(() => endpoint.stats().subscribers === 0, "no subscriber is left");
      await until(() => session.channel.stats().readers === 0, "no reader is left");
    })
  );
  assert.ok(most >= 133, `${most} were subscribed at once`);
  assert.is(left, 0, "timers left");
});

/** Opens 200 streams; a third leaves before the answer, the others after `publish`, most of them by a reset. */
async function openAndReset(port: number, publish: () => Promise<unknown>): Promise<void> {
  const wires = await Promise.all(Array.from({ length: 200 }, () => openWire(port)));
  const early = wires.filter((_, n) => n % 3 === 0);
  const others = wires.filter((_, n) => n % 3 !== 0);
  for (const wire of wires) wire.write(GET);
  early.forEach(reset);
  await until(() => others.every((wire) => wire.received().includes("events_start")), "the streams are open");
  others.filter((_, n) => n % 2 === 0).forEach(({ socket }) => socket.pause());
  await publish();
  others.forEach(reset);
}

function reset({ socket }: Wire, n: number): void {
  // Not every runtime has it for a socket of `connect()`.
  if (n % 4 !== 0 && typeof socket.resetAndDestroy === "function") socket.resetAndDestroy();
  else socket.destroy();
}

test.run();
