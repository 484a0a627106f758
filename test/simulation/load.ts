/**
 * Loads the simulator and the code under test as one file: a part that the client loads later comes with it, so that nothing
 * in a simulation waits for the disk.
 *
 * @module
 */
import { build, type Plugin, type PluginBuild } from "esbuild";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A change to the code under test. */
export interface Change {
  /** The file, from `src/` on. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What the code under test gets in the place of a module. */
const MODULES: Readonly<Record<string, string>> = {
  "node:sqlite": "sqlite_on_disk.ts",
  "node:fs": "files_on_disk.ts",
  "node:timers": "timers_of_world.ts",
  "@nats-io/jetstream": "jetstream_of_model.ts",
  "../channel/pages.ts": "pages_of_world.ts",
};

const replacements: Plugin = {
  name: "replacements",
  setup: (build) => {
    build.onResolve({ filter: /^(?:node:|@nats-io\/|\.\.\/channel\/pages\.ts$)/ }, ({ path, importer }) => {
      const file = MODULES[path];
      const isTested = importer.startsWith(join(root, "src/"));
      if (isTested && file !== undefined) return { path: join(root, "test/simulation", file) };
      if (path.startsWith(".")) return undefined;
      // The packages themselves stay where they are: they need what is beside them.
      return path.startsWith("node:") ? undefined : { path: import.meta.resolve(path), external: true };
    });
  },
};

/** Loads the simulator, with a fault planted in the code under test if there is one. */
export async function load(fault?: Change): Promise<typeof import("./campaign.ts")> {
  const folder = await mkdtemp(join(tmpdir(), "simulation-"));
  const outfile = join(folder, "campaign.mjs");
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [join(root, "test/simulation/campaign.ts")],
      outfile,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      sourcemap: "inline",
      logLevel: "error",
      plugins: [
        replacements,
        ...(fault === undefined ? [] : [{
          name: "fault",
          setup: (build: PluginBuild) => {
            let isPlanted = false;
            build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
              if (!path.endsWith(`/src/${fault.file}`)) return undefined;
              const text = await readFile(path, "utf8");
              if (text.split(fault.from).length !== 2) {
                throw new Error(`${fault.file} has not one ${fault.from}`);
              }
              isPlanted = true;
              return { contents: text.replace(fault.from, () => fault.to), loader: "ts" };
            });
            build.onEnd(() => {
              if (!isPlanted) throw new Error(`${fault.file} is not part of the simulation`);
            });
          },
        }]),
      ],
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    await rm(folder, { recursive: true });
  }
}
