/**
 * The package managers, compilers and bundlers in `test/tools`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../tools/", import.meta.url));

/** Returns the path of a file of an installed tool, such as `typescript6/bin/tsc`. */
export function toolFile(path: string): string {
  return `${folder}node_modules/${path}`;
}

/**
 * Installs the tools if one of them is missing.
 *
 * @throws {Error} if one is still missing after that
 */
export function installTools(): void {
  const { devDependencies } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"));
  const missing = () => Object.keys(devDependencies).filter((name) => !existsSync(toolFile(name)));
  if (missing().length === 0) return;
  const flags = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]; // No script of them is required.
  spawnSync("npm", ["install", ...flags, "--prefix", folder], { stdio: "inherit" });
  if (missing().length > 0) throw new Error(`not installed in test/tools: ${missing().join(", ")}`);
}
