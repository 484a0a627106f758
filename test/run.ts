/**
 * Runs the checks and the tests: `npm test`, or some of them: `npm test -- http/publish -t "refuses"`.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, watch } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { testFiles } from "./support/files.ts";
import { makeJavaScript } from "./support/javascript.ts";
import { argumentsOf, installRuntimes, programOf } from "./support/runtimes.ts";
import { installTools } from "./support/tools.ts";
import { type RuntimeName, type Suite, suiteOf } from "./suites.ts";

const HELP =
  `npm test [-- PATH … [options]]: all checks and tests, or the test files whose paths below test/ begin with PATH

  -t NAME           only the tests whose names contain NAME
  --runtime NAMES   on these runtimes, with commas: node, node22, node24, node26, deno, bun, bun12; all: those that
                    test/suites.ts names for each file (a PATH alone runs on the Node at hand)
  --unit            only what is pure, on the Node at hand: npm run test:unit
  --watch           again whenever a file in src or test changes
  --jobs N          as many processes that compute side by side, and one more that wait (the number of cores)
  --help            show this and exit`;

const root = fileURLToPath(new URL("..", import.meta.url));
const here = `${root}test/`;
/** A folder that the processes share: the first that needs the package as a tarball packs it there. */
const shelf = mkdtempSync(join(tmpdir(), "events-endpoint-"));
process.once("exit", () => rmSync(shelf, { recursive: true, force: true }));
/** The longest that a process may run. */
const LIMIT_MS = 5 * 60_000;

/** One process to run. */
interface Job {
  readonly title: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The time it takes, roughly: the longest begin first. */
  readonly seconds: number;
  /** Whether it waits most of the time, and leaves the cores to others. */
  readonly waits: boolean;
  /** Whether its output counts tests; else its exit code is one. */
  readonly isTest: boolean;
}

/** The result of a process. */
interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A shell that runs a program, and reports on descriptor 3 the time of the cores that it and its children took. */
const TIMED = ["-c", '"$@" 3>&-; code=$?; times >&3; exit $code', "sh"];

const { values, positionals: paths } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: "string", short: "t" },
    runtime: { type: "string" },
    unit: { type: "boolean", default: false },
    watch: { type: "boolean", default: false },
    jobs: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** The files to run, from `test/` on. */
