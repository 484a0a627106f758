/**
 * Runs the checks and then every test on Node, Deno and Bun: `npm test [-- name …]`.
 *
 * The two runtimes that this one is not come as npm packages; they are installed the first time they are wanted.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const bin = `${here}runtimes/node_modules/.bin`;
/** A runtime that has not finished by then never will. */
const LIMIT_MS = 20 * 60_000;

const RUNTIMES: readonly { name: string; command: string; args: string[] }[] = [
  { name: "Node", command: process.execPath, args: ["--import", "tsx", `${here}all.ts`] },
  { name: "Deno", command: `${bin}/deno`, args: ["run", "--allow-all", `${here}all.ts`] },
  { name: "Bun", command: `${bin}/bun`, args: [`${here}all.ts`] },
];

/** Runs a command, showing what it prints. */
function run(command: string, args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      process.stdout.write(text);
    });
    child.once("error", reject).once("close", (code) => resolve({ code, output }));
  });
}

/** The counts that uvu prints at the end. */
function countsOf(output: string): { total: number; passed: number; skipped: number } {
  const count = (name: string) => Number(new RegExp(`\\n  ${name}:\\s+(\\d+)`).exec(output)?.[1] ?? 0);
  return { total: count("Total"), passed: count("Passed"), skipped: count("Skipped") };
}

const names = process.argv.slice(2);
if (!existsSync(`${bin}/deno`) || !existsSync(`${bin}/bun`)) {
  // Not `npm ci`: it wants the binaries of every platform to be in the registry, whichever one this is.
  const install = await run("npm", ["install", "--no-save", "--prefix", `${here}runtimes`]);
  if (install.code !== 0) process.exit(1);
}

let passed = 0;
let failed = 0;
let skipped = 0;
const summary: string[] = [];
const check = await run(process.execPath, ["--import", "tsx", `${here}support/check.ts`]);
if (check.code === 0) passed++;
else failed++;
summary.push(`Checks: ${check.code === 0 ? "passed" : "failed"}`);

for (const { name, command, args } of RUNTIMES) {
  console.log(`\n${name}\n`);
  const { code, output } = await run(command, [...args, ...names]);
  const counts = countsOf(output);
  // A runtime that stopped early, or ran nothing, has failed once more than its tests say.
  const broken = counts.total === 0 || (code !== 0 && counts.passed === counts.total) ? 1 : 0;
  passed += counts.passed;
  failed += counts.total - counts.passed + broken;
  skipped += counts.skipped;
  summary.push(
    `${name}: ${counts.passed} of ${counts.total} passed${broken ? `, and it ended with ${code}` : ""}`,
  );
}

console.log(`\n${summary.join("\n")}\n`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
