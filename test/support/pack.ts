/**
 * The package as it would be published.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { VERSION } from "../../src/version.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = ["src", "package.json", "tsconfig.json", "tsconfig.build.json", "README.md", "LICENSE"];

/**
 * Packs the package into a folder. It is built in a copy of the sources, because a build first removes the last one,
 * and other tests may pack at the same time.
 *
 * @returns the path of the tarball
 */
export async function packPackage(folder: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    for (const name of SOURCES) await cp(join(ROOT, name), join(copy, name), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await promisify(execFile)("npm", ["pack", "--pack-destination", folder], { cwd: copy });
  } finally {
    await rm(copy, { recursive: true });
  }
  return join(folder, `events-endpoint-${VERSION}.tgz`);
}
