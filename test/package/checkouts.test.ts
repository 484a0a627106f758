import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/version.ts";
import { OTHERS, PNPM, withProgram } from "../support/managers.ts";
import { copySources } from "../support/pack.ts";
import { run, withEmptyProject } from "../support/project.ts";
import { suite } from "../support/suite.ts";
import { installTools } from "../support/tools.ts";

const test = suite("package: checkouts");

installTools();

/** What builds the package, beside the packages that its sources import. */
const BUILDERS: readonly string[] = ["typescript", "tsx", "esbuild", "@types/node", "@types/react"];

/** Removes the packages that only the tests use, which are two thirds of each install here. The gate has installed them all. */
async function leaveOutPackagesOfTests(checkout: string): Promise<void> {
  const read = async (name: string) => JSON.parse(await readFile(join(checkout, name), "utf8"));
  const needed = new Set([...BUILDERS, ...Object.keys((await read("deno.json")).imports)]);
  const [manifest, lock] = [await read("package.json"), await read("package-lock.json")];
  for (const owner of [manifest, lock.packages[""]]) {
    for (const name of Object.keys(owner.devDependencies)) {
      if (!needed.has(name)) delete owner.devDependencies[name];
    }
  }
  await writeFile(join(checkout, "package.json"), JSON.stringify(manifest));
  await writeFile(join(checkout, "package-lock.json"), JSON.stringify(lock));
}

/** Runs `use` with the folder of a checkout in which nothing is installed, a repository of git. */
async function withCheckout(use: (folder: string, url: string) => Promise<void>): Promise<void> {
  await withEmptyProject(async ({ folder }) => {
    const checkout = join(folder, "events-endpoint");
    await mkdir(checkout);
    await copySources(checkout);
    await leaveOutPackagesOfTests(checkout);
    const git = (...args: string[]) =>
      run("git", ["-c", "user.name=a", "-c", "user.email=a@b.c", ...args], checkout);
    await git("init", "--quiet");
    await git("add", ".");
    await git("commit", "--quiet", "--message", "all of it");
    await use(checkout, `git+${pathToFileURL(checkout)}`);
  });
}

test("npm install builds a checkout in git, and a folder in which nothing is installed, also for a global command", async () => {
  await withCheckout(async (folder, url) => {
    await withProgram((project) => project.npm(url, ...OTHERS));
    // The first of these has to install what builds it, although its own install is global and without such packages.
    await withEmptyProject(async (project) => {
      await project.npm("--global", `--prefix=${project.folder}`, "--omit=dev", "--install-links", folder);
      const version = await project.run(join(project.folder, "bin/events-endpoint"), ["--version"]);
      assert.is(version, `${VERSION}\n`);
    });
    await withProgram(async (project) => {
      await project.npm("--install-links", folder, ...OTHERS);
      assert.not.ok((await readdir(join(project.folder, "node_modules/events-endpoint"))).includes("src"));
    });
    // A link to the folder, which has been built by now; Node takes the copy of hono in it.
    await withProgram((project) => project.npm("--ignore-scripts", folder, ...OTHERS));
    // So do other package managers, which build no folder themselves.
    await withProgram((project, home) =>
      project.run(process.execPath, [PNPM, "add", `file:${folder}`, ...OTHERS], home)
    );
  });
});

test("pnpm add builds a checkout in git that allowBuilds names", async () => {
  await withCheckout(async (folder, url) => {
    const commit = (await run("git", ["rev-parse", "HEAD"], folder)).trim();
    await withProgram(async (project, home) => {
      await project.write(
        "pnpm-workspace.yaml",
        `allowBuilds:\n  "events-endpoint@${url}#${commit}": true\n`,
      );
      await project.run(process.execPath, [PNPM, "add", url, ...OTHERS], home);
    });
  });
});

test.run();
