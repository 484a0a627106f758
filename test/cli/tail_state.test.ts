import { Hono } from "hono";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { openOutput } from "../../src/cli/file_output.ts";
import { openStateFile } from "../../src/cli/state_file.ts";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { type Child, running, startCli } from "../support/children.ts";
import { serving, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";

const test = suite("tail --state");

const catalogue = defineEvents({ note: v.string() });

/** Runs `use` beside a server, in a folder that the command may use. */
async function withServer(
  use: (hub: {
    readonly url: string;
    readonly folder: string;
    publish(first: number, last: number): void;
    start(args: readonly string[]): Child;
    /** Waits until the state file has the cursor of this event. */
    kept(path: string, n: number): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const channel = createChannel(catalogue);
  const app = new Hono().route("/events", eventsEndpoint(channel, { heartbeat: 5 }));
  const folder = await mkdtemp(join(tmpdir(), "tail-"));
  try {
    await serving(app, async (origin) => {
      const url = `${origin}/events`;
      await use({
        url,
        folder,
        publish: (first, last) => {
          for (let n = first; n <= last; n++) channel.publish("note", `note ${n}`);
        },
        start: (args) =>
          startCli(["tail", url, ...args], {
            permissions: [`--allow-read=${folder}`, `--allow-write=${folder}`],
          }),
        kept: async (path, n) => {
          const cursor = `"cursor":"${channel.epoch}-${n}"`;
          const read = () => readFile(path, "utf8").catch(() => "");
          await until(async () => (await read()).includes(cursor), `the state is at event ${n}`);
        },
      });
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const notesIn = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).event as string);
const notes = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => `note ${first + n}`);

test("openOutput() continues a file, removes what is not known to be whole, and rotates to the next free name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "output-"));
  try {
    const path = join(folder, "a");
    await writeFile(path, "one\ntwo\ntor");
    const output = openOutput(path, 12, 8);
    assert.is(output.bytes, 8);
    assert.not(output.isFullFor("gü\n"));
    assert.ok(output.isFullFor("grü\n"));
    output.write("abc\n");
    output.rotate();
    assert.not(output.isFullFor("longer than allowed by itself\n"));
    output.write("def\n");
    output.rotate();
    output.close();
    openOutput(path, 12, 100).close();
    assert.equal((await readdir(folder)).sort(), ["a", "a.1", "a.2"]);
    assert.is(await readFile(`${path}.1`, "utf8"), "one\ntwo\nabc\n");
    assert.is(await readFile(`${path}.2`, "utf8"), "def\n");
    assert.throws(() => openOutput(join(folder, "no", "a")), /^cannot write /);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("openStateFile() writes again after a write that failed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    const path = join(folder, "state");
    const file = await openStateFile<{ n: number }>(path, "a test");
    await mkdir(`${path}.new`); // In the way of the next write.
    const reason = await file.write({ n: 1 }).then(() => "", (error: Error) => error.message);
    assert.match(reason, `cannot write the state file ${path}`);
    await rmdir(`${path}.new`);
    await file.write({ n: 2 });
    file.close();
    const again = await openStateFile<{ n: number }>(path, "a test");
    assert.equal(again.state, { n: 2 });
    again.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("tail --state goes on after the last line that it wrote, also after kill -9", async () => {
  await withServer(async ({ folder, publish, start, kept }) => {
    const state = join(folder, "state");
    publish(1, 2);
    await running(start(["--state", state, "--since", "earliest"]), async (child) => {
      await kept(state, 2);
      assert.equal(notesIn(child.stdout.lines), notes(1, 2));
      publish(3, 3);
      await kept(state, 3);
      child.signal("SIGKILL");
      await child.exit();
      assert.equal(notesIn(child.stdout.lines), notes(1, 3));
    });
    publish(4, 6);
    await running(start(["--state", state, "--since", "earliest", "--limit", "2"]), async (child) => {
      assert.is((await child.exit()).code, 0);
      assert.equal(notesIn(child.stdout.lines), notes(4, 5));
    });
    await kept(state, 5);
  });
});

test("tail --output --rotate --state has each event once in its files, also after kill -9 within a line", async () => {
  await withServer(async ({ folder, publish, start, kept }) => {
    const [state, output] = [join(folder, "state"), join(folder, "events")];
    const args = ["--state", state, "--output", output, "--rotate", "0.3kB", "--since", "earliest"];
    const files = async () => {
      const names = (await readdir(folder)).filter((name) => /^events\.\d+$/.test(name));
      names.sort((a, b) => Number(a.slice(7)) - Number(b.slice(7)));
      const texts = await Promise.all(
        [...names, "events"].map((name) => readFile(join(folder, name), "utf8")),
      );
      return texts.map((text) => notesIn(text.split("\n").slice(0, -1)));
    };
    publish(1, 4);
    await running(start(args), async (child) => {
      await kept(state, 4);
      publish(5, 6);
      await kept(state, 6);
      child.signal("SIGKILL");
      await child.exit();
      assert.equal(child.stdout.lines, []);
    });
    // What a kill between the file and the state leaves.
    const whole = await readFile(output, "utf8");
    await appendFile(output, `${whole.split("\n")[0]}\n{"type":"no`);
    publish(7, 9);
    await running(start([...args, "--limit", "3"]), async (child) => {
      assert.is((await child.exit()).code, 0);
    });
    const parts = await files();
    assert.equal(parts.flat(), notes(1, 9));
    assert.ok(parts.length >= 3 && parts.every((part) => part.length <= 3 && part.length > 0));
  });
});

test("tail refuses a state of another server, and --rotate without a file", async () => {
  await withServer(async ({ folder, start, url }) => {
    const state = join(folder, "state");
    await writeFile(state, JSON.stringify({ of: "tail http://elsewhere/events", cursor: "e-1" }));
    await running(start(["--state", state]), async (child) => {
      assert.is((await child.exit()).code, 1);
      assert.match(
        child.stderr.lines.join("\n"),
        /is that of "tail http:\/\/elsewhere\/events": give another/,
      );
    });
    await running(startCli(["tail", url, "--rotate", "1MB"]), async (child) => {
      assert.is((await child.exit()).code, 2);
      assert.equal(child.stderr.lines, ["events-endpoint: --rotate is about a file: add --output FILE"]);
    });
  });
});

test.run();
