/**
 * Builds the live page: `npm run build:page` makes `src/server/page_assets.ts` from `src/page`.
 *
 * The result is one module with the whole page, so that a server needs neither files nor a build.
 *
 * @module
 */
import { build, type Plugin } from "esbuild";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root: string = fileURLToPath(new URL("../..", import.meta.url));

/** The module that the page is built into. */
export const PAGE_ASSETS: string = `${root}src/server/page_assets.ts`;

/**
 * uPlot asks for the numbers of the browser's language, which is "C" where the system has none (WebKitGTK): that is an error,
 * and the page would not begin. The page writes all its numbers in English.
 */
const PLAIN_NUMBERS: Plugin = {
  name: "plain numbers",
  setup: ({ onLoad }) =>
    onLoad({ filter: /uPlot\.esm\.js$/ }, async ({ path }) => {
      const code = await readFile(path, "utf8");
      const contents = code.replace("NumberFormat(domEnv ? nav.language : 'en-US')", "NumberFormat('en-US')");
      if (contents === code) throw new Error("uPlot chooses the language of its numbers elsewhere now");
      return { contents };
    }),
};

/** The file of what the client loads on demand: the parser of SSE, for an endpoint without NDJSON. */
const SSE_FILE = "page_sse.js";
const SSE_APART: Plugin = {
  name: "SSE apart",
  setup: ({ onResolve }) =>
    onResolve(
      { filter: /\/sse\.ts$/ },
      ({ kind }) => kind === "dynamic-import" ? { path: `./${SSE_FILE}`, external: true } : undefined,
    ),
};

/** Builds the text of the module from the sources. */
export async function buildPage(): Promise<string> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: "src/page/main.ts", out: "page" },
      { in: "src/page/page.css", out: "page" },
      { in: "src/client/sse.ts", out: "page_sse" },
    ],
    outdir: "page",
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: ["chrome123", "firefox121", "safari17.5"],
    legalComments: "none",
    charset: "utf8",
    plugins: [PLAIN_NUMBERS, SSE_APART],
    metafile: true,
    write: false,
  });
  const built = async (name: string) => {
    const { text } = outputFiles.find(({ path }) => path.endsWith(`/${name}`))!;
    return await licensesOf(Object.keys(metafile.outputs[`page/${name}`]!.inputs)) + text;
  };
  const read = (name: string) => readFile(`${root}src/page/${name}`, "utf8");
  const assets: [path: string, type: string, text: string][] = [
    ["/", "text/html; charset=utf-8", await read("index.html")],
    ["/page.js", "text/javascript; charset=utf-8", await built("page.js")],
    [`/${SSE_FILE}`, "text/javascript; charset=utf-8", await built(SSE_FILE)],
    ["/page.css", "text/css; charset=utf-8", await built("page.css")],
    ["/page.svg", "image/svg+xml", await read("page.svg")],
  ];
  const entries = assets.map(([path, type, text]) => {
    const tag = createHash("sha256").update(text).digest("base64url").slice(0, 16);
    return `  ${JSON.stringify({ path, type, tag, text })},\n`;
  });
  return `${HEAD}${entries.join("")}];\n`;
}

const HEAD = `/**
 * The live page as it is served: made by \`npm run build:page\` from \`src/page\`, and not to be edited here.
 *
 * @module
 */

/** A file of the page. */
export interface PageAsset {
  readonly path: string;
  /** Its media type. */
  readonly type: string;
  /** Names its content. */
  readonly tag: string;
  readonly text: string;
}

/** The files of the page. */
export const PAGE_ASSETS: readonly PageAsset[] = [
`;

/** Makes a comment with the licences of the bundled packages. */
async function licensesOf(files: readonly string[]): Promise<string> {
  const packages = new Set(
    files.flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  const texts = await Promise.all(
    [...packages].sort().map(async (name) => {
      const read = (file: string) => readFile(`${root}node_modules/${name}/${file}`, "utf8");
      const { version } = JSON.parse(await read("package.json"));
      const license = await read("LICENSE").catch(() => read("LICENSE.md"));
      return { name: `${name} ${version}`, owner: /^Copyright.*$/m.exec(license)![0], terms: license };
    }),
  );
  if (texts.length === 0) return "";
  // All packages have the same licence, which is included once.
  const terms = /^Permission is hereby granted[^]*$/m.exec(texts[0]!.terms)![0].trim();
  const plain = (text: string) => text.replaceAll(/\s+/g, " ").trim();
  for (const { name, terms: others } of texts) {
    if (!plain(others).includes(plain(terms))) {
      throw new Error(`${name} has a licence of its own: include it too`);
    }
  }
  const owners = texts.map(({ name, owner }) => `${name}: ${owner}`).join("\n");
  return `/*! This file contains these packages, under the MIT License:\n${owners}\n\n${terms}\n*/\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PAGE_ASSETS, await buildPage());
