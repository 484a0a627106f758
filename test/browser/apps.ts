/**
 * The examples of `docs/apps.md`, built for a browser: each exports `mount(element)`, which returns the function that unmounts.
 *
 * @module
 */
import { build, type Loader, type Plugin } from "esbuild";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { readBlocks, ROOT } from "../docs/blocks.ts";
import { toolFile } from "../support/tools.ts";

const require = createRequire(toolFile("here.js"));

/** A framework, or none. */
export type Framework = "react" | "vue" | "svelte" | "solid" | "plain";

/** What a server renders of the example of React, which the browser goes on with. */
export const RENDERED = '<p>connecting</p><button type="button">Pause</button><ul></ul>';

/** What mounts the example of a framework. */
const MOUNTS: Readonly<Record<Framework, string>> = {
  react: `
    import { createElement, StrictMode } from "react";
    import { hydrateRoot } from "react-dom/client";
    import { OrderList } from "./example.tsx";
    export function mount(element) {
      element.innerHTML = ${JSON.stringify(RENDERED)};
      const app = createElement(StrictMode, null, createElement(OrderList));
      const root = hydrateRoot(element, app, { onRecoverableError: reportError });
      return () => root.unmount();
    }`,
  vue: `
    import { createApp } from "vue";
    import OrderList from "./example.vue";
    export function mount(element) {
      const app = createApp(OrderList);
      app.mount(element);
      return () => app.unmount();
    }`,
  svelte: `
    import { mount as mountComponent, unmount } from "svelte";
    import OrderList from "./example.svelte";
    export function mount(element) {
      const component = mountComponent(OrderList, { target: element });
      return () => unmount(component);
    }`,
  solid: `
    import { render } from "solid-js/web";
    import { OrderList } from "./example.jsx";
    export const mount = (element) => render(OrderList, element);`,
  plain: `
    import { unsubscribe } from "./example.js";
    export const mount = () => unsubscribe;`,
};

export const FRAMEWORKS = Object.keys(MOUNTS) as readonly Framework[];

/** The language of the block of each framework. */
const LANGUAGES: Readonly<Record<Framework, string>> = {
  react: "tsx",
  vue: "vue",
  svelte: "svelte",
  solid: "jsx",
  plain: "js",
};

/** Where the frameworks are found; the oldest React has a folder of its own. */
export const FRAMEWORK_FOLDERS: Readonly<Record<"newest" | "react18", string>> = {
  newest: dirname(toolFile("here.js")),
  react18: toolFile("react18"),
};

/** Builds modules that are in memory, and what they import. Returns the code by name. */
export async function bundle(
  modules: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
  platform: "browser" | "node" = "browser",
  frameworks: string = FRAMEWORK_FOLDERS.newest,
): Promise<ReadonlyMap<string, string>> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: Object.keys(modules).map((name) => ({ in: `memory:${name}`, out: name })),
    bundle: true,
    splitting: platform === "browser",
    format: "esm",
    platform,
    // The renderers of servers are written for require().
    ...(platform === "node" && {
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' },
    }),
    outdir: join(ROOT, "out"),
    write: false,
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true" },
    jsx: "automatic",
    plugins: [inMemory({ ...modules, ...files }, frameworks)],
  });
  return new Map(outputFiles.map(({ path, text }) => [path.slice(`${ROOT}out/`.length), text]));
}

/** Loads modules from memory, the package from its sources, and everything else from the tools. */
function inMemory(files: Readonly<Record<string, string>>, frameworks: string): Plugin {
  return {
    name: "in memory",
    setup: ({ onResolve, onLoad, resolve }) => {
      onResolve({ filter: /^memory:/ }, ({ path }) => ({ path: path.slice(7), namespace: "memory" }));
      onResolve({ filter: /^events-endpoint(?:\/|$)/ }, ({ path }) => ({
        path: join(ROOT, "src", path.slice("events-endpoint".length), "mod.ts"),
      }));
      onResolve({ filter: /^\./, namespace: "memory" }, ({ path, importer }) => {
        const folder = dirname(importer);
        const name = join(folder, path);
        return { path: files[name] === undefined ? `${name}.ts` : name, namespace: "memory" };
      });
      // Not the copy of the types that the sources are checked with: two copies of React share no hooks.
      onResolve(
        { filter: /^(?:react|react-dom|vue|svelte|solid-js)(?:\/|$)/ },
        ({ path, kind, pluginData }) =>
          pluginData === "resolved"
            ? undefined
            : resolve(path, { kind, resolveDir: frameworks, pluginData: "resolved" }),
      );
      onLoad({ filter: /./, namespace: "memory" }, async ({ path }) => ({
        resolveDir: ROOT,
        ...await compile(path, files[path]!),
      }));
    },
  };
}

/** Compiles the component of a framework, as its plugins for bundlers do. */
async function compile(path: string, source: string): Promise<{ contents: string; loader: Loader }> {
  const filename = path;
  if (path.endsWith(".vue")) {
    const { parse, compileScript } = require("vue/compiler-sfc");
    const { descriptor } = parse(source, { filename });
    return {
      contents: compileScript(descriptor, { id: "example", inlineTemplate: true }).content,
      loader: "js",
    };
  }
  if (path.endsWith(".svelte")) {
    const { compile } = await import(toolFile("svelte/src/compiler/index.js"));
    return { contents: compile(source, { filename, generate: "client" }).js.code, loader: "js" };
  }
  if (path.endsWith(".jsx")) {
    const { transformAsync } = require("@babel/core");
    const options = { filename, presets: [require("babel-preset-solid")], configFile: false, babelrc: false };
    return { contents: (await transformAsync(source, options)).code, loader: "js" };
  }
  return { contents: source, loader: path.endsWith(".tsx") ? "tsx" : path.endsWith(".ts") ? "ts" : "js" };
}

/** Reads the examples of the page, and what mounts them. */
export async function readApps(): Promise<
  { modules: Record<string, string>; files: Record<string, string> }
> {
  const blocks = await readBlocks("docs/apps.md");
  const textOf = (language: string) => {
    const [block, ...others] = blocks.filter((block) => block.language === language);
    if (block === undefined || others.length > 0) {
      throw new Error(`docs/apps.md needs one block of ${language}`);
    }
    return block.text;
  };
  const modules: Record<string, string> = {};
  const files: Record<string, string> = {};
  for (const framework of FRAMEWORKS) {
    modules[framework] = MOUNTS[framework].replace("./example", `./${framework}/example`);
    files[`${framework}/example.${LANGUAGES[framework]}`] = textOf(LANGUAGES[framework]);
    files[`${framework}/orders.ts`] = textOf("ts");
  }
  return { modules, files };
}
