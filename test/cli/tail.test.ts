import { Hono } from "hono";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { createSession, type Session } from "../../src/tribler/mod.ts";
import { createApp } from "../../src/server/app.ts";
import {
  type Child,
  type ChildOptions,
  type Exit,
  running,
  shellCommand,
  startCli,
  startProgram,
} from "../support/children.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { serving, until } from "../support/harness.ts";

const test = suite("tail");

/** What follows a rejected key. */
const KEY_HINT = "give the key by --api-key or EVENTS_API_KEY";
const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";

/** Runs `use` beside a server of Tribler's events. */
async function withTribler(use: (url: string, session: Session) => Promise<void>): Promise<void> {
  const session = createSession({ version: "7.1.5" });
  await serving(createApp(session, { heartbeat: 5 }), (url) => use(`${url}/events`, session));
}

function tick(session: Session, text: string): void {
  session.emit("upgrader_tick", { text });
}

/** Waits for a line of JSON on stdout that has this text as its payload's. */
async function received(child: Child, text: string): Promise<void> {
  await child.stdout.match(new RegExp(`"text":"${text}"`));
}

async function outcome(args: readonly string[], options?: ChildOptions) {
  return await running(
    startCli(["tail", ...args], options),
    async (child): Promise<Exit & { lines: object }> => {
      return { ...await child.exit(), lines: [child.stdout.lines, child.stderr.lines] };
    },
  );
}

function refused(code: number, reason: string): Exit & { lines: object } {
  return { code, signal: null, lines: [[], [`events-endpoint: ${reason}`]] };
}

test("tail --last begins with the last events, --since with a time; --limit exits after N events, --until at a time", async () => {
  await withTribler(async (url, session) => {
    for (const text of ["one", "two", "three"]) tick(session, text);
    const texts = async (...args: string[]) => {
      const { code, lines } = await outcome([url, ...args]);
      const [stdout, stderr] = lines as [string[], string[]];
      return [code, stdout.map((line) => JSON.parse(line).event.text), stderr];
    };
    assert.equal(await texts("--last", "2", "--limit", "2"), [0, ["two", "three"], []]);
    assert.equal(await texts("--since", "10m", "--limit", "1"), [0, ["one"], []]);
    const time = new Date(Date.now() - 60_000).toISOString();
    assert.equal(await texts("--since", time, "--limit", "3"), [0, ["one", "two", "three"], []]);
    const end = new Date(Date.now() + 1500).toISOString();
    assert.equal(await texts("--last", "1", "--until", end), [0, ["three"], []]);
    assert.equal(await texts("--since", "10m", "--until", "5m"), [0, [], []]);
    const wrong = await outcome([url, "--last", "2", "--since", "10m"]);
    assert.equal(wrong, refused(2, "--last and --since are two places to begin: give one"));
    assert.equal(
      await outcome([url, "--limit", "0"]),
      refused(2, '--limit takes a whole number from 1 on, not "0"'),
    );
  });
});

test("tail --subject follows one torrent, and may be repeated", async () => {
  await withTribler(async (url, session) => {
    const [one, two, three] = ["1", "2", "3"].map((digit) => digit.repeat(40));
    for (const infohash of [one, two, three, one]) {
      session.emit("torrent_finished", { infohash: infohash!, name: "x" });
    }
    tick(session, "about nothing");
    const subjects = async (...args: string[]) => {
      const { code, lines } = await outcome([url, "--since", "earliest", ...args]);
      assert.is(code, 0);
      return (lines as [string[], string[]])[0].map((line) => JSON.parse(line).subject);
    };
    assert.equal(await subjects("--subject", one!, "--limit", "2"), [one, one]);
    assert.equal(await subjects("--subject", "2*", "--subject", three!, "--limit", "2"), [two, three]);
    const reason = '--subject takes 1 to 256 characters without white space and controls, not "a b"';
    assert.equal(await outcome([url, "--subject", "a b"]), refused(2, reason));
  });
});

