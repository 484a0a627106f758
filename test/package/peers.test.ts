import * as assert from "uvu/assert";
import { sharedTarball } from "../support/pack.ts";
import {
  type Project,
  readManifest,
  runScript,
  scriptArguments,
  SERVER_OUTPUT,
  SERVER_PROGRAM,
  withEmptyProject,
  withInstalled,
} from "../support/project.ts";
import { installRuntimes, programOf } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";
import type { RuntimeName } from "../suites.ts";

const test = suite("package: peers");

const NODES: readonly RuntimeName[] = ["node", "node22", "node24", "node26"];
const OUTERMOST: readonly RuntimeName[] = ["node", "node26", "deno", "bun"];
const RUNTIMES: readonly RuntimeName[] = [...NODES, "deno", "bun"];

installRuntimes(RUNTIMES);

const { peerDependencies: peers } = await readManifest();

/** Returns the lowest version of the range of a peer. */
function lowest(name: string): string {
  const [, version] = /^\^(\d+\.\d+\.\d+)$/.exec(peers[name] ?? "") ?? [];
  if (version === undefined) throw new Error(`${name}: ${peers[name]} is no range that this test reads`);
  return version;
}

/** Uses each entry point as a project that is written in CommonJS does. */
const COMMON_JS = `
const { createChannel, defineEvents, eventsEndpoint } = require("events-endpoint");
const { connect } = require("events-endpoint/client");
const { eventsPage, jsonSchemas } = require("events-endpoint/server");
const { eventsStore } = require("events-endpoint/store");
const { createSession } = require("events-endpoint/tribler");
console.log(typeof eventsStore, typeof createChannel, typeof eventsEndpoint, typeof connect, typeof createSession, typeof eventsPage, typeof jsonSchemas);
`;

/** Runs the program of a server on runtimes. */
async function runOn(runtimes: readonly RuntimeName[], project: Project): Promise<void> {
  await project.write("program.mjs", SERVER_PROGRAM);
  await project.write("program.cjs", COMMON_JS);
  for (const runtime of runtimes) {
    assert.is(await runScript(project, runtime, "program.mjs"), SERVER_OUTPUT, runtime);
    const output = await runScript(project, runtime, "program.cjs");
    assert.match(output, /^(?:function ){6}function\n$/m, runtime);
  }
}

test("the lowest hono and valibot of the peers run and are required on every runtime", async () => {
  const packages = ["hono", "valibot"].map((name) => `${name}@${lowest(name)}`);
  await withInstalled([...packages, "@hono/node-server"], async (project) => {
    const tree = JSON.parse(await project.run("npm", ["ls", "--json", "--all"]));
    for (const name of ["hono", "valibot"]) assert.is(tree.dependencies[name].version, lowest(name));
    const copies = JSON.parse(await project.run("npm", ["query", "#hono"]));
    assert.is(copies.length, 1, "with two, their types differ: app.route() does not compile");
    await runOn(RUNTIMES, project);
  });
});

test("the highest hono and valibot of the peers run and are required on the oldest and the newest Node, Deno and Bun", async () => {
  const packages = ["hono", "valibot"].map((name) => `${name}@${peers[name]}`);
  await withInstalled([...packages, "@hono/node-server"], (project) => runOn(OUTERMOST, project));
});

test("npm install refuses a hono and a valibot below the peers", async () => {
  const tarball = await sharedTarball();
  for (const packages of [["hono@4.10.8"], ["hono", "valibot@0.42.1"]]) {
    await withEmptyProject(async (project) => {
      const tryIt = () => project.npm(tarball, ...packages).then(() => "", (error: Error) => error.message);
      let failure = await tryIt();
      if (!failure.includes("ERESOLVE")) failure = await tryIt(); // The registry may have failed before that.
      assert.match(failure, "ERESOLVE", `${packages.join(" ")}: ${failure}`);
    });
  }
});

/** Runs a script that must fail, and returns its output. */
async function failureOf(project: Project, runtime: RuntimeName, args: readonly string[]): Promise<string> {
  const [script, ...rest] = args;
  const command = [...scriptArguments(runtime, script!), ...rest];
  return await project.run(programOf(runtime), command).then(
    (output) => `it did not fail: ${output}`,
    (error: Error) => error.message.slice(error.message.indexOf("\n") + 1),
  );
}

/** Reports what a channel on NATS says where its packages are not installed. */
const NATS_PROGRAM = `
import { defineEvents, EventsError } from "events-endpoint";
import { natsChannel } from "events-endpoint/nats";
await natsChannel({}, defineEvents({ closed: null })).catch((error) => {
  console.log(error instanceof EventsError, error.code);
  console.log(error.message);
});
`;
const NATS_OUTPUT = `true ModuleNotLoaded
natsChannel needs packages that are not installed here: npm install @nats-io/jetstream @nats-io/nats-core, and a transport such as @nats-io/transport-node
`;

test("natsChannel() and serve --nats name missing packages in one line", async () => {
  await withInstalled([], async (project) => {
    await project.write("nats.mjs", NATS_PROGRAM);
    const serve = ["node_modules/events-endpoint/dist/cli/main.js", "serve", "--nats", "nats://127.0.0.1:1"];
    for (const runtime of ["node", "deno", "bun"] as const) {
      assert.is(await runScript(project, runtime, "nats.mjs"), NATS_OUTPUT, runtime);
      assert.is(
        await failureOf(project, runtime, serve),
        "events-endpoint: --nats needs packages that are not installed here: " +
          "npm install @nats-io/jetstream @nats-io/nats-core @nats-io/transport-node\n",
        runtime,
      );
    }
  });
});

test.run();
