/**
 * The sources and the tests as JavaScript, for the processes of Node.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { typeScriptIn } from "./files.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Makes JavaScript of all TypeScript of the repository in a folder. The processes that start later load that. */
export async function makeJavaScript(folder: string): Promise<void> {
  const folders = ["src", "test", "examples", "bench", "docs"];
  await build({
    absWorkingDir: root,
    entryPoints: folders.flatMap((name) => typeScriptIn(name).map((file) => `${name}/${file}`)),
    outdir: folder,
    outbase: root,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "error",
  });
  process.env["TEST_JAVASCRIPT"] = folder;
}
