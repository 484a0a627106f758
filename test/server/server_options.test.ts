import { copyFile, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readServeOptions, type ServeOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { type ChildOptions, running, startCli, whereItListens } from "../support/children.ts";
import { type Dictionary, findFreePort, openLines, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import {
  exceptions,
  FIXTURES,
  keptSince,
  nextEvent,
  outcome,
  permissionsFor,
  post,
  texts,
  withFolder,
  withServer,
} from "./server_process.ts";

const test = suite("server options");

/** Fails unless the command ends with this code after one line that matches, on stderr. */
async function rejects(
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

test("events-endpoint --help and --version print to stdout and exit with 0", async () => {
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

test("events-endpoint exits with 2 and one line when the command line is not valid", async () => {
  await Promise.all([
    rejects(["serve", "--nope"], 2, /--nope/),
    rejects(["serve", "--port"], 2, /--port/),
    rejects(["serve", "--port", "eighty"], 2, /--port .* from 0 to 65535, not "eighty"/),
    rejects(["serve", "extra"], 2, /extra/),
    rejects(["frobnicate"], 2, /unknown command "frobnicate"/),
    rejects(["serve"], 2, /EVENTS_HEARTBEAT .*"soon"/, {
      env: { EVENTS_PORT: "0", EVENTS_HEARTBEAT: "soon" },
    }),
  ]);
});

test("readServeOptions() rejects every value that is not valid, of options and of variables", () => {
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
    "corrupt-after": ["-1", "x", "", "off", "86401"],
    drain: ["-1", "x", "", "off", "86401"],
  };
  const names: string[] = [];
  for (const [flag, values] of Object.entries(bad)) {
    for (const value of values) {
      names.push(`${flag} ${value}`);
      const rejectedBy = (name: string) => (error: unknown) =>
        error instanceof UsageError && error.message.startsWith(`${name} `);
      assert.throws(
        () => readServeOptions([`--${flag}=${value}`], {}),
        rejectedBy(`--${flag}`),
        `${flag} ${value}`,
      );
      const variable = `EVENTS_${flag.toUpperCase().replaceAll("-", "_")}`;
      if (value === "") continue; // An empty variable counts as unset.
      assert.throws(
        () => readServeOptions([], { [variable]: value }),
        rejectedBy(variable),
        `${variable} ${value}`,
      );
    }
  }
  assert.is(names.length, 72);
  const defaults = {
    host: "127.0.0.1",
    port: 8085,
    catalogue: undefined,
    watchFolder: undefined,
    heartbeat: 5,
    history: 100_000,
    historyBytes: 32 * 1024 * 1024,
    data: undefined,
    keep: { events: null, bytes: 1024 ** 3, age: null },
    durability: "process",
    nats: undefined,
    stream: "EVENTS",
    apiKey: undefined,
    credentials: undefined,
    keys: undefined,
    corsOrigins: [] as readonly string[],
    corsHeaders: [],
    maxConnections: 10_000,
    maxConnectionsPerAddress: 1000,
    clientAddressHeader: undefined,
    stallTimeout: 60,
    maxBodyBytes: 1024 * 1024,
    maxBatch: 10_000,
    maxDepth: 64,
    idempotencyWindow: 120,
    keepAlive: 75,
    drain: 0,
    log: "text",
    corruptAfter: 30,
    mounts: [{ dialect: "7.1", path: "/events" }],
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
    (readServeOptions(repeated, { EVENTS_CORS_ORIGIN: "https://d.example" }) as ServeOptions).corsOrigins,
    ["https://a.example", "https://b.example", "https://c.example"],
  );
});

test("serve --nats takes URLs, with user and password", () => {
  const read = (...args: string[]) => readServeOptions(["--nats", ...args], {}) as ServeOptions;
  const anonymous = { tls: false, user: undefined, password: undefined };
  assert.equal(read("nats://one").nats, { ...anonymous, addresses: ["one:4222"] });
  const several = read("nats://10.0.0.1:4223, nats://[::1]:4224/", "--stream", "SHOP_2");
  assert.equal(several.nats, { ...anonymous, addresses: ["10.0.0.1:4223", "[::1]:4224"] });
  assert.is(several.stream, "SHOP_2");
  const known = { addresses: ["h:4222", "i:4222"], tls: true, user: "u", password: "p@ss" };
  assert.equal(read("tls://u:p%40ss@h,tls://i").nats, known);
  assert.equal(read("nats://t0ken@h").nats, { ...anonymous, addresses: ["h:4222"], user: "t0ken" });
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

test("serve applies the limits of its options", async () => {
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
    }, "a connection is free again");
    assert.is(texts(kept).length, 2, "no more than 1500 bytes are kept");
  });
});

test("serve exits with 1 and one line when it cannot listen or watch", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const loop = join(folder, "loop");
    await symlink(loop, loop);
    const watched = join(folder, "missing");
    await withTakenPort(async (port) => {
      const inFolder = permissionsFor(folder);
      await Promise.all([
        rejects(["serve", "--port", `${port}`], 1, new RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`)),
        // A watch that has begun does not keep the process alive.
        rejects(["serve", "--port", `${port}`, "--watch-folder", folder], 1, /in use/, inFolder),
        rejects(["serve", "--port", "0", "--watch-folder", watched], 1, /missing" does not exist/, inFolder),
        rejects(["serve", "--port", "0", "--watch-folder", file], 1, /file" is not a folder/, inFolder),
        rejects(["serve", "--port", "0", "--watch-folder", loop], 1, /loop" cannot be read/, inFolder),
        // An address of a network reserved for documentation.
        rejects(["serve", "--port", "0", "--host", "203.0.113.1"], 1, /203\.0\.113\.1:0: .*no such address/),
      ]);
    });
  });
});

test("serve reads its options from environment variables", async () => {
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
      await nextEvent(lines, "events_start");
      await nextEvent(lines, "torrent_discovered");
      await lines.close();
    });
  });
});

test("serve prefers an option to its environment variable", async () => {
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

test.run();
