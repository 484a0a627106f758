import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { unknownVariables } from "../../src/cli/serve_flags.ts";
import { readServeOptions } from "../../src/cli/serve_options.ts";
import { running, startCli, startProgram, whereItListens } from "../support/children.ts";
import { suite } from "../support/suite.ts";

const test = suite("deploy");

const read = (name: string) =>
  readFile(fileURLToPath(new URL(`../../examples/deploy/${name}`, import.meta.url)), "utf8");

function optionsOf(env: Record<string, string>) {
  assert.equal(unknownVariables(env), []);
  const options = readServeOptions([], env);
  assert.ok(options !== "help");
  return options;
}

test("the Dockerfile sets variables of serve, runs as another user, and its health check finds the server", async () => {
  const text = await read("Dockerfile");
  const env = Object.fromEntries(
    [...text.matchAll(/(EVENTS_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
  assert.equal([optionsOf(env).host, optionsOf(env).data], ["0.0.0.0", "/data/events.db"]);
  assert.match(text, /^USER node$/m);
  assert.match(text, /^STOPSIGNAL SIGTERM$/m);
  const [program, ...args] = JSON.parse(/^ {2}CMD (\[.*\])$/m.exec(text)![1]!) as string[];
  const check = (port: string) =>
    running(
      startProgram(program!, args, { env: { EVENTS_PORT: port } }),
      async (child) => (await child.exit()).code,
    );
  await running(startCli(["serve", "--port", "0"]), async (child) => {
    const { port } = await whereItListens(child);
    assert.is(await check(`${port}`), 0);
    child.signal("SIGTERM");
    assert.is((await child.exit()).code, 0);
    assert.is(await check(`${port}`), 1);
  });
});

test("the unit of systemd sets variables of serve, and systemd-analyze finds nothing wrong with it", async () => {
  const text = await read("events-endpoint.service");
  const [, data] = /^Environment=EVENTS_DATA=(.+)$/m.exec(text)!;
  assert.is(optionsOf({ EVENTS_DATA: data! }).data, "/var/lib/events-endpoint/events.db");
  const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)![1]);
  assert.ok(seconds > optionsOf({}).drain + 5);
  if (!existsSync("/usr/bin/systemd-analyze")) return;
  const folder = await mkdtemp(join(tmpdir(), "unit-"));
  try {
    const unit = join(folder, "events-endpoint.service");
    // It verifies that the program is there.
    await writeFile(unit, text.replace("/usr/local/bin/events-endpoint", process.execPath));
    await running(startProgram("systemd-analyze", ["verify", "--man=no", unit]), async (child) => {
      const { code } = await child.exit();
      const faults = child.stderr.lines.filter((line) => line.includes("events-endpoint.service"));
      assert.equal([code, faults], [0, []]);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
