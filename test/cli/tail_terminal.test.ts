/**
 * `tail` on a terminal, which `script` makes: what it shows, what its keys do, and that the terminal is as it was after every end.
 *
 * @module
 */
import { Hono } from "hono";
import process from "node:process";
import stringWidth from "string-width";
import * as assert from "uvu/assert";
import { createApp } from "../../src/server/app.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { createSession, type Session } from "../../src/tribler/mod.ts";
import { type Child, running, shellCommand, shellScript, startProgram } from "../support/children.ts";
import { findFreePort, serving, until } from "../support/harness.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";
import { TerminalModel } from "../support/terminal_model.ts";

const test = suite("tail on a terminal");

const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";

/** Numbers, keys and escapes that `JSON.parse()` would change, and a character that changes the direction of writing. */
const RAW = String.raw`{"id":4611686018427387905,"b":1.0,"a":-0,"2":"\u00e9\/","1":1E2,"c":"\u202e@"}`
  .replace("@", "\u009b\u202e\u007f");

/** Runs `use` beside a server of Tribler's events. */
async function withTribler(use: (url: string, session: Session) => Promise<void>): Promise<void> {
  const session = createSession({ version: "7.1.5" });
  await serving(createApp(session, { heartbeat: 5 }), (url) => use(`${url}/events`, session));
}

function tick(session: Session, text: string): void {
  session.emit("upgrader_tick", { text });
}

/** Starts `tail` on a terminal with this many columns. What is written to its stdin is typed there. */
function onTerminal(args: readonly string[], columns: number, env: Record<string, string> = {}): Child {
  const command = `stty cols ${columns} rows 24; exec ${shellCommand(["tail", ...args])}`;
  return startProgram("script", ["-qfec", command, "/dev/null"], {
    input: true,
    env: { NO_COLOR: "", ...env },
  });
}

const CTRL_C = "\x03";

/** The rows of a terminal of 24 rows after this text. */
function screenOf(text: string, columns: number): string[] {
  const terminal = new TerminalModel({ columns });
  terminal.write(text);
  return terminal.lines;
}

test("tail --json escapes what would move the cursor of a terminal, and changes nothing else", async () => {
  const app = new Hono();
  let asked = 0;
  const text = `{"type":"t",\t"event":${RAW}}\n`;
  app.get(
    "/",
    (c) => ++asked > 1 ? c.body(null, 204) : c.body(text, 200, { "Content-Type": "application/x-ndjson" }),
  );
  await serving(app, async (url) => {
    await running(onTerminal([url, "--json"], 400), async (child) => {
      assert.equal(await child.exit(), { code: 0, signal: null });
      const expected = RAW.replace("\u009b\u202e\u007f", String.raw`\u009b\u202e\u007f`);
      const [line] = child.stdout.lines;
      assert.is(line!.slice(line!.indexOf("{")).trim(), `{"type":"t", "event":${expected}}`);
    });
  });
});

test("tail shows rows in colour on a terminal, and a last line that it removes at the end", async () => {
  await withTribler(async (url, session) => {
    session.emit("torrent_finished", { name: "漢".repeat(60), infohash: HASH });
    session.emit("tribler_exception", { text: "a\u001b[2Jb\u009bc\u202ed\nnext" });
    await running(onTerminal([url, "--since", "earliest"], 90), async (child) => {
      await child.stdout.match(/tribler_exception/);
      tick(session, "later");
      await child.stdout.match(/upgrader_tick.*later/);
      await until(() => {
        tick(session, "more");
        return child.stdout.lines.some((line) => line.includes("connected  3 events"));
      }, "the last line counts three events");
      child.stdin.write(CTRL_C);
      assert.equal(await child.exit(), { code: 0, signal: null });
      const all = child.stdout.lines.join("\n");
      const exception = child.stdout.lines.find((line) => line.includes("tribler_exception"))!;
      // deno-lint-ignore no-control-regex
      assert.match(exception, /\x1b\[31m/);
      assert.not.match(all, /[\u0080-\u009f\u202e]/);
      const rows = screenOf(all.replace("^C", ""), 90);
      const [start, finished, raised, later] = rows.filter((row) => /^\d\d:\d\d:\d\d /.test(row));
      assert.match(start!, /^\S+ {2}events_start {15}tribler_started=false version=7\.1\.5 heartbeat=5$/);
      assert.match(finished!, /^\S+ {2}torrent_finished {11}漢+…$/);
      assert.ok(stringWidth(finished!) <= 90);
      assert.match(raised!, / {2}next$/); // The last line of a traceback says it.
      assert.match(later!, /^\S+ {2}upgrader_tick {14}later$/);
      assert.not.match(rows.join("\n"), /connected/);
    });
  });
});

test("tail uses no colours with NO_COLOR, and prints JSON on a terminal with --json, TERM=dumb or CI", async () => {
  await withTribler(async (url, session) => {
    tick(session, "one");
    const args = [url, "--since", "earliest"];
    await running(onTerminal(args, 80, { NO_COLOR: "1" }), async (child) => {
      const { input: row } = await child.stdout.match(/upgrader_tick/);
      // deno-lint-ignore no-control-regex
      assert.not.match(row, /\x1b\[\d*m/);
    });
    for (const env of [undefined, { TERM: "dumb" }, { CI: "true" }]) {
      const flags = env === undefined ? ["--json"] : [];
      await running(onTerminal([...args, ...flags], 80, env), async (child) => {
        const { input: line } = await child.stdout.match(/upgrader_tick/);
        assert.is(JSON.parse(line.slice(line.indexOf("{"))).event.text, "one");
      });
    }
  });
});

test("tail shows on a terminal that it retries and that it is connected again", async () => {
  const session = createSession({ version: "7.1.5" });
  const app = createApp(session, { heartbeat: 5 });
  const port = await findFreePort();
  await running(onTerminal([`http://127.0.0.1:${port}/events`], 120), async (child) => {
    await child.stdout.match(/connection refused; trying again/);
    const server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port });
    try {
      await child.stdout.match(/events_start/);
      await child.stdout.match(/not connected, attempt \d+ in \d+ s/);
    } finally {
      await server.stop(0);
    }
  });
});

