/**
 * The runtimes of the tests: the paths of their programs, and their command lines.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../suites.ts";

const folder = fileURLToPath(new URL("../runtimes/", import.meta.url));
/** Loads what `makeJavaScript()` has made. */
const loader = new URL("typescript.js", import.meta.url).href;

/** A runtime that the tests run on, or workerd, which some of them start. */
export type ProgramName = RuntimeName | "workerd";

/** Returns the path of a runtime. `node` is the one that runs this, or the first on the path. */
export function programOf(runtime: ProgramName): string {
  if (runtime === "node") {
    return "Deno" in globalThis || "Bun" in globalThis ? "node" : process.execPath;
  }
  if (runtime === "deno" || runtime === "bun") return `${folder}node_modules/.bin/${runtime}`;
  if (runtime === "workerd") {
    const platform = `${process.platform}-${process.arch === "x64" ? "64" : process.arch}`;
    return `${folder}node_modules/@cloudflare/workerd-${platform}/bin/workerd`;
  }
  const name = runtime === "bun12" ? "bun" : "node";
  return `${folder}node_modules/${runtime}-${process.platform}-${process.arch}/bin/${name}`;
}

/**
 * Returns the arguments before the path of a script on the command line of a runtime.
 *
 * @param permissions flags of Deno for what the script may do; the other runtimes have none
 */
export function argumentsOf(runtime: RuntimeName, permissions: readonly string[]): string[] {
  if (runtime === "deno") return ["run", "--no-prompt", ...permissions];
  if (runtime.startsWith("bun")) return [];
  return ["--import", process.env["TEST_JAVASCRIPT"] === undefined ? "tsx" : loader];
}

/** Returns the runtime that a test is about: that of `TEST_RUNTIME`, or else the one it runs on. */
export function runtimeUnderTest(): RuntimeName {
  const name = process.env["TEST_RUNTIME"];
  if (name) return name as RuntimeName;
  return "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
}

/**
 * Installs the runtimes that are missing.
 *
 * Not by `npm ci`, which requires the programs of every platform to be in the registry.
 *
 * @throws {Error} if one is still missing after that
 */
export function installRuntimes(runtimes: readonly ProgramName[]): void {
  const isMissing = (runtime: ProgramName) => runtime !== "node" && !existsSync(programOf(runtime));
  if (!runtimes.some(isMissing)) return;
  spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder], {
    stdio: "inherit",
  });
  const missing = runtimes.filter(isMissing);
  if (missing.length === 0) return;
  throw new Error(
    `no program for ${
      missing.join(", ")
    } on ${process.platform}-${process.arch}: add its package to test/runtimes/package.json`,
  );
}
