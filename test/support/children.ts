/**
 * Child processes of the tests: the command and the examples on the runtime of the test, and programs of the machine.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { RuntimeName } from "../suites.ts";
import { within } from "./harness.ts";
import { argumentsOf, programOf, runtimeUnderTest } from "./runtimes.ts";

/** Options of a child. */
export interface ChildOptions {
  /** Environment variables in addition to those of this process, without its `EVENTS_…`; `EVENTS_LOG` is off. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the test writes to its standard input. */
  readonly input?: boolean;
  /** Flags of Deno for what a script may do; the other runtimes have none. */
  readonly permissions?: readonly string[];
}

/** The lines that a child prints. */
export interface Output {
  /** The lines so far, without their ends. */
  readonly lines: readonly string[];
  /** What was printed after the last end of a line. */
  readonly rest: string;
  /**
   * Returns the first line that matches, and waits for it. Rejects at once if the child has ended without it.
   */
  match(pattern: RegExp, ms?: number): Promise<RegExpExecArray>;
  /** Waits for this many lines, and returns the first ones. */
  take(count: number, ms?: number): Promise<readonly string[]>;
}

/** How a child ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A child process. */
export interface Child {
  /** Its process id; 0 if it could not be started. */
  readonly pid: number;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Waits until it has ended by itself and all of its output was read. */
  exit(ms?: number): Promise<Exit>;
  /** Its standard input. Errors of a child that reads no more are ignored. */
  readonly stdin: Writable;
  /** Sends it a signal. */
  signal(name: "SIGINT" | "SIGTERM" | "SIGKILL" | "SIGHUP" | "SIGSTOP" | "SIGCONT"): void;
  /** Kills it if it still runs. */
  kill(): Promise<void>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The permissions of the command on Deno; a watch folder needs `--allow-read` and `--allow-write` as well. */
const CLI_PERMISSIONS = ["--allow-net", "--allow-env"];

const CLI = "src/cli/main.ts";

/** Starts the command `events-endpoint` with these arguments. */
export function startCli(args: readonly string[], options: ChildOptions = {}): Child {
  const permissions = [...CLI_PERMISSIONS, ...options.permissions ?? []];
  return startScript(CLI, args, { ...options, permissions });
}

/** One runtime of each kind. */
export const RUNTIMES = ["node", "deno", "bun"] as const;

/** Starts the command on the given runtime. */
export function startCliOn(
  runtime: RuntimeName,
  args: readonly string[],
  options: ChildOptions = {},
): Child {
  return start(programOf(runtime), [...argumentsOf(runtime, CLI_PERMISSIONS), root + CLI, ...args], options);
}

/** Returns the command with these arguments as a line for a shell. */
export function shellCommand(args: readonly string[]): string {
  return shellScript(CLI, args);
}

/** Returns a script of the repository with these arguments as a line for a shell. */
export function shellScript(file: string, args: readonly string[] = []): string {
  const runtime = runtimeUnderTest();
  return [programOf(runtime), ...argumentsOf(runtime, CLI_PERMISSIONS), root + file, ...args]
    .map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`).join(" ");
}

/** Starts a script, named by its path from the root of the repository, on this runtime. */
export function startScript(file: string, args: readonly string[], options: ChildOptions = {}): Child {
  const runtime = runtimeUnderTest();
  const own = argumentsOf(runtime, options.permissions ?? []);
  return start(programOf(runtime), [...own, root + file, ...args], options);
}

/** Starts a program of the machine. */
export function startProgram(program: string, args: readonly string[], options: ChildOptions = {}): Child {
  return start(program, args, options);
}

/** Runs `use` beside the child, and kills the child after it in any case. */
export async function running<T>(child: Child, use: (child: Child) => Promise<T>): Promise<T> {
  try {
    return await use(child);
  } finally {
    await child.kill();
  }
}

/** Waits for the line with the address that a child listens on. */
export async function whereItListens(child: Child): Promise<{ url: string; port: number }> {
  const [, url, port] = await child.stdout.match(/(http:\/\/\S+:(\d+))(?:\/|$)/);
  return { url: url!, port: Number(port) };
}

function start(program: string, args: readonly string[], { env, input = false }: ChildOptions): Child {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EVENTS_"));
  const child = spawn(program, args, {
    cwd: root,
    // Few tests are about the line for each stream that ends. A terminal is one also where the tests run in CI.
    env: {
      ...Object.fromEntries(inherited),
      CI: "",
      TERM: "xterm",
      NO_COLOR: "1",
      EVENTS_LOG: "off",
      ...env,
    },
    stdio: [input ? "pipe" : "ignore", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {});
  let isOver = child.pid === undefined;
  child.once("exit", () => isOver = true);
  let over = false;
  let failure: Error | undefined;
  const waiting = new Set<() => void>();
  const check = () => waiting.forEach((one) => one());
  const stdout = linesOf(child.stdout!, check);
  const stderr = linesOf(child.stderr!, check);
  const ended = new Promise<Exit>((resolve) => {
    child.once("error", (error) => {
      failure = new Error(`cannot run ${program}: is it installed? ${error.message}`);
      over = true;
      check();
      resolve({ code: null, signal: null });
    });
    child.once("close", (code, signal) => {
      over = true;
      check();
      resolve({ code, signal });
    });
  });

  /** Returns what `find` finds. It is called again whenever something was printed. */
  async function wait<T>(find: () => T | undefined, label: string, ms: number | undefined): Promise<T> {
    let check = () => {};
    const found = new Promise<T>((resolve, reject) => {
      check = () => {
        const value = find();
        if (value !== undefined) resolve(value);
        else if (over) reject(failure ?? new Error("it has ended"));
      };
      waiting.add(check);
      check();
    });
    try {
      return await within(found, label, ms);
    } catch (error) {
      if (failure !== undefined) throw failure;
      throw new Error(`${label}: ${(error as Error).message}; ${printed()}`, { cause: error });
    } finally {
      waiting.delete(check);
    }
  }

  function printed(): string {
    const tail = (lines: readonly string[]) =>
      lines.slice(-8).map((line) => `\n  ${line.slice(0, 300)}`).join("");
    return `stdout:${tail(stdout.lines)}\nstderr:${tail(stderr.lines)}`;
  }

  function outputOf(printed: Printed, name: string): Output {
    const { lines } = printed;
    return {
      lines,
      get rest() {
        return printed.rest;
      },
      match: (pattern, ms) => {
        const find = () => lines.map((line) => pattern.exec(line)).find((match) => match !== null);
        return wait(find, `a line ${pattern} on ${name}`, ms);
      },
      take: (count, ms) => {
        const find = () => lines.length >= count ? lines.slice(0, count) : undefined;
        return wait(find, `${count} lines on ${name}`, ms);
      },
    };
  }

  /**
   * Sends a signal. Not by `child.kill()`: on Deno 2.9 that sends no second signal, and reports the first one as the reason
   * of the child's end even if the child ended by itself.
   */
  function signal(name: NodeJS.Signals): void {
    if (!isOver) process.kill(child.pid!, name);
  }

  return {
    pid: child.pid ?? 0,
    stdout: outputOf(stdout, "stdout"),
    stderr: outputOf(stderr, "stderr"),
    exit: async (ms) => {
      const exit = await within(ended, `${program} ${args.join(" ")} to end`, ms);
      if (failure !== undefined) throw failure;
      return exit;
    },
    get stdin() {
      if (child.stdin === null) throw new Error("the child was started without input");
      return child.stdin;
    },
    signal,
    kill: async () => {
      signal("SIGKILL");
      await within(ended, `${program} to be killed`);
    },
  };
}

/** The lines of a stream, and what follows them. */
interface Printed {
  readonly lines: string[];
  rest: string;
}

/** Collects the lines of a stream. A last line without its end is added at the end of the stream. */
function linesOf(stream: NonNullable<ChildProcess["stdout"]>, onLines: () => void): Printed {
  const printed: Printed = { lines: [], rest: "" };
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const parts = (printed.rest + text).split("\n");
    printed.rest = parts.pop()!;
    printed.lines.push(...parts);
    onLines();
  });
  stream.on("end", () => {
    if (printed.rest !== "") printed.lines.push(printed.rest);
    onLines();
  });
  return printed;
}
