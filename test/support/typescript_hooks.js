/**
 * Hooks of Node that load the TypeScript of the repository as the JavaScript that `test/run.ts` has made of it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const root = new URL("../..", import.meta.url).href;
const made = process.env["TEST_JAVASCRIPT"];
const { name, exports } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

const isOwn = (url) => url?.startsWith(root) && !url.includes("/node_modules/");

/** Resolves the name of the package to its sources, as `paths` in `tsconfig.json` does. */
export function resolve(specifier, context, next) {
  if ((specifier === name || specifier.startsWith(`${name}/`)) && isOwn(context.parentURL)) {
    const file = exports[`.${specifier.slice(name.length)}`]?.default;
    if (file !== undefined) {
      const source = file.replace("./dist/", "src/").replace(/\.js$/, ".ts");
      return { url: new URL(source, root).href, format: "module", shortCircuit: true };
    }
  }
  return next(specifier, context);
}

/** Loads a module under its own URL: `import.meta.url` and stack traces name the source. */
export function load(url, context, next) {
  if (!isOwn(url) || !url.endsWith(".ts")) return next(url, context);
  const source = readFileSync(`${made}/${url.slice(root.length, -".ts".length)}.js`, "utf8");
  return { format: "module", source, shortCircuit: true };
}