test("tail prints each event as one line of JSON when stdout is no terminal", async () => {
  await withTribler(async (url, session) => {
    tick(session, "one");
    session.emit("torrent_finished", { infohash: HASH, name: "漢字\u009b\u202e\u007f" });
    await running(startCli(["tail", url, "--since", "earliest"]), async (child) => {
      await child.stdout.take(2);
      tick(session, "three");
      const [one, two, three] = await child.stdout.take(3);
      const { id, time, ...dictionary } = JSON.parse(one!);
      assert.equal(dictionary, { type: "upgrader_tick", event: { text: "one" } });
      assert.match(`${id} ${time}`, /^\w+-1 \d{4}-\S+Z$/);
      assert.is(JSON.parse(two!).event.name, "漢字\u009b\u202e\u007f");
      assert.is(JSON.parse(three!).event.text, "three");
      child.signal("SIGINT");
      assert.equal(await child.exit(), { code: 0, signal: null });
      assert.equal(child.stderr.lines, []);
    });
  });
});

/** A payload that parsing and writing would change, with characters that a terminal must not receive. */
const RAW = String.raw`{"id":4611686018427387905,"b":1.0,"a":-0,"2":"\u00e9\/","1":1E2,"c":"\u202e@"}`
  .replace("@", "\u009b\u202e\u007f");

test("tail prints the JSON of each event as it was received, in every dialect", async () => {
  const built = `{"type":"t","event":${RAW}}`;
  const cases: [contentType: string, text: string, lines: string[]][] = [
    ["application/x-ndjson", `{"event":${RAW},\t"type":"t"}\r\n \n${built}\n`, [
      `{"event":${RAW},\t"type":"t"}`,
      built,
    ]],
    ["text/event-stream", `event: t\ndata: {"type":"t","event":${RAW},"id":"e-1"}\nid: e-1\n\n`, [
      `{"type":"t","event":${RAW},"id":"e-1"}`,
    ]],
    ["text/event-stream", `data: ${built}\n\ndata: {"type":\ndata: "t"}\n\n`, [built, '{"type": "t"}']],
    ["text/event-stream", `data: {"topic":"t","args":[],"kwargs":${RAW}}\n\n`, [built]],
    ["text/event-stream", `data: {"topic":"t","args":[${RAW}],"kwargs":{}}\n\n`, [built]],
    ["text/event-stream", `event: t\ndata: ${RAW}\nid: 1\n\n`, [`${built.slice(0, -1)},"id":"1"}`]],
  ];
  const app = new Hono();
  const served = new Set<string>();
  app.get("/:n", (c) => {
    const [contentType, text] = cases[Number(c.req.param("n"))]!;
    const isAgain = served.has(c.req.path);
    served.add(c.req.path);
    return isAgain ? c.body(null, 204) : c.body(text, 200, { "Content-Type": contentType });
  });
  await serving(app, async (url) => {
    for (const [n, [, , lines]] of cases.entries()) {
      const { code, lines: [stdout] } = await outcome([`${url}/${n}`]) as Exit & {
        lines: [string[], string[]];
      };
      assert.equal([code, stdout], [0, lines]);
    }
  });
});

test("tail exits with 1 when the address is that of a document, or the error has no code", async () => {
  const app = new Hono();
  app.get("/info", (c) => c.json({ public_key: "", version: "8.1.0" }));
  app.get("/old", (c) => c.json({ error: { handled: true, message: "no such torrent" } }, 404));
  app.get("/new", (c) => c.json({ error: "no such torrent" }, 404));
  await serving(app, async (url) => {
    const document =
      `${url}/info answers 200 with "application/json", one document and not a stream of events`;
    assert.equal(await outcome([`${url}/info`]), refused(1, document));
    for (const path of ["/old", "/new"]) {
      assert.equal(await outcome([url + path]), refused(1, `${url}${path} answers 404: no such torrent`));
    }
  });
});

