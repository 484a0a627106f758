/**
 * The part of `npm run build` that comes after the compiler: it bundles the command, and two modules of the package, with the
 * packages that they use, so that whoever adds this package gets none of them.
 *
 * @module
 */
import { build, type BuildOptions, type Plugin } from "esbuild";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { manualPage } from "./manual.ts";

const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** What stays a package of its own: peers that an application shares with this package. */
const EXTERNAL: readonly string[] = ["hono", "hono/*", "@nats-io/*"];

const COMMON: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  external: [...EXTERNAL],
};

/** Has the modules of the command take the packages of NATS from `nats_packages.ts`, instead of importing them. */
const NATS_ON_DEMAND: Plugin = {
  name: "nats-on-demand",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^@nats-io\// }, ({ path, kind }) => {
      return kind === "import-statement" ? { path, namespace: "nats" } : { path, external: true };
    });
    onLoad({ filter: /.*/, namespace: "nats" }, async ({ path }) => {
      // Node adds `default` and `module.exports` to the names of a CommonJS module.
      const names = Object.keys(await import(path)).filter((name) =>
        /^\w+$/.test(name) && name !== "default"
      );
      const contents = `import { natsPackages } from "./src/server/nats_packages.ts";
        export const { ${names.join(", ")} } = natsPackages[${JSON.stringify(path)}];`;
      return { contents, resolveDir: ROOT };
    });
  },
};

/** Bundles the command, each of its parts in a file that is loaded on demand. */
async function buildCommand(): Promise<readonly string[]> {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: { main: "src/cli/main.ts" },
    outdir: "dist/cli",
    splitting: true,
    platform: "node",
    plugins: [NATS_ON_DEMAND],
  });
  await chmod(`${ROOT}dist/cli/main.js`, 0o755);
  return Object.keys(metafile!.inputs);
}

/** Bundles the two modules that use a package: of the client, and of the parts of a server. */
async function buildModules(): Promise<readonly string[]> {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: ["src/client/sse.ts", "src/server/json_schema_of.ts"],
    outbase: "src",
    outdir: "dist",
    platform: "neutral",
    mainFields: ["module", "main"],
  });
  return Object.keys(metafile!.inputs);
}

/** Writes the licences of the packages in the bundles. */
async function writeLicenses(files: readonly string[]): Promise<void> {
  // The last `node_modules` of a path: packages may be links into a store, or outside of this folder.
  const packages = new Map(
    files.flatMap((file) => {
      const [folder, name] = /^.*\bnode_modules\/((?:@[^/]+\/)?[^/]+)(?=\/)/.exec(file) ?? [];
      return name === undefined ? [] : [[name, join(ROOT, folder!)]];
    }),
  );
  // For packages that name the licence, and leave its text out.
  const ourText = await readFile(`${ROOT}LICENSE`, "utf8");
  const texts = await Promise.all(
    [...packages].sort().map(async ([name, folder]) => {
      const read = (file: string) => readFile(join(folder, file), "utf8");
      const { version, license, author } = JSON.parse(await read("package.json"));
      const text = await read("LICENSE").catch(() => read("license")).catch(() => read("LICENSE.md"))
        .catch(() =>
          license === "MIT" ? ourText.replace(/^Copyright .*$/m, `Copyright (c) ${author}`) : license
        );
      return `${name} ${version}\n\n${text.trim()}\n`;
    }),
  );
  const head = "The files in dist contain parts of these packages, under these licences.\n";
  await writeFile(`${ROOT}dist/LICENSES.txt`, [head, ...texts].join(`\n${"-".repeat(80)}\n\n`));
}

await writeFile(`${ROOT}dist/events-endpoint.1`, await manualPage());
await writeLicenses([...await buildCommand(), ...await buildModules()]);
