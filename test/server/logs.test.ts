import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { readServeOptions } from "../../src/cli/serve_options.ts";
import { createApp } from "../../src/server/app.ts";
import { createLog, type LogFormat } from "../../src/server/log.ts";
import { createSession } from "../../src/tribler/mod.ts";
import {
  type Child,
  running,
  shellCommand,
  startCli,
  startProgram,
  whereItListens,
} from "../support/children.ts";
import { linesOf, openLines, openWire, until, within } from "../support/harness.ts";

const test = suite("logs");

/** Runs `use` beside a server that was started with these options. */
async function withServer(
  args: readonly string[],
  env: Record<string, string>,
  use: (url: string, child: Child) => Promise<void>,
): Promise<void> {
  await running(startCli(["serve", "--port", "0", ...args], { env }), async (child) => {
    await use((await whereItListens(child)).url, child);
  });
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test("serve --log json writes one object for each stream that ends or is rejected, at level info", async () => {
  await withServer(["--log", "json"], {}, async (url, child) => {
    const logged = async (count: number) => {
      const line = JSON.parse((await child.stderr.take(count)).at(-1)!);
      assert.match(line.time, TIME);
      assert.is(line.level, "info");
      return line;
    };
    const body = await (await fetch(`${url}/events?follow=false&since=earliest`)).text();
    const { time: _, seconds, ...ended } = await logged(1);
    assert.equal(ended, {
      level: "info",
      message: "stream ended",
      reason: "completed",
      format: "ndjson",
      address: "127.0.0.1",
      events: 1,
      bytes: body.length,
    });
    assert.ok(seconds >= 0 && seconds < 60, `${seconds}`);

    const lines = await openLines(`${url}/events?key=s3cret`, { headers: { "X-Api-Key": "s3cret" } });
    await lines.event();
    await lines.close();
    assert.is((await logged(2)).reason, "disconnected");

    const refused = await fetch(`${url}/events?since=s3cret`);
    assert.is(refused.status, 400);
    await refused.body?.cancel();
    const { time: __, ...refusal } = await logged(3);
    assert.equal(refusal, {
      level: "info",
      message: "stream refused",
      reason: "rejected",
      code: "InvalidCursor",
      status: 400,
      address: "127.0.0.1",
    });

    const open = await openLines(`${url}/events?format=sse`, {});
    await open.next();
    child.signal("SIGTERM");
    const closed = await logged(4);
    assert.equal([closed.reason, closed.format, closed.events], ["closed", "sse", 0]);
    await child.exit();
    assert.is(child.stderr.lines.length, 4, child.stderr.lines.join("\n"));
    assert.not.match(child.stderr.lines.join("\n"), /s3cret/);
  });
});

test("serve logs a stalled reader once, as closed, when it stops", async () => {
  await withServer(["--log", "json"], {}, async (url, child) => {
    const formats = ["ndjson", "sse"];
    const stalled = await Promise.all(formats.map(() => openWire(Number(new URL(url).port))));
    for (const [index, { socket, write }] of stalled.entries()) {
      socket.pause();
      write(`GET /events?format=${formats[index]} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    }
    const open = async () =>
      /subscribers\{format="ndjson"\} 1\n.*format="sse"\} 1\n/s.test(await metricsOf(url));
    await until(open, "both are open");
    const body = JSON.stringify({ type: "tribler_exception", event: { text: "x".repeat(800_000) } });
    for (let n = 0; n < 12; n++) { // More than the buffers of a connection hold.
      const headers = { "Content-Type": "application/json" };
      assert.is((await fetch(`${url}/events`, { method: "POST", headers, body })).status, 202);
    }
    child.signal("SIGTERM");
    assert.equal(await child.exit(5000), { code: 0, signal: null });
    const logged = child.stderr.lines.map((line) => JSON.parse(line));
    assert.equal(
      logged.map(({ message, reason, format }) => [message, reason, format]).sort(),
      formats.map((format) => ["stream ended", "closed", format]),
    );
    for (const { socket } of stalled) socket.destroy();
  });
});

test("serve --log json writes one object for a reader that is disconnected because it stalled", async () => {
  await withServer(["--log", "json", "--stall-timeout", "0.3"], {}, async (url, child) => {
    const stalled = [];
    for (const version of ["1.1", "1.0"]) {
      const { socket, write } = await openWire(Number(new URL(url).port));
      socket.pause();
      write(`GET /events HTTP/${version}\r\nHost: 127.0.0.1\r\n\r\n`);
      stalled.push(socket);
    }
    await until(async () => /subscribers\{format="ndjson"\} 2\n/.test(await metricsOf(url)), "both are open");
    const body = JSON.stringify({ type: "tribler_exception", event: { text: "x".repeat(800_000) } });
    const headers = { "Content-Type": "application/json" };
    for (let n = 0; n < 12; n++) await fetch(`${url}/events`, { method: "POST", headers, body });
    await child.stderr.take(2);
    child.signal("SIGTERM");
    await child.exit(5000);
    assert.equal(child.stderr.lines.map((line) => JSON.parse(line).reason), ["stalled", "stalled"]);
    for (const socket of stalled) socket.destroy();
  });
});

async function metricsOf(url: string): Promise<string> {
  return await (await fetch(`${url}/metrics`)).text();
}

test("serve logs text by default, and nothing with --log off", async () => {
  await withServer([], { EVENTS_LOG: "" }, async (url, child) => {
    await (await fetch(`${url}/events?follow=false`)).text();
    const [line] = await child.stderr.take(1);
    assert.match(
      line!,
      /^\S+Z info stream ended reason=completed format=ndjson address=127\.0\.0\.1 seconds=\d+(\.\d+)? events=0 bytes=\d+$/,
    );
  });
  await withServer(["--log", "off"], { EVENTS_LOG: "json" }, async (url, child) => {
    await (await fetch(`${url}/events?follow=false`)).text();
    child.signal("SIGTERM");
    assert.equal(await child.exit(), { code: 0, signal: null });
    assert.equal(child.stderr.lines, []);
  });
});

test("serve --log takes text, json or off", () => {
  const read = (args: string[], env = {}) => {
    const options = readServeOptions(args, env);
    return options === "help" ? options : options.log;
  };
  assert.is(read([]), "text");
  assert.is(read(["--log", "off"], { EVENTS_LOG: "json" }), "off");
  assert.is(read([], { EVENTS_LOG: "json" }), "json");
  for (const value of ["", "JSON", "yes"]) {
    assert.throws(() => read([`--log=${value}`]), /^--log takes/, value);
  }
  assert.throws(() => read([], { EVENTS_LOG: "loud" }), /^EVENTS_LOG takes text, json or off, not "loud"/);
});

test("createApp() logs an error that is thrown when a stream ends", async () => {
  const lines: string[] = [];
  const session = createSession({ version: "7.1.5" });
  const log = createLog("json", (line) => void lines.push(line));
  const streamEnded = () => {
    throw new Error("no good");
  };
  const app = createApp(session, { heartbeat: null, log: { ...log, streamEnded } });
  await (await app.request("/events?follow=false")).text();
  const { level, message } = JSON.parse(lines[0]!);
  assert.is(level, "error");
  assert.match(message, /^Error: no good\n/);
  assert.is(lines.length, 1);
});

test("createApp() logs an error of a route in every format, also with the log off", async () => {
  for (const format of ["text", "json", "off"] as LogFormat[]) {
    const lines: string[] = [];
    const session = createSession({ version: "7.1.5" });
    const app = createApp(session, {
      heartbeat: null,
      log: createLog(format, (line) => void lines.push(line)),
    });
    app.get("/broken", () => {
      throw new Error("no good");
    });
    const answer = await app.request("/broken");
    assert.is(answer.status, 500);
    assert.not.match(await answer.text(), /no good/);
    assert.is(lines.length, 1);
    if (format !== "json") {
      assert.match(lines[0]!, /^\S+Z error Error: no good\n/);
      continue;
    }
    const { time, level, message } = JSON.parse(lines[0]!);
    assert.equal([TIME.test(time), level, message.startsWith("Error: no good")], [true, "error", true]);
  }
});

test("serve --log json writes its warning at the start as an object", async () => {
  await withServer(["--log", "json", "--host", "0.0.0.0"], {}, async (_, child) => {
    const { level, message } = JSON.parse((await child.stderr.take(1))[0]!);
    assert.is(level, "warn");
    assert.match(message, /^other machines can reach this server/);
  });
});

test("serve continues when the reader of its log is gone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    const serve = shellCommand(["serve", "--port", "0"]);
    const script = `mkfifo "$0" && { head -n 0 < "$0" & exec ${serve} 2> "$0"; }`;
    const child = startProgram("sh", ["-c", script, join(folder, "log")], { env: { EVENTS_LOG: "text" } });
    await running(child, async () => {
      const { url } = await whereItListens(child);
      for (let n = 0; n < 3; n++) {
        await (await fetch(`${url}/events?follow=false`)).text();
        assert.is(await (await fetch(`${url}/healthz`)).text(), '{"status":"serving"}');
      }
      child.signal("SIGTERM");
      assert.is((await child.exit()).code, 0);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("createApp() logs no stream for HEAD and for a rejected POST", async () => {
  const lines: string[] = [];
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, {
    heartbeat: null,
    log: createLog("text", (line) => void lines.push(line)),
  });
  await app.request("/events", { method: "HEAD" });
  assert.is((await app.request("/events", { method: "POST", body: "{}" })).status, 415);
  assert.equal(lines, []);
  const stream = linesOf((await app.request("/events")).body!);
  await stream.event();
  await within(stream.close(), "the end of the stream");
  await until(() => lines.length > 0, "the line");
  assert.match(lines[0]!, / reason=disconnected format=ndjson seconds=/);
  assert.is(lines.length, 1);
});

test.run();