function chooseFiles(): string[] {
  const files = testFiles(paths.map((path) => path.replace(/^test\//, "")))
    .filter((file) => !values.unit || suiteOf(file).isUnit);
  if (files.length === 0) throw new Error(`no path of a test file begins with ${paths.join(" or ")}`);
  return files;
}

/** The runtimes to run a file on. */
function chooseRuntimes({ on }: Suite): readonly RuntimeName[] {
  if (values.unit) return ["node"];
  if (values.runtime === "all" || (values.runtime === undefined && paths.length === 0)) return on;
  if (values.runtime !== undefined) return values.runtime.split(",") as RuntimeName[];
  return on.slice(0, 1);
}

function testJob(files: readonly string[], suite: Suite, runtime: RuntimeName): Job {
  const isDriver = suite.runs === "programs";
  const own = isDriver ? "node" : runtime;
  return {
    title: `${runtime.padEnd(6)} ${files.join(" ")}`,
    program: programOf(own),
    args: [...argumentsOf(own, ["--allow-all"]), `${here}all.ts`, ...files],
    env: {
      NO_COLOR: "1",
      TEST_SHELF: shelf,
      ...(isDriver && { TEST_RUNTIME: runtime }),
      ...(values.name !== undefined && { TEST_NAME: values.name }),
    },
    seconds: (suite.seconds ?? DEFAULT_SECONDS) * files.length,
    waits: suite.waits ?? false,
    isTest: true,
  };
}

/** The most seconds in one process: a failure is still close to its place. */
const MOST_SECONDS = 24;
/** The seconds of a file whose suite names none. */
const DEFAULT_SECONDS = 3;

/** Groups quick files of one suite: starting a process, and loading what they share, costs a second. */
function groupsOf(files: readonly string[]): string[][] {
  const groups: string[][] = [];
  const open = new Map<Suite, string[]>();
  for (const file of files) {
    const suite = suiteOf(file);
    const group = open.get(suite);
    const most = Math.floor(MOST_SECONDS / (suite.seconds ?? DEFAULT_SECONDS));
    if (group !== undefined && group.length < most && suite.runs !== "programs") {
      group.push(file);
      continue;
    }
    const next = [file];
    groups.push(next);
    open.set(suite, next);
  }
  return groups;
}

/** The jobs, the longest first. */
async function chooseJobs(): Promise<Job[]> {
  const files = chooseFiles();
  await makeJavaScript(join(shelf, "javascript"));
  if (values.unit) { // In two processes: all of it is computed.
    const halves = [0, 1].map((half) => files.filter((_, index) => index % 2 === half));
    return halves.filter(({ length }) => length > 0).map((half) => testJob(half, suiteOf(half[0]!), "node"));
  }
  const jobs = groupsOf(files).flatMap((group) => {
    const suite = suiteOf(group[0]!);
    return chooseRuntimes(suite).map((runtime) => testJob(group, suite, runtime));
  });
  const programs = files.map(suiteOf).flatMap((suite) =>
    [...chooseRuntimes(suite), suite.needs ?? []].flat()
  );
  installRuntimes([...new Set(programs)]);
  if (files.some((file) => file.startsWith("package/"))) installTools(); // Not by several processes at once.
  return jobs.sort((one, other) => other.seconds - one.seconds);
}

/** The checks, which are a job of their own. */
const CHECKS: Job = {
  title: "checks",
  program: process.execPath,
  args: ["--import", "tsx", `${here}support/check.ts`],
  env: { NO_COLOR: "1", TEST_SHELF: shelf },
  seconds: Infinity,
  waits: false,
  isTest: false,
};

/** The processes that run. */
const running = new Set<ChildProcess>();

/** Kills a process, if it still runs, and everything that it started. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of it runs any more.
  }
}

/** Runs a job, and prints one line for it, or all of its output if it failed. */
async function run(job: Job): Promise<Outcome & { readonly cpu: number }> {
  const start = performance.now();
  const child = spawn("sh", [...TIMED, job.program, ...job.args], {
    cwd: root,
    env: { ...process.env, ...job.env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true, // A group of its own: what it started ends with it.
  });
  running.add(child);
  const limit = setTimeout(() => {
    output += `\nstopped: it ran for longer than ${LIMIT_MS / 1000} s\n`;
    killGroup(child);
  }, LIMIT_MS);
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  let times = "";
  child.stdio[3]!.on("data", (text) => times += text);
  const code = await new Promise<number | null | string>((resolve) => {
    child.once("error", (error) => resolve(error.message)).once("exit", () => killGroup(child))
      .once("close", (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(limit);
  running.delete(child);
  const outcome = job.isTest
    ? judge(output, code)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  const cpu = cpuSecondsIn(times);
  const isGood = outcome.failed === 0;
  console.log(
    [
      isGood ? "passed" : "FAILED",
      `${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s`,
      `${cpu.toFixed(1).padStart(5)} s CPU`,
      String(outcome.passed).padStart(4),
      ` ${job.title}`,
    ].join(" "),
  );
  if (!isGood || !job.isTest) console.log(`${output}${isGood ? "" : `it ended with ${code}`}`);
  return { ...outcome, cpu };
}

/** The seconds of what a shell waited for, in what its `times` prints: `0m0.01s 0m0.00s`, and below it that. */
function cpuSecondsIn(times: string): number {
  const [, , user, system] = [...times.matchAll(/(\d+)m([\d.]+)s/g)].map(([, minutes, seconds]) =>
    Number(minutes) * 60 + Number(seconds)
  );
  return (user ?? 0) + (system ?? 0);
}

/** Reads the result from the output. A process that stopped early, or ran nothing, counts as one failure more. */
function judge(output: string, code: number | null | string): Outcome {
  const count = (name: string) => Number(new RegExp(`\\n  ${name}:\\s+(\\d+)`).exec(output)?.[1] ?? 0);
  const [total, passed, skipped] = [count("Total"), count("Passed"), count("Skipped")];
  const isBroken = (total === 0 && values.name === undefined) || (code !== 0 && passed === total);
  const unwanted = process.env["CI"] === undefined ? 0 : skipped; // In CI nothing is left out.
  return { passed, failed: total - passed + (isBroken ? 1 : 0) + unwanted, skipped };
}

/** The share of idle time of all cores from which another process begins, and the most processes for each core. */
const IDLE_SHARE = 0.25;
const MOST_FOR_EACH_CORE = 5;

/** Returns a function that returns the share of the time of all cores since its last call that no program used. */
function measureIdleness(): () => number {
  const read = () => cpus().map(({ times }) => ({ idle: times.idle, all: sumOf(Object.values(times)) }));
  let last = read();
  return () => {
    const [before, now] = [last, last = read()];
    const grown = (part: "idle" | "all") =>
      sumOf(now.map((core, at) => core[part] - (before[at]?.[part] ?? 0)));
    return grown("idle") / grown("all");
  };
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** Runs the jobs, some side by side, and prints how they ended. */
async function runAll(jobs: Job[]): Promise<boolean> {
  const start = performance.now();
  const sum = { passed: 0, failed: 0, skipped: 0, cpu: 0 };
  const failures: string[] = [];
  const computing = jobs.filter(({ waits }) => !waits);
  const waiting = jobs.filter(({ waits }) => waits);
  const worker = async (take: () => Job | undefined) => {
    for (let job; (job = take()) !== undefined;) {
      const { passed, failed, skipped, cpu } = await run(job);
      sum.passed += passed;
      sum.failed += failed;
      sum.skipped += skipped;
      sum.cpu += cpu;
      if (failed > 0) failures.push(job.title);
    }
  };
  // As many compute as there are cores. One more than that waits beside them, and takes their places when they are fewer.
  const width = Number(values.jobs ?? availableParallelism());
  const workers = [
    ...Array.from({ length: width }, () => worker(() => computing.shift() ?? waiting.shift())),
    ...Array.from({ length: width + 1 }, () => worker(() => waiting.shift())),
  ];
  // Many do both in turn. Another one begins while cores are idle nevertheless.
  const idleShare = measureIdleness();
  const timer = setInterval(() => {
    if (idleShare() < IDLE_SHARE || running.size >= MOST_FOR_EACH_CORE * width) return;
    const next = [waiting.shift() ?? computing.shift()];
    workers.push(worker(() => next.pop()));
  }, 1000);
  if (values.jobs !== undefined) clearInterval(timer);
  for (const one of workers) await one; // Also of those that come later.
  clearInterval(timer);
  if (sum.passed + sum.failed === 0) sum.failed++; // A name that no test has.
  const [wall, cpu] = [(performance.now() - start) / 1000, sum.cpu].map(Math.round);
  console.log(`\n${jobs.length} processes in ${wall} s, ${cpu} s CPU`);
  for (const title of failures) console.log(`failed: ${title}`);
  console.log(
    `\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}`,
  );
  return sum.failed === 0;
}

/** Runs the jobs again whenever a file has changed, until it is interrupted. */
function runAndWatch(): void {
  let isRunning = false;
  let isDue = true;
  const next = async () => {
    if (isRunning || !isDue) return;
    isRunning = true;
    isDue = false;
    for (const name of readdirSync(shelf)) rmSync(join(shelf, name), { recursive: true }); // It is of the last sources.
    await runAll(await chooseJobs());
    isRunning = false;
    await next();
  };
  const due = () => {
    isDue = true;
    setTimeout(next, 100); // An editor may write several files.
  };
  for (const folder of ["src", "test"]) watch(root + folder, { recursive: true }, due);
  void next();
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    running.forEach(killGroup);
    process.exit(1);
  });
}
if (values.help) console.log(HELP);
else if (values.watch) runAndWatch();
else {
  const jobs = await chooseJobs();
  const isWhole = paths.length === 0 && !values.unit && values.name === undefined &&
    values.runtime === undefined;
  process.exitCode = await runAll(isWhole ? [CHECKS, ...jobs] : jobs) ? 0 : 1;
}
