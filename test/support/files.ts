/**
 * The files of the repository, without what is installed in it.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Returns the paths of the TypeScript files below a folder of the repository, from that folder on, in order. */
export function typeScriptIn(folder: string): string[] {
  const found: string[] = [];
  const read = (path: string) => {
    for (const entry of readdirSync(join(root, folder, path), { withFileTypes: true })) {
      const name = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isFile() && name.endsWith(".ts")) found.push(name);
      else if (entry.isDirectory() && entry.name !== "node_modules") read(name);
    }
  };
  read("");
  return found.sort();
}

/** Returns the test files whose paths, from `test/` on, begin with one of these; all files if there is none. */
export function testFiles(paths: readonly string[]): string[] {
  return typeScriptIn("test").filter((file) =>
    file.endsWith(".test.ts") && (paths.length === 0 || paths.some((path) => file.startsWith(path)))
  );
}
