/**
 * The package as it would be published.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cp, mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { VERSION } from "../../src/version.ts";
import { until } from "./harness.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TARBALL = `events-endpoint-${VERSION}.tgz`;
/** What the package is built from, and what it contains beside that. */
const SOURCES = [
  ...["src", "docs", "examples", "package.json", "tsconfig.json", "tsconfig.build.json", "LICENSE"],
  ...["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
];

/** Copies what the package is built from into a folder, as a checkout of it would be, without installed packages. */
export async function copySources(folder: string): Promise<void> {
  for (const name of [...SOURCES, "deno.json", "package-lock.json"]) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
}

/**
 * Packs the package into a folder. It is built in a copy of the sources, because a build first removes the last one,
 * and other tests may pack at the same time.
 *
 * @returns the path of the tarball
 */
export async function packPackage(folder: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await copySources(copy);
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await promisify(execFile)("npm", ["pack", "--pack-destination", folder], { cwd: copy });
  } finally {
    await rm(copy, { recursive: true });
  }
  return join(folder, TARBALL);
}

/** The folder of what the test processes of a run share; one of this process if it is run by itself. */
function shelfOf(): string {
  const shelf = process.env["TEST_SHELF"];
  if (shelf !== undefined) return shelf;
  const own = mkdtempSync(join(tmpdir(), "events-endpoint-"));
  process.env["TEST_SHELF"] = own;
  process.once("exit", () => rmSync(own, { recursive: true, force: true }));
  return own;
}

/**
 * Makes something once for all test processes of a run. The first that asks for it makes it, and the others wait for that.
 *
 * @param name its name on the shelf
 * @param make makes it at the given path
 * @returns its path
 */
export async function madeOnce(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(shelfOf(), name);
  const workshop = `${path}.making`;
  const isFirst = await mkdir(workshop).then(() => true, () => false);
  if (isFirst) {
    const made = join(workshop, name);
    try {
      await make(made);
    } catch (error) {
      await rm(workshop, { recursive: true }); // The next one tries again.
      throw error;
    }
    await rename(made, path);
  } else {await until(
      () => existsSync(path) || !existsSync(workshop),
      `another test process to make ${name}`,
      120_000,
    );}
  return existsSync(path) ? path : await madeOnce(name, make);
}

/** Returns the path of the tarball of this run. */
export function sharedTarball(): Promise<string> {
  return madeOnce(TARBALL, async (path) => {
    await packPackage(dirname(path));
  });
}

/** Returns the folder of the package of this run, as it is installed. */
export async function sharedPackage(): Promise<string> {
  const tarball = await sharedTarball();
  return await madeOnce("package", async (path) => {
    await promisify(execFile)("tar", ["-xzf", tarball, "-C", dirname(path)]); // All of it is in `package/`.
  });
}
