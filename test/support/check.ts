/**
 * The checks that need no running code: types, lint, format, documentation, what is published, and what the core
 * may import.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { VERSION } from "../../src/version.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = "test/runtimes/node_modules/.bin/deno";
const ENTRY_POINTS = ["src/mod.ts", "src/tribler/mod.ts", "src/client/mod.ts", "src/nats/mod.ts"];
/** What may be imported by the core, and by the client, which shares with it no more than this. */
const OF_CORE = /^(?:(?:hono|valibot)(?:\/|$)|\.\.?\/(?!.*(?:cli|server)\/))/;
const OF_CLIENT = /^(?:eventsource-parser$|\.\/|\.\.\/(?:event|catalogue|errors)\.ts$)/;
/** What may be imported by the channel on NATS: no transport, which is the caller's. */
const OF_NATS = /^(?:@nats-io\/(?:jetstream|nats-core)$|\.\.?\/(?!.*(?:cli|server)\/))/;
/** The page is a client, and shows what the command shows. */
const OF_PAGE = /^(?:uplot$|\.\/|\.\.\/(?:client\/mod|shown|tribler\/summary)\.ts$)/;
/** All TypeScript here but what is installed. */
const SOURCES = ["src", "test", "examples", "bench", "docs"];
/** Where the package is packed for those who look at it. */
const shelf = mkdtempSync(join(tmpdir(), "events-endpoint-"));
const tarball = join(shelf, `events-endpoint-${VERSION}.tgz`);

const CHECKS: readonly { name: string; command: string; args: string[] }[] = [
  { name: "tsc", command: "node_modules/.bin/tsc", args: ["--project", "tsconfig.json"] },
  {
    name: "tsc, web libraries only",
    command: "node_modules/.bin/tsc",
    args: ["--project", "tsconfig.core.json"],
  },
  { name: "deno check", command: deno, args: ["check", "src", "test", "examples", "docs"] },
  { name: "deno lint", command: deno, args: ["lint", ...SOURCES] },
  { name: "deno fmt", command: deno, args: ["fmt", "--check"] },
  // Without npm packages: the types of hono and valibot are documented where they come from.
  { name: "deno doc --lint", command: deno, args: ["doc", "--lint", "--no-npm", ...ENTRY_POINTS] },
  { name: "npm pack", command: "npm", args: ["pack", "--pack-destination", shelf] },
  { name: "publint", command: "node_modules/.bin/publint", args: ["--strict", tarball] },
  // The package is ESM alone, which Node can require() since 20.19.
  {
    name: "attw",
    command: "node_modules/.bin/attw",
    args: [tarball, "--profile", "esm-only"],
  },
  { name: "deno publish", command: deno, args: ["publish", "--dry-run", "--allow-dirty"] },
];

/**
 * The core imports itself, hono and valibot, and nothing else: no `node:` module, no runtime, no command. The client imports of it
 * what describes events, and a parser for SSE; the page the client, what is shown of events, and a chart.
 */
function strayImports(): string[] {
  const files = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/^(?:cli|server)\//.test(file));
  return files.flatMap((file) => {
    const text = readFileSync(`${root}src/${file}`, "utf8");
    const specifiers = [
      ...text.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";|\bimport\("([^"]+)"\)/gm),
    ];
    return specifiers.map(([, from, dynamic]) => from ?? dynamic ?? "")
      .filter((specifier) => !allowedIn(file).test(specifier))
      .map((specifier) => `src/${file} imports ${specifier}`);
  });
}

function allowedIn(file: string): RegExp {
  if (file.startsWith("client")) return OF_CLIENT;
  if (file.startsWith("page")) return OF_PAGE;
  return file.startsWith("nats") ? OF_NATS : OF_CORE;
}

let failed = false;
for (const { name, command, args } of CHECKS) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const good = status === 0;
  failed ||= !good;
  console.log(`${name}: ${good ? "passed" : "failed"}`);
  if (!good) console.log(stdout + stderr.replaceAll(/^Warning.*\n(?: +at .*\n)?/gm, ""));
}
rmSync(shelf, { recursive: true });
const stray = strayImports();
failed ||= stray.length > 0;
console.log(`imports of the core: ${stray.length === 0 ? "passed" : `failed\n${stray.join("\n")}`}`);
process.exit(failed ? 1 : 0);
