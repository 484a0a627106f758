/**
 * What `tail` does when its reader is slow, and when its output cannot be written.
 *
 * @module
 */
import { Hono } from "hono";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Child, running, shellCommand, startProgram } from "../support/children.ts";
import { serving, until } from "../support/harness.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";

const test = suite("tail output");

/** Deno writes to a pipe synchronously: while the pipe is full, no script of Deno handles a signal. */
const HANDLES_SIGNALS = runtimeUnderTest() !== "deno";

/**
 * 70 KiB: more than the 64 KiB that a pipe of Linux holds (16 pages with four lines of 1 KiB each), by less than the 16 KiB
 * that Node queues before it asks the writer to wait.
 */
const SMALL_LINES = lineOf("x".repeat(1024 - lineOf("").length)).repeat(70);
/** As soon as a byte of it can be read, the pipe is full. */
const LONG_LINE = lineOf("x".repeat(200_000));

function lineOf(event: string): string {
  return `${JSON.stringify({ type: "tick", event })}\n`;
}

/** A pipe that this process reads only when it wants to. */
interface Pipe {
  /** Reads what is there, `max` bytes at the most. */
  read(max?: number): string;
}

/** Runs `use` beside `tail`, which writes to a pipe. */
async function withPipe(url: string, use: (child: Child, pipe: Pipe) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const read = (max = 1 << 20) => {
    const bytes = Buffer.alloc(max);
    try {
      return bytes.toString("latin1", 0, readSync(reader, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "";
      throw error;
    }
  };
  try {
    const child = startProgram("sh", ["-c", `exec ${shellCommand(["tail", url])} > "$0"`, path]);
    await running(child, () => use(child, { read }));
  } finally {
    closeSync(reader);
    await rm(folder, { recursive: true });
  }
}

test("tail writes all that it has received before it exits when its reader is slow", async () => {
  const app = new Hono();
  let requests = 0;
  const type = { "Content-Type": "application/x-ndjson" };
  app.get("/", (c) => ++requests > 1 ? c.body(null, 204) : c.body(SMALL_LINES, 200, type));
  await serving(app, (url) =>
    withPipe(url, async (child, { read }) => {
      let isOver = false;
      const exit = child.exit().finally(() => isOver = true);
      // Deno and Bun read no further while the pipe is full.
      await until(
        () => requests > (runtimeUnderTest() === "node" ? 1 : 0),
        "tail has nothing left to receive",
      );
      const begin = performance.now();
      await until(() => isOver || performance.now() - begin > 500, "tail has had time to exit");
      let text = "";
      await until(() => {
        text += read();
        return isOver;
      }, "tail has ended");
      assert.equal(await exit, { code: 0, signal: null });
      text += read();
      assert.ok(text === SMALL_LINES, `${text.length} of ${SMALL_LINES.length}: …${text.slice(-20)}`);
    }));
});

test("tail exits with 1 and the reason when its output cannot be written", async () => {
  const app = new Hono();
  app.get("/", (c) => c.body(LONG_LINE, 200, { "Content-Type": "application/x-ndjson" }));
  await serving(app, async (url) => {
    const command = `exec ${shellCommand(["tail", url])} > /dev/full`; // Every write to it fails.
    await running(startProgram("sh", ["-c", command]), async ({ exit, stderr }) => {
      assert.is((await exit()).code, 1);
      assert.match(stderr.lines.at(-1)!, /^events-endpoint: cannot write: .*no space left on device/i);
    });
  });
});

/** Serves the long line on a stream that stays open. */
async function withLongLine(use: (url: string) => Promise<void>): Promise<void> {
  const app = new Hono();
  app.get("/", (c) => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(LONG_LINE)),
    });
    return c.body(body, 200, { "Content-Type": "application/x-ndjson" });
  });
  await serving(app, use);
}

for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`tail ends its output on a whole line when ${signal} comes while its reader is slow`, async () => {
    await withLongLine((url) =>
      withPipe(url, async (child, { read }) => {
        let text = "";
        await until(() => text += read(1), "the pipe is full");
        child.signal(signal);
        let isOver = false;
        const exit = child.exit().finally(() => isOver = true);
        await until(() => {
          text += read();
          return isOver;
        }, "tail has ended");
        assert.equal(await exit, { code: 0, signal: null });
        text += read();
        assert.ok(text === LONG_LINE, `${text.length} of ${LONG_LINE.length}: …${text.slice(-20)}`);
      })
    );
  });

  if (!HANDLES_SIGNALS) continue;
  test(`tail ends at once when ${signal} comes a second time, a second or more after the first`, async () => {
    await withLongLine((url) =>
      withPipe(url, async (child, { read }) => {
        await until(() => read(1), "the pipe is full");
        let isOver = false;
        const exit = child.exit(5000).finally(() => isOver = true);
        child.signal(signal);
        child.signal(signal); // npm passes on what a terminal has sent to the whole group.
        const begin = performance.now();
        await until(() => {
          assert.not(isOver, "the reader may still read what tail has received");
          return performance.now() - begin > 1050;
        }, "a second has passed");
        child.signal(signal);
        assert.equal(await exit, { code: exitCode, signal: null });
      })
    );
  });
}

test.run();