test("tail prints the day above an event of another day, and the present time for an event without one", async () => {
  const app = new Hono();
  const lines = ['{"type":"a","time":"2001-02-03T12:00:00.000Z"}', '{"type":"b","event":7}', ""].join("\n");
  let asked = 0;
  app.get(
    "/",
    (c) => ++asked > 1 ? c.body(null, 204) : c.body(lines, 200, { "Content-Type": "application/x-ndjson" }),
  );
  await serving(app, async (url) => {
    await running(onTerminal([url], 60), async (child) => {
      assert.equal(await child.exit(), { code: 0, signal: null });
      const rows = screenOf(child.stdout.lines.join("\n"), 60);
      assert.is(rows[0], "-- Sat Feb 03 2001 --");
      assert.match(rows[1]!, /^\d\d:\d\d:00 {2}a$/);
      assert.match(rows[2]!, /^-- \w{3} \w{3} \d\d 20\d\d --$/);
      assert.match(rows[3]!, /^\d\d:\d\d:\d\d {2}b {17}7$/);
    });
  });
});

/** Prints the modes of the terminal in which it shows what is typed, line by line. */
const MODES = 'stty -a | tr -s " ;" "\\n\\n" | grep -x -e "-*icanon" -e "-*echo"';

/** Starts a command on a terminal of 80 × 24, and prints its process id, its exit code, and the modes of the terminal after it. */
function onWatchedTerminal(command: string): Child {
  const script =
    `stty cols 80 rows 24; sh -c 'echo "pid $$"; exec "$0" "$@"' ${command}; echo "ended $?"; ${MODES}`;
  return startProgram("script", ["-qfec", script, "/dev/null"], {
    input: true,
    env: { NO_COLOR: "1", CI: "", TERM: "xterm" },
  });
}

/** Waits for the end, and checks that the terminal is as it was. */
async function restored(child: Child, code: number): Promise<void> {
  await child.stdout.match(new RegExp(`ended ${code}\r?$`));
  await child.stdout.match(/^icanon\r?$/);
  await child.stdout.match(/^echo\r?$/);
  const all = child.stdout.lines.join("\n");
  assert.ok(all.lastIndexOf("\x1b[?1049l") >= all.lastIndexOf("\x1b[?1049h"), "the other screen was left");
  assert.ok(all.lastIndexOf("\x1b[?2004l") > all.lastIndexOf("\x1b[?2004h"), "pastes are not surrounded");
}