test("tail --types --since prints those types from that event on", async () => {
  await withTribler(async (url, session) => {
    tick(session, "one");
    const { last } = session.channel;
    session.emit("tribler_started");
    session.emit("torrent_finished", { infohash: HASH, name: "two" });
    tick(session, "three");
    const since = `${session.channel.epoch}-${last}`;
    const args = [
      "tail",
      url,
      "--types",
      "torrent_*,upgrader_started",
      "--types=upgrader_tick",
      "--since",
      since,
    ];
    await running(startCli(args), async (child) => {
      const lines = await child.stdout.take(2);
      assert.equal(lines.map((line) => JSON.parse(line).type), ["torrent_finished", "upgrader_tick"]);
    });
  });
});

test("tail exits with 0 when its reader closes stdout", async () => {
  await withTribler(async (url, session) => {
    for (const text of ["one", "two"]) tick(session, text);
    const command = `set -o pipefail; ${shellCommand(["tail", url, "--since", "earliest"])} | head -n 2`;
    await running(startProgram("bash", ["-c", command]), async (child) => {
      await child.stdout.take(2);
      const exit = child.exit();
      if (runtimeUnderTest() === "deno") {
        // Without the permission to look, tail notices that at its next write.
        let isOver = false;
        void exit.then(() => isOver = true);
        await until(() => (tick(session, "more"), isOver), "the pipe is seen to be closed");
      }
      // On the others it ends although nothing more is published.
      assert.equal(await exit, { code: 0, signal: null });
      assert.is(child.stdout.lines.length, 2);
      assert.equal(child.stderr.lines, []);
    });
  });
});

test("tail exits with 0 when its reader closes stdout and stderr", async () => {
  const app = new Hono();
  app.get("/", (c) => c.body('{"type":"tick"}\n', 200, { "Content-Type": "application/x-ndjson" }));
  await serving(app, async (url) => {
    const command = `set -o pipefail; ${shellCommand(["tail", url])} 2>&1 | head -n 1`;
    await running(startProgram("bash", ["-c", command]), async (child) => {
      assert.equal(await child.exit(), { code: 0, signal: null });
      assert.equal(child.stdout.lines, ['{"type":"tick"}']);
    });
  });
});

test("tail exits with 1 and one line when the server rejects the request", async () => {
  const app = new Hono();
  app.get("/locked", (c) => {
    if (c.req.header("X-Api-Key") === "s3cret") return c.body(null, 204);
    return c.json({ error: { handled: true, code: "Unauthorized", message: "who\u001b[2J are you?" } }, 401);
  });
  app.get("/page", (c) => c.html("<h1>Welcome</h1>"));
  app.get("/moved", (c) => c.redirect("/locked"));
  await serving(app, async (url) => {
    assert.equal(await outcome([`${url}/nothing`]), refused(1, `${url}/nothing answers 404`));
    assert.equal(
      await outcome([`${url}/page?key=s3cret`]),
      refused(1, `${url}/page answers 200 with "text/html; charset=UTF-8", not a stream of events`),
    );
    assert.equal(
      await outcome([`${url}/moved`]),
      refused(1, `${url}/moved redirects to "/locked": connect to that address if you trust it`),
    );
    const unknown = refused(1, `${url}/locked answers 401: who\\u001b[2J are you?: ${KEY_HINT}`);
    assert.equal(await outcome([`${url}/locked`]), unknown);
    assert.equal(await outcome([`${url}/locked`, "--api-key", "wr0ng"]), unknown);
    // 204 is the end of a stream for good.
    const end = { code: 0, signal: null, lines: [[], []] };
    assert.equal(await outcome([`${url}/locked`, "--api-key", "s3cret"]), end);
    assert.equal(await outcome([`${url}/locked`], { env: { EVENTS_API_KEY: "s3cret" } }), end);
  });
});

