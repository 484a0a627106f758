/**
 * The static checks: types, lint, format, documentation, packaging, and the rooms, which are the folders and their imports.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { sharedTarball } from "./pack.ts";
import { importCircles, longFunctions, strayImports } from "./rooms.ts";
import { installRuntimes, programOf } from "./runtimes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = programOf("deno");
const ENTRY_POINTS = [
  "src/mod.ts",
  "src/tribler/mod.ts",
  "src/client/mod.ts",
  "src/nats/mod.ts",
  "src/react/mod.ts",
  "src/server/mod.ts",
  "src/sqlite/mod.ts",
  "src/store/mod.ts",
];
/** All TypeScript of the repository. */
const SOURCES = ["src", "test", "examples", "bench", "docs"];

/** A program that exits with 0 if the check passes. */
interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** The entry points that name no runtime. */
const CORE = [
  "src/mod.ts",
  "src/tribler/mod.ts",
  "src/client/mod.ts",
  "src/react/mod.ts",
  "src/server/mod.ts",
  "src/store/mod.ts",
];
const WEB_ONLY = [
  "--ignoreConfig",
  "--noEmit",
  "--strict",
  "--exactOptionalPropertyTypes",
  "--noUncheckedIndexedAccess",
  "--allowImportingTsExtensions",
  "--skipLibCheck",
  ...["--module", "nodenext", "--target", "es2022", "--types", ""],
  ...["--lib", "es2022,webworker,webworker.iterable,webworker.asynciterable,esnext.disposable"],
];

const TYPES: readonly Check[] = [
  { name: "tsc", command: "node_modules/.bin/tsc", args: ["--project", "tsconfig.json"] },
  // Without the types of Node, Deno and Bun: the core uses web standards only.
  { name: "tsc, web libraries only", command: "node_modules/.bin/tsc", args: [...WEB_ONLY, ...CORE] },
];

const DENO: readonly Check[] = [
  // What users run on Deno. It takes five times as long as tsc, which checks the rest.
  { name: "deno check", command: deno, args: ["check", ...ENTRY_POINTS, "src/cli/main.ts", "examples"] },
  { name: "deno lint", command: deno, args: ["lint", ...SOURCES] },
  { name: "deno fmt", command: deno, args: ["fmt", "--check"] },
  // Without npm packages: hono and valibot document their own types.
  { name: "deno doc --lint", command: deno, args: ["doc", "--lint", "--no-npm", ...ENTRY_POINTS] },
  // Without a second check of types: it reports what has no explicit type, from which the declarations of others would differ.
  { name: "deno publish", command: deno, args: ["publish", "--dry-run", "--allow-dirty", "--no-check"] },
];

const packageChecks = (tarball: string): readonly Check[] => [
  { name: "publint", command: "node_modules/.bin/publint", args: ["--strict", tarball] },
  // The package is ESM alone, which Node can require() since 20.19.
  { name: "attw", command: "node_modules/.bin/attw", args: [tarball, "--profile", "esm-only"] },
];

/** Runs a program. Returns its output if it fails. */
function run(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, NO_COLOR: "1" }, stdio: "pipe" });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => output += text);
    }
    child.once("error", (error) => resolve(error.message)).once("close", (code) => {
      resolve(code === 0 ? undefined : output.replaceAll(/^Warning.*\n(?: +at .*\n)?/gm, ""));
    });
  });
}

let failed = false;

function report(name: string, problem: string | undefined): void {
  failed ||= problem !== undefined;
  console.log(`${name}: ${problem === undefined ? "passed" : `failed\n${problem}`}`);
}

/** Runs the checks of a group one after the other: each uses all cores. */
async function runGroup(checks: readonly Check[]): Promise<void> {
  for (const { name, command, args } of checks) report(name, await run(command, args));
}

installRuntimes(["deno"]);
for (
  const [name, find] of Object.entries({
    rooms: strayImports,
    circles: importCircles,
    "long functions": longFunctions,
  })
) {
  const found = find(`${root}src`);
  report(name, found.length === 0 ? undefined : found.join("\n"));
}
const packed = sharedTarball().then(
  (tarball) => (report("npm pack", undefined), runGroup(packageChecks(tarball))),
  (error) => report("npm pack", String(error.stderr ?? error)),
);
await Promise.all([runGroup(TYPES), runGroup(DENO), packed]);
process.exit(failed ? 1 : 0);
