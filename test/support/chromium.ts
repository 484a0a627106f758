/**
 * Headless Chromium as a reader. Its pages report to the test by `fetch()`, or are driven by the test.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Hono } from "hono";
import { type Browser, chromium, type Page } from "playwright-core";
import { until } from "./harness.ts";

const program = [process.env["CHROMIUM"], "chromium", "chromium-browser", "google-chrome"].find((name) =>
  name !== undefined && spawnSync(name, ["--version"]).status === 0
);
const root = fileURLToPath(new URL("../..", import.meta.url));
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Whether its tests run: if it is installed, and in CI, where they fail without it. */
export const hasChromium: boolean = program !== undefined || process.env["CI"] !== undefined;

/** Shows the URL in Chromium while `use` runs. */
export async function browsing<T>(url: string, use: () => Promise<T>): Promise<T> {
  if (program === undefined) throw new Error("cannot find Chromium: install it, or name one in CHROMIUM");
  const profile = await mkdtemp(join(tmpdir(), "chromium-"));
  const browser = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, url], { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => browser.once("exit", () => resolve()));
  try {
    return await use();
  } finally {
    browser.kill();
    await exited;
    // Some of its processes still write for a moment. (Deno ignores the option maxRetries.)
    await until(
      () => rm(profile, { recursive: true, force: true }).then(() => true, () => false),
      "its profile is removed",
    );
  }
}

/** The address and the window of a page. */
export interface Look {
  readonly url: string;
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
}

/** Starts Chromium with Playwright. The caller closes it. */
export async function launchChromium(): Promise<Browser> {
  if (program === undefined) throw new Error("cannot find Chromium: install it, or name one in CHROMIUM");
  const path = spawnSync("sh", ["-c", 'command -v "$0"', program], { encoding: "utf8" }).stdout.trim();
  return await chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-gpu"] });
}

/** The browser of all visits: its start takes longer than most of them. */
let shared: Promise<Browser> | undefined;

/** Closes the browser of the visits. Must be called after the last one. */
export async function endVisits(): Promise<void> {
  await (await shared)?.close();
  shared = undefined;
}

/** Collects the violations of the content security policy in a page. */
const WATCH_POLICY = `
  globalThis.violations = [];
  addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + " " + event.blockedURI));`;

/**
 * Opens a page in Chromium while `use` drives it. Rejects if the page had an uncaught error, or violated its policy.
 */
export async function visiting(
  { url, width = 1280, height = 800, colorScheme = "light" }: Look,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const browser = await (shared ??= launchChromium());
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  try {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.addInitScript(WATCH_POLICY);
    await page.goto(url);
    await use(page);
    problems.push(...await page.evaluate("violations") as string[]);
    if (problems.length > 0) throw new Error(`the page has problems:\n${problems.join("\n")}`);
  } finally {
    await context.close();
  }
}

/** The reports of the pages of a test. */
export interface Reports<T> {
  /** Returns the next report. */
  next(ms?: number): Promise<T>;
}

/** Adds a page at `/` to the app, and `POST /report` for its reports in JSON. */
export function servePage<T>(app: Hono, html: string): Reports<T> {
  const all: T[] = [];
  app.get("/", (c) => c.html(`<!doctype html><title>reader</title>${html}`));
  app.post("/report", async (c) => {
    all.push(await c.req.json());
    return c.body(null, 204);
  });
  return {
    next: async (ms = 60_000) => {
      await until(() => all.length > 0, "the page reports", ms);
      return all.shift()!;
    },
  };
}

/**
 * Adds a module and its imports to the app under `/js/`, built for browsers.
 *
 * @param file its path from the root of the repository; `src/client/mod.ts` becomes `/js/mod.js`
 * @returns the names of the files that were requested so far
 */
export async function serveScript(app: Hono, file: string): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  const files = new Map<string, string>();
  try {
    const options = ["--bundle", "--splitting", "--minify", "--format=esm", "--platform=browser"];
    const { status, stderr } = spawnSync(
      join(root, "node_modules/.bin/esbuild"),
      [...options, `--outdir=${folder}`, file],
      { cwd: root, encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`cannot build ${file}: ${stderr}`);
    for (const name of await readdir(folder)) files.set(name, await readFile(join(folder, name), "utf8"));
  } finally {
    await rm(folder, { recursive: true });
  }
  const requested: string[] = [];
  app.get("/js/:name", (c) => {
    const name = c.req.param("name");
    requested.push(name);
    const code = files.get(name);
    if (code === undefined) return c.notFound();
    return c.body(code, 200, { "Content-Type": "text/javascript" });
  });
  return requested;
}
