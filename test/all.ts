/**
 * Runs test files under uvu in this process, on whichever runtime this is: `tsx test/all.ts [path …]`, where a path is
 * one of a file or folder from `test/` on.
 *
 * A file that runs no test is a failure, and so is a test that leaves the process without an answer, one that leaves a
 * timer behind (it would fire in the midst of another), and an error that is not caught, wherever it comes from.
 *
 * @module
 */
import process from "node:process";
import { testFiles } from "./support/files.ts";
import { onUncaught } from "./support/rejections.ts";

const queues: [name: string | null, ...suites: unknown[]][] = [];
Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: queues });
const { exec } = await import("uvu");

let broken = false;
let current = "all.ts";
onUncaught((kind, error) => {
  broken = true;
  process.exitCode = 1; // Also where it is what ends this module.
  console.error(`\n${kind} while ${current} ran:`, error);
});
// If the reader of the report has ended, the error of writing to it would be reported, and so on for ever.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(1));
const wanted = process.argv.slice(2);
const isNamed = wanted.length > 0 && wanted.every((path) => path.endsWith(".test.ts"));
const files = isNamed ? [...wanted].sort() : testFiles(wanted);
for (const file of files) {
  Object.assign(globalThis, { UVU_INDEX: queues.length });
  const queue: (typeof queues)[number] = [file];
  current = file;
  queues.push(queue);
  await import(new URL(file, import.meta.url).href);
  for (let i = 1; i < queue.length; i++) queue[i] = whole(file, queue[i] as Run);
  if (queue.length === 1) throw new Error(`${file} runs no test: is its .run() missing?`);
}
if (queues.length === 0) throw new Error(`no path of a test file begins with ${wanted.join(" or ")}`);
await exec();
await new Promise((resolve) => setTimeout(resolve, 50)); // The runtime reports the last error a moment later.
process.exit(broken ? 1 : process.exitCode);

/** What uvu makes of a suite: runs it, and answers with its errors and how many tests ran, were skipped, and are. */
type Run = () => Promise<[errors: string | true, ran: number, skipped: number, total: number]>;

/** Runs the suite, and fails if uvu lost tests on the way (an error it cannot print ends its suite in silence), or a timer is left. */
function whole(file: string, run: Run): Run {
  return async () => {
    current = file;
    const result = await run();
    const [errors, ran, , total] = result;
    broken ||= errors === true && ran !== total;
    broken ||= total === 0 && !process.env["TEST_NAME"];
    const left = await timersLeft();
    if (left > 0) {
      broken = true;
      console.error(`${file} leaves ${left} timers behind`);
    }
    return result;
  };
}

/** Counts the timers that keep the process from ending, after some time to fire. Only Node lists them. */
async function timersLeft(): Promise<number> {
  const count = () => process.getActiveResourcesInfo?.().filter((name) => name === "Timeout").length ?? 0;
  for (let tries = 0; count() > 0 && tries < 300; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10)); // It has fired when it is counted.
  }
  return count();
}