test("tail filters at /, pauses at the space bar, chooses types at t, shows a whole event at Enter, and ends at q", async () => {
  await withTribler(async (url, session) => {
    for (const text of ["one", "two", "three"]) tick(session, text);
    session.emit("torrent_finished", { infohash: HASH, name: "Sintel" });
    await running(onWatchedTerminal(shellCommand(["tail", url, "--since", "earliest"])), async (child) => {
      const { stdout, stdin } = child;
      const rows = (text: string) =>
        stdout.lines.filter((line) => line.trimEnd().endsWith(`  ${text}`)).length;
      await stdout.match(/Sintel 08ada5a7…/);
      stdin.write("/TWO\r");
      await stdout.match(/-- filter: TWO --/);
      await until(() => rows("two") === 2, "the filter shows what it accepts again");
      tick(session, "four");
      tick(session, "twofold");
      await stdout.match(/ twofold/);
      assert.is(rows("four"), 0);

      stdin.write(" ");
      await until(() => stdout.rest.includes("paused, 0 new"), "it is paused");
      tick(session, "two by two");
      await until(() => stdout.rest.includes("paused, 1 new"), "it counts what comes");
      assert.is(rows("two by two"), 0);
      stdin.write(" ");
      await stdout.match(/ two by two/);

      stdin.write("/\x15e\rt");
      await stdout.match(/\[x\] +1 {2}torrent_finished/);
      stdin.write("a");
      await stdout.match(/\[ \] +1 {2}torrent_finished/);
      stdin.write(" \r");
      await until(() => rows("Sintel 08ada5a7…") >= 2, "the chosen type is shown again");
      stdin.write("\r");
      await stdout.match(/"infohash": "08ada5a7a6183aae1e09d831df6748d566095a10",/);
      stdin.write("f");
      await until(
        () => stdout.rest.includes('1 of 7 match  /subject:"08ada5a7'),
        "only its subject is shown",
      );
      stdin.write("/\r");
      stdin.write("f");
      await until(() => /\/e {2}only 1 type[^/]*$/.test(stdout.rest), "the filter before it is back");
      stdin.write("?");
      await stdout.match(/stop until fg/);
      stdin.write("?f\x1b");
      await until(() => stdout.rest.includes("Enter whole"), "the list is shown");
      stdin.write("\x1b");
      await stdout.match(/-- filter: subject:"08ada5a7a6183aae1e09d831df6748d566095a10", only 1 type --/);
      stdin.write("q");
      await restored(child, 0);
    });
  });
});

/** What a terminal of 80 × 24 shows after everything that a child has written. */
function screenAfter({ stdout }: Child): string[] {
  return screenOf([...stdout.lines, stdout.rest].join("\n"), 80);
}

test("tail keeps the line that explains rows in sight above them, and repeats none if nothing was changed", async () => {
  await withTribler(async (url, session) => {
    for (let n = 1; n <= 60; n++) tick(session, `first ${n}`);
    await running(onWatchedTerminal(shellCommand(["tail", url, "--since", "earliest"])), async (child) => {
      const { stdout, stdin } = child;
      await stdout.match(/ first 60/);
      stdin.write(" ");
      await until(() => stdout.rest.includes("space resume"), "it is paused");
      for (let n = 1; n <= 40; n++) tick(session, `second ${n}`);
      await until(() => stdout.rest.includes("paused, 40 new"), "it counts what comes");
      stdin.write(" ");
      await stdout.match(/ second 40/);
      const [explanation, oldest, ...others] = screenAfter(child);
      assert.is(explanation, "-- 18 more events: ↑ shows them --");
      assert.match(oldest!, / second 19$/);
      assert.match(others.at(-2)!, / second 40$/);

      stdin.write("/tick\r");
      await until(() => stdout.rest.includes("100 of 100 match"), "it filters");
      assert.match(screenAfter(child)[0]!, /^-- filter: tick --$/);
      stdin.write("/\rt");
      await until(() => stdout.rest.includes("o only this"), "it shows the types");
      stdin.write("o");
      await until(() => stdout.rest.includes("only 1 type"), "one is chosen");
      stdin.write("\x03");
      await until(() => stdout.rest.includes("space pause"), "the rows are back");
      stdin.write("/\x15nothing\x03");
      tick(session, "third");
      await stdout.match(/ third/);
      assert.is(stdout.lines.filter((line) => line.includes("-- filter:")).length, 1);
      stdin.write("\x03");
      await restored(child, 0);
    });
  });
});

test("tail takes a paste for text while the prompt is open, and else for nothing", async () => {
  await withTribler(async (url, session) => {
    await running(onWatchedTerminal(shellCommand(["tail", url])), async (child) => {
      const { stdout, stdin } = child;
      await stdout.match(/events_start/);
      stdin.write("\x1b[200~q?\rt\x1b[201~\x1b[200~q\x1b[201~/");
      await until(() => stdout.rest.includes("Enter apply"), "the prompt is open");
      stdin.write("\x1b[200~quick\r\nbrown\n\x1b[201~");
      await until(() => stdout.rest.includes("/quick brown"), "the paste is one line");
      stdin.write("\r");
      await stdout.match(/-- filter: quick brown --/);
      tick(session, "a quick brown fox");
      await stdout.match(/ a quick brown fox/);
      stdin.write("q");
      await restored(child, 0);
    });
  });
});

