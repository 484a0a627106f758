import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { serving } from "../support/harness.ts";
import {
  type Project,
  run,
  SERVER_OUTPUT,
  SERVER_PROGRAM,
  withEmptyProject,
  withInstalled,
} from "../support/project.ts";
import { suite } from "../support/suite.ts";
import { installTools, toolFile } from "../support/tools.ts";

const test = suite("package: bundles");

installTools();

/** The most bytes of the client in a bundle, compressed; `docs/install.md` names it. */
const MOST_CLIENT_BYTES = 10_500;

/** A page that reads one event, as far as it can run on Node. */
const CLIENT_PROGRAM = `
import { connect } from "events-endpoint/client";
globalThis.readOne = async (url) => {
  for await (const event of connect(url, { since: "earliest" })) return event.type;
};
`;

/** The part of the interface of webpack that is used. */
interface Webpack {
  (
    options: object,
    done: (error: Error | null, stats: { hasErrors(): boolean; toString(): string }) => void,
  ): void;
}

/** Bundles a file of a project into `folder`, for browsers or for Node. */
type Bundler = (project: Project, entry: string, folder: string, isBrowser: boolean) => Promise<unknown>;

const BUNDLERS: Readonly<Record<string, Bundler>> = {
  esbuild: ({ folder: absWorkingDir }, entry, outdir, isBrowser) =>
    esbuild({
      absWorkingDir,
      entryPoints: [entry],
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      minify: true,
      splitting: isBrowser,
      format: "esm",
      platform: isBrowser ? "browser" : "node",
      logLevel: "error",
    }),
  vite: async ({ folder: root }, entry, outDir, isBrowser) => {
    const { build } = await import(pathToFileURL(toolFile("vite/dist/node/index.js")).href);
    await build({
      root,
      configFile: false,
      logLevel: "error",
      ssr: isBrowser ? undefined : { noExternal: true },
      build: {
        outDir,
        emptyOutDir: false,
        ssr: !isBrowser,
        minify: true,
        modulePreload: false,
        rolldownOptions: {
          input: join(root, entry),
          output: { entryFileNames: "[name].mjs", chunkFileNames: "[name].mjs" },
        },
      },
    });
  },
  webpack: async ({ folder: context }, entry, path, isBrowser) => {
    const { default: webpack } = await import(pathToFileURL(toolFile("webpack/lib/index.js")).href) as {
      default: Webpack;
    };
    await new Promise<void>((resolve, reject) =>
      webpack({
        context,
        entry: `./${entry}`,
        mode: "production",
        target: isBrowser ? ["web", "es2022"] : "node20",
        optimization: { minimize: isBrowser }, // It takes eight seconds for a server, which the others minify.
        experiments: { outputModule: true },
        output: {
          path,
          filename: "[name].mjs",
          chunkFilename: "[name].mjs",
          module: true,
          chunkFormat: "module",
        },
      }, (error, stats) => {
        if (error || stats.hasErrors()) reject(error ?? new Error(stats.toString()));
        else resolve();
      })
    );
  },
};

/** Returns the code of the files that a bundler has written, by name. */
async function codeIn(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith("js"));
  return new Map(
    await Promise.all(names.map(async (name) => {
      return [name, await readFile(join(folder, name), "utf8")] as const;
    })),
  );
}

/** Returns the one file that a bundle starts with. */
function entryOf(code: ReadonlyMap<string, string>): string {
  return ["client.mjs", "server.mjs", "main.mjs"].find((name) => code.has(name))!;
}

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  test(`${name} bundles connect() for browsers without node: imports, the parser of SSE on demand`, async () => {
    await withInstalled([], async (project) => {
      await project.write("client.mjs", CLIENT_PROGRAM);
      const folder = join(project.folder, "out");
      await bundle(project, "client.mjs", folder, true);
      const code = await codeIn(folder);
      const entry = entryOf(code);
      for (const [file, text] of code) {
        assert.not.match(text, /\bnode:|\brequire\(|\bprocess\.|\bBuffer\b/, file);
        assert.not.match(text, /Hono|valibot/, file);
      }
      assert.is(code.size, 2, "the client, and the parser");
      const { byteLength } = gzipSync(code.get(entry)!, { level: 9 });
      console.log(`the client by ${name}: ${byteLength} bytes gzipped`);
      assert.ok(byteLength <= MOST_CLIENT_BYTES, `${byteLength} bytes`);

      const channel = createChannel(defineEvents({ tick: v.object({ n: v.number() }) }));
      channel.publish("tick", { n: 1 });
      const app = new Hono().route("/events", eventsEndpoint(channel));
      await writeFile(
        join(folder, "check.mjs"),
        `await import("./${entry}"); console.log(await readOne(process.argv[2])); process.exit(0);`,
      );
      await serving(app, async (url) => {
        assert.is(await run(process.execPath, ["check.mjs", `${url}/events`], folder), "tick\n");
      });
    });
  });

  test(`${name} bundles a server with eventsEndpoint() for Node, which runs where nothing is installed`, async () => {
    await withInstalled(["hono", "valibot", "@hono/node-server"], async (project) => {
      await project.write("server.mjs", SERVER_PROGRAM);
      await withEmptyProject(async ({ folder }) => {
        const out = join(folder, "out");
        await mkdir(out);
        await bundle(project, "server.mjs", out, false);
        const entry = entryOf(await codeIn(out));
        assert.is(await run(process.execPath, [entry], out), SERVER_OUTPUT);
      });
    });
  });
}

test("eventsEndpoint() imports nothing of Node, and no library of schemas", async () => {
  await withInstalled([], async (project) => {
    await project.write(
      "worker.mjs",
      'export * from "events-endpoint"; export * from "events-endpoint/client";',
    );
    const { outputFiles, metafile } = await esbuild({
      absWorkingDir: project.folder,
      entryPoints: ["worker.mjs"],
      bundle: true,
      minify: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "neutral",
    });
    assert.not.match(outputFiles[0]!.text, /["'`]node:/);
    const packages = new Set(
      Object.keys(metafile.inputs).flatMap((file) => /node_modules\/([^/]+)/.exec(file)?.[1] ?? []),
    );
    assert.equal([...packages].sort(), ["events-endpoint", "hono"]);
  });
});

test.run();
