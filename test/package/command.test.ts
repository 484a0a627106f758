import { join } from "node:path";
import process from "node:process";
import { build, type Format } from "esbuild";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/version.ts";
import { running, startProgram, whereItListens } from "../support/children.ts";
import { withNats } from "../nats/server.ts";
import { openLines } from "../support/harness.ts";
import { type Project, scriptArguments, withEmptyProject, withInstalled } from "../support/project.ts";
import { installRuntimes, programOf } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";

const test = suite("package: command");

installRuntimes(["deno", "bun"]);

const MAIN = "node_modules/events-endpoint/dist/cli/main.js";
const NATS_PACKAGES = ["@nats-io/jetstream", "@nats-io/nats-core", "@nats-io/transport-node"];
/** Of `serve --nats` without the packages. */
const MISSING = /^events-endpoint: --nats needs packages that are not installed here: npm install @nats-io\//;

/** Verifies that `serve` streams events and serves the page, and that `serve --nats` names the packages that are missing. */
async function verifyServe(program: string, args: readonly string[]): Promise<void> {
  await running(startProgram(program, [...args, "serve", "--port", "0"]), async (child) => {
    const { url } = await whereItListens(child);
    const lines = await openLines(`${url}/events`);
    assert.is((await lines.event()).event.version, VERSION);
    await lines.close();
    assert.match(await (await fetch(url)).text(), "<title>Events</title>");
  });
  const options = ["serve", "--port", "0", "--nats", "nats://127.0.0.1:1"];
  await running(startProgram(program, [...args, ...options]), (child) => child.stderr.match(MISSING));
}

/** Bundles the command of a project into one file. */
async function bundle(project: Project, outfile: string, format: Format): Promise<void> {
  await build({
    absWorkingDir: project.folder,
    entryPoints: [MAIN],
    bundle: true,
    platform: "node",
    logLevel: "error",
    outfile,
    format,
  });
}

test("the command bundled into one file serves on Node and Deno where nothing is installed", async () => {
  await withInstalled([], async (project) => {
    await withEmptyProject(async ({ folder }) => {
      for (const [name, format] of [["events.mjs", "esm"], ["events.cjs", "cjs"]] as const) {
        await bundle(project, join(folder, name), format);
        for (const runtime of ["node", "deno"] as const) {
          const args = scriptArguments(runtime, join(folder, name));
          await verifyServe(programOf(runtime), args);
        }
      }
    });
  });
});

test("serve --nats streams an event that was published to it, as it is installed and bundled into one file", async () => {
  await withInstalled(NATS_PACKAGES, async (project) => {
    const bundled = join(project.folder, "events.cjs");
    await bundle(project, bundled, "cjs");
    for (const script of [join(project.folder, MAIN), bundled]) {
      await withNats(async (nats) => {
        const args = [script, "serve", "--port", "0", "--nats", nats.url];
        await running(startProgram(process.execPath, args), async (child) => {
          const { url } = await whereItListens(child);
          const response = await fetch(`${url}/events`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: '{"type":"upgrader_tick","event":{"text":"on NATS"}}',
          });
          assert.is(response.status, 202, await response.text());
          const lines = await openLines(`${url}/events?types=upgrader_tick&since=earliest`);
          assert.equal((await lines.events(2)).at(-1)?.event, { text: "on NATS" });
          await lines.close();
        });
      });
    }
  });
});

test("bun build --compile makes a program of the command that serves", async () => {
  await withInstalled([], async (project) => {
    await withEmptyProject(async ({ folder }) => {
      const program = join(folder, "events");
      await project.run(programOf("bun"), ["build", "--compile", "--outfile", program, MAIN]);
      await verifyServe(program, []);
    });
  });
});

test("deno compile makes a program of the command that serves, if Deno can download its runtime", async () => {
  await withInstalled([], async (project) => {
    await withEmptyProject(async ({ folder }) => {
      const program = join(folder, "events");
      const failure = await project.run(programOf("deno"), [
        "compile",
        "--allow-all",
        "--output",
        program,
        MAIN,
      ])
        .then(() => undefined, (error: Error) => error.message);
      if (failure === undefined) return await verifyServe(program, []);
      // No registry has that runtime. Where it cannot be had, all before it has succeeded: the graph of the modules.
      assert.match(failure, /Setting up base binary[^]*dl\.deno\.land/);
      console.log("deno compile: its runtime could not be downloaded, so no program was tried");
    });
  });
});

test.run();
