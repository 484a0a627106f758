/**
 * The runtimes of the tests: where their programs are, and how each is given a script.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../suites.ts";

const folder = fileURLToPath(new URL("../runtimes/", import.meta.url));

/** The program of a runtime. The Node at hand is the one that runs this, or the first on the path. */
export function programOf(runtime: RuntimeName): string {
  if (runtime === "node") {
    return "Deno" in globalThis || "Bun" in globalThis ? "node" : process.execPath;
  }
  if (runtime === "deno" || runtime === "bun") return `${folder}node_modules/.bin/${runtime}`;
  return `${folder}node_modules/${runtime}-${process.platform}-${process.arch}/bin/node`;
}

/**
 * What stands before the path of a script on a runtime's command line.
 *
 * @param permissions on Deno the flags that say what the script may do; the others ask for none
 */
export function argumentsOf(runtime: RuntimeName, permissions: readonly string[]): string[] {
  if (runtime === "deno") return ["run", "--no-prompt", ...permissions];
  return runtime === "bun" ? [] : ["--import", "tsx"];
}

/** The runtime that a test is about: that of `TEST_RUNTIME`, or else the one it runs on. */
export function runtimeUnderTest(): RuntimeName {
  const name = process.env["TEST_RUNTIME"];
  if (name) return name as RuntimeName;
  return "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
}

/**
 * Installs the runtimes that are missing.
 *
 * It is not `npm ci`, which wants the programs of every platform to be in the registry, whichever one this is.
 *
 * @throws {Error} where one is not there after that
 */
export function installRuntimes(runtimes: readonly RuntimeName[]): void {
  const isMissing = (runtime: RuntimeName) => runtime !== "node" && !existsSync(programOf(runtime));
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
