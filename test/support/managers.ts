/**
 * Package managers in projects of others.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import * as assert from "uvu/assert";
import { type Project, SERVER_OUTPUT, SERVER_PROGRAM, withEmptyProject } from "./project.ts";
import { toolFile } from "./tools.ts";

/** Scripts for Node. */
export const PNPM: string = toolFile("pnpm/bin/pnpm.mjs");
export const YARN_1: string = toolFile("yarn1/bin/yarn.js");
export const YARN_4: string = toolFile("@yarnpkg/cli-dist/bin/yarn.js");

/** What the application uses beside the package. */
export const OTHERS: readonly string[] = ["hono", "valibot", "@hono/node-server"];

/** Variables of the environment that keep the caches and settings of package managers in one folder. */
type Home = Readonly<Record<string, string>>;

/** Runs `use` in a project with a home of its own: nothing that the user has set up or cached counts, but npm's cache. */
export async function withHome(use: (project: Project, home: Home) => Promise<void>): Promise<void> {
  await withEmptyProject(async (project) => {
    const home = join(project.folder, "home");
    await mkdir(home);
    await use(project, {
      HOME: home,
      XDG_DATA_HOME: home,
      XDG_CACHE_HOME: home,
      YARN_CACHE_FOLDER: join(home, "yarn"),
      YARN_ENABLE_TELEMETRY: "0",
      BUN_INSTALL_CACHE_DIR: join(home, "bun"),
      npm_config_cache: process.env["npm_config_cache"] ?? join(process.env["HOME"] ?? "", ".npm"),
    });
  });
}

/** Runs `install` in a project with a program, and verifies what the program prints on Node after it. */
export async function withProgram(
  install: (project: Project, home: Home) => Promise<unknown>,
): Promise<void> {
  await withHome(async (project, home) => {
    await project.write("program.mjs", SERVER_PROGRAM);
    await install(project, home);
    assert.is(await project.run(process.execPath, ["program.mjs"]), SERVER_OUTPUT);
  });
}