test("tail leaves the terminal as it was when it is stopped by a signal, the stream ends, the terminal goes or the code fails", async () => {
  await withTribler(async (url, session) => {
    const command = shellCommand(["tail", url, "--since", "earliest"]);
    for (const [signal, code] of [["SIGTERM", 0], ["SIGHUP", 129]] as const) {
      await running(onWatchedTerminal(command), async (child) => {
        const [, pid] = await child.stdout.match(/pid (\d+)/);
        await child.stdout.match(/events_start/);
        child.stdin.write("\x1b[A");
        await until(() => child.stdout.rest.includes("Esc back"), "the terminal is filled");
        process.kill(Number(pid), signal);
        await restored(child, code);
      });
    }
    await running(onWatchedTerminal(`${command} --limit 2`), async (child) => {
      await child.stdout.match(/events_start/);
      child.stdin.write("?");
      await child.stdout.match(/choose the types/);
      for (const text of ["one", "two"]) tick(session, text);
      await restored(child, 0);
    });
  });
  const crash = shellScript("test/cli/crashing_keyboard.ts");
  await running(onWatchedTerminal(crash), async (child) => {
    await child.stdout.match(/reads keys/);
    child.stdin.write("x");
    await child.stdout.match(/a fault/);
    await restored(child, 1);
  });
});

/** Stops `tail` in a shell of 80 × 24, with the list of events open, and lets it go on as soon as the shell has the terminal. */
async function stopping(stop: (child: Child, pid: number) => void, session: Session, url: string) {
  const command = shellCommand(["tail", url, "--since", "earliest"]);
  const script = `set -m; stty cols 80 rows 24; sh -c 'echo "pid $$"; exec "$0" "$@"' ${command}
    echo "stopped"; ${MODES}; read line; fg; echo "ended $?"; ${MODES}`;
  const env = { NO_COLOR: "1", CI: "", TERM: "xterm", SHELL: "/bin/sh" };
  await running(
    startProgram("script", ["-qfec", script, "/dev/null"], { input: true, env }),
    async (child) => {
      const { stdout, stdin } = child;
      const [, pid] = await stdout.match(/pid (\d+)/);
      await stdout.match(/events_start/);
      tick(session, "a tick");
      await stdout.match(/ a tick/);
      stdin.write("\x1b[A");
      await until(() => stdout.rest.includes("Esc back"), "the terminal is filled");
      stop(child, Number(pid));
      await stdout.match(/stopped\r?$/);
      await stdout.match(/^icanon\r?$/);
      await stdout.match(/^echo\r?$/);
      const before = stdout.lines.join("\n");
      assert.ok(
        before.lastIndexOf("\x1b[?1049l") >= before.lastIndexOf("\x1b[?1049h"),
        "the shell has its screen",
      );
      assert.ok(before.lastIndexOf("\x1b[?2004l") > before.lastIndexOf("\x1b[?2004h"));
      stdin.write("\n");
      await until(() => stdout.rest.includes("Esc back"), "the terminal is filled again");
      stdin.write("\x1b");
      await until(() => stdout.rest.includes("connected"), "the rows are back");
      stdin.write("q");
      await restored(child, 0);
    },
  );
}

test("tail leaves the terminal to the shell when it is stopped, by Ctrl-Z or from outside, and takes it again at fg", async () => {
  await withTribler(async (url, session) => {
    await stopping(({ stdin }) => stdin.write("\x1a"), session, url);
    await stopping((_, pid) => process.kill(pid, "SIGTSTP"), session, url);
  });
});

const withoutShell = async () => {
  await withTribler(async (url) => {
    await running(onWatchedTerminal(shellCommand(["tail", url])), async (child) => {
      await child.stdout.match(/events_start/);
      child.stdin.write("\x1a");
      child.stdin.write("?");
      await child.stdout.match(/choose the types/, 10_000);
      child.stdin.write("q");
      await restored(child, 0);
    });
  });
};
/** Deno stops a process that has listened to SIGTSTP by SIGSTOP, which the system never ignores. */
if (runtimeUnderTest() !== "deno") {
  test("tail reads keys again after Ctrl-Z where no shell could let it go on", withoutShell);
}

/** Deno without `--allow-all` does not see whether it is in the background. */
const SEES_BACKGROUND = runtimeUnderTest() !== "deno";

const inBackground = async () => {
  await withTribler(async (url, session) => {
    const command = shellCommand(["tail", url, "--since", "earliest", "--limit", "1"]);
    const script = `set -m; ${command} & jobs -p; wait; echo "ended $?"`;
    await running(startProgram("script", ["-qfec", script, "/dev/null"], { input: true }), async (child) => {
      await child.stdout.match(/events_start/);
      tick(session, "one");
      await child.stdout.match(/ended 0/);
    });
  });
};
if (SEES_BACKGROUND) {
  test("tail reads no keys in the background, where a change of the terminal would stop it", inBackground);
}

test.run();
