/**
 * Small projects of others that use the package, installed from its tarball.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../suites.ts";
import { within } from "./harness.ts";
import { madeOnce, sharedTarball } from "./pack.ts";
import { programOf } from "./runtimes.ts";

/** The longest that an install or a compiler may take on a busy machine. */
const LIMIT_MS = 120_000;

/** A folder with a `package.json`. */
export interface Project {
  readonly folder: string;
  /** Writes a file; anything but a string as JSON. */
  write(name: string, content: unknown): Promise<void>;
  /** Runs a program in the folder to its end, and returns its output. Rejects if its exit code is not 0. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  /** Installs packages by npm. */
  npm(...packages: string[]): Promise<string>;
}

/** Listens on each runtime. Part of the programs below. */
const LISTEN = `
async function listen(fetch) {
  const place = { hostname: "127.0.0.1", port: 0 };
  if (globalThis.Deno) return Deno.serve({ ...place, onListen: () => {} }, fetch).addr.port;
  if (globalThis.Bun) return Bun.serve({ ...place, fetch }).port;
  const { serve } = await import("@hono/node-server");
  return await new Promise((resolve) => serve({ ...place, fetch }, ({ port }) => resolve(port)));
}
`;

/** A server of a Hono app that publishes an event, which a client reads, with schemas of valibot. */
export const SERVER_PROGRAM: string = `
import { Hono } from "hono";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
import { connect } from "events-endpoint/client";
${LISTEN}
async function main() {
  const shop = defineEvents({ order_placed: v.object({ total: v.number() }) });
  const app = new Hono();
  app.route("/events", eventsEndpoint(createChannel(shop)));
  const url = "http://127.0.0.1:" + await listen(app.fetch) + "/events";
  const post = (body) => fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const { status } = await post('{"type":"order_placed","event":{"total":"42"}}');
  await post('{"type":"order_placed","event":{"total":42}}');
  for await (const event of connect(url, { catalogue: shop, since: "earliest" })) {
    console.log(status, event.type, event.event.total.toFixed(2));
    break;
  }
  process.exit(0);
}
main();
`;

/** What {@linkcode SERVER_PROGRAM} prints. */
export const SERVER_OUTPUT = "400 order_placed 42.00\n";

/** Runs a program to its end, and returns its output. Rejects if its exit code is not 0. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const command = `${program} ${args.join(" ")}`;
  const child = spawn(program, args, { cwd, env: { ...process.env, NO_COLOR: "1", ...env }, stdio: "pipe" });
  child.stdin.end();
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => output += text);
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve)
  );
  const code = await within(ended, command, LIMIT_MS).catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  if (code !== 0) throw new Error(`${command} ended with ${code}\n${output}`);
  return output;
}

/** Returns the arguments with which a runtime runs a script of a project. */
export function scriptArguments(runtime: RuntimeName, script: string): string[] {
  return runtime === "deno" ? ["run", "--no-prompt", "--allow-all", script] : [script];
}

/** Runs a script of a project on a runtime, and returns its output. */
export function runScript(project: Project, runtime: RuntimeName, script: string): Promise<string> {
  return project.run(programOf(runtime), scriptArguments(runtime, script));
}

/** Runs `use` in an empty project, and removes it. */
export async function withEmptyProject<T>(use: (project: Project) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  const project: Project = {
    folder,
    write: (name, content) =>
      writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content)),
    run: (program, args, env) => run(program, args, folder, env),
    npm: (...packages) =>
      project.run("npm", [
        "install",
        ...["--prefer-offline", "--fetch-retries=5", "--no-audit", "--no-fund"],
        ...packages,
      ]),
  };
  try {
    await project.write("package.json", { name: "shop", version: "1.0.0", private: true, type: "module" });
    return await use(project);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Runs `use` in a project that has the package and others, installed by npm. The first test of a run that asks for these
 * packages installs them, and each gets a copy: an install takes two seconds of a core.
 */
export async function withInstalled<T>(
  packages: readonly string[],
  use: (project: Project) => Promise<T>,
): Promise<T> {
  const tarball = await sharedTarball();
  const name = `installed ${packages.join(" ").replaceAll("/", "+")}`;
  const installed = await madeOnce(name, (path) =>
    withEmptyProject(async (project) => {
      await project.npm(tarball, ...packages);
      await copyFolder(project.folder, path);
    }));
  return await withEmptyProject(async (project) => {
    await copyFolder(installed, project.folder);
    return await use(project);
  });
}

/** Copies what is in a folder, links as links. Not by `fs.cp`, which takes longer than an install. */
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await run("cp", ["-RP", `${from}/.`, to], from);
}

/** The fields of `package.json` that the tests use. */
interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** Returns the `package.json` of this package. */
export async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8"));
}