test("tail exits with 2 and one line when the command line is not valid", async () => {
  const url = "http://127.0.0.1:1/events";
  assert.equal(await outcome([]), refused(2, "the URL of the events is missing: try --help"));
  assert.equal(
    await outcome(["events"]),
    refused(2, '"events" is not an HTTP URL: write http://HOST:PORT/events'),
  );
  assert.equal(await outcome([url, "more"]), refused(2, 'tail takes one URL, and not also "more"'));
  assert.equal(
    await outcome([url, "--max-attempts", "0"]),
    refused(2, '--max-attempts takes a whole number from 1 on, not "0"'),
  );
});

test("tail retries until the server is up and resumes after a cut, and --max-attempts limits that", async () => {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5 });
  const start = (port: number) => listen(app.fetch as Fetch, { host: "127.0.0.1", port });
  const first = await start(0);
  const { port } = first;
  await first.stop(0);
  const url = `http://127.0.0.1:${port}/events`;
  assert.equal(
    await outcome([url, "--max-attempts", "1"]),
    refused(1, `gave up: cannot reach ${url}: connection refused`),
  );
  await running(startCli(["tail", url, "--since", "earliest"]), async (child) => {
    await child.stderr.match(/: connection refused; trying again$/);
    let server = await start(port);
    try {
      tick(session, "one");
      await received(child, "one");
      await server.stop(0);
      for (const text of ["two", "three"]) tick(session, text);
      await child.stderr.match(/(?:lost|ended the stream|refused).*; trying again$/);
      server = await start(port);
      await received(child, "three");
      tick(session, "four");
      await received(child, "four");
    } finally {
      await server.stop(0);
    }
    assert.equal(child.stdout.lines.map((line) => JSON.parse(line.slice(line.indexOf("{"))).event.text), [
      "one",
      "two",
      "three",
      "four",
    ]);
    assert.is(child.stderr.lines.filter((line) => line === "events-endpoint: connected").length, 2);
    child.signal("SIGTERM");
    assert.equal(await child.exit(), { code: 0, signal: null });
  });
});

test("tail prints events_lost and continues when the server was restarted", async () => {
  const start = (session: Session, port: number) => {
    const { fetch } = createApp(session, { heartbeat: 5 });
    return listen(fetch as Fetch, { host: "127.0.0.1", port });
  };
  const [before, after] = [createSession({ version: "7.1.5" }), createSession({ version: "7.1.6" })];
  let server = await start(before, 0);
  try {
    await running(
      startCli(["tail", `http://127.0.0.1:${server.port}/events`, "--since", "earliest"]),
      async (child) => {
        tick(before, "one");
        await received(child, "one");
        await server.stop(0);
        tick(after, "two");
        server = await start(after, server.port);
        await received(child, "two");
        const events = child.stdout.lines.map((line) => JSON.parse(line).event);
        assert.equal(events, [{ text: "one" }, { reason: "unknown_epoch", count: null }, { text: "two" }]);
      },
    );
  } finally {
    await server.stop(0);
  }
});

test("tail reports a possible gap when the server cannot resume", async () => {
  const app = new Hono();
  let asked = 0;
  const line = '{"type":"tick"}\n';
  app.get(
    "/",
    (c) => ++asked > 2 ? c.body(null, 204) : c.body(line, 200, { "Content-Type": "application/x-ndjson" }),
  );
  await serving(app, async (url) => {
    await running(startCli(["tail", url]), async (child) => {
      assert.equal(await child.exit(), { code: 0, signal: null });
      assert.equal(child.stdout.lines, ['{"type":"tick"}', '{"type":"tick"}']);
      assert.equal(child.stderr.lines, [
        `events-endpoint: ${url}/ ended the stream; trying again`,
        "events-endpoint: connected again, but events between may be missing",
        `events-endpoint: ${url}/ ended the stream; trying again`,
      ]);
    });
  });
});

test.run();
