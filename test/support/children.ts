/**
 * Child processes of the tests: the command and the examples on the runtime the test itself runs on, and
 * programs of the machine.
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
  /** Environment variables beside those of this process, of which no `EVENTS_…` is passed on; `EVENTS_LOG` is off. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the test writes what it reads; without that there is nothing to read. */
  readonly input?: boolean;
  /** On Deno: the flags that say what a script may do; the others ask for none. */
  readonly permissions?: readonly string[];
}

/** What a child prints, line by line. */
export interface Output {
  /** The lines so far, without their ends. */
  readonly lines: readonly string[];
  /**
   * The first line that matches, printed already or still to come. Fails at once where the child has ended
   * without it.
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
  /** Its number; 0 where it could not be started. */
  readonly pid: number;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Waits until it has ended by itself and everything it printed was read. */
  exit(ms?: number): Promise<Exit>;
  /** What it reads; an error where it reads no more is none of the test's. */
  readonly stdin: Writable;
  /** Sends it a signal. */
  signal(name: "SIGINT" | "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Ends it where it still runs. */
  kill(): Promise<void>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What the command needs on Deno; a watch folder takes `--allow-read` and `--allow-write` of it as well. */
const CLI_PERMISSIONS = ["--allow-net", "--allow-env"];

const CLI = "src/cli/main.ts";

/** Starts the command `events-endpoint` with these arguments. */
export function startCli(args: readonly string[], options: ChildOptions = {}): Child {
  const permissions = [...CLI_PERMISSIONS, ...options.permissions ?? []];
  return startScript(CLI, args, { ...options, permissions });
}

/** One runtime of each kind. */
export const RUNTIMES = ["node", "deno", "bun"] as const;

/** Starts the command on a runtime, whichever this one is. */
export function startCliOn(runtime: RuntimeName, args: readonly string[]): Child {
  return start(programOf(runtime), [...argumentsOf(runtime, CLI_PERMISSIONS), root + CLI, ...args], {});
}

/** The command with these arguments as a shell starts it. */
export function shellCommand(args: readonly string[]): string {
  const runtime = runtimeUnderTest();
  return [programOf(runtime), ...argumentsOf(runtime, CLI_PERMISSIONS), root + CLI, ...args]
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

/** Runs `use` beside the child, which is ended after it in any case. */
export async function running<T>(child: Child, use: (child: Child) => Promise<T>): Promise<T> {
  try {
    return await use(child);
  } finally {
    await child.kill();
  }
}

/** Waits for the line that says where a child listens. */
export async function whereItListens(child: Child): Promise<{ url: string; port: number }> {
  const [, url, port] = await child.stdout.match(/(http:\/\/\S+:(\d+))(?:\/|$)/);
  return { url: url!, port: Number(port) };
}

function start(program: string, args: readonly string[], { env, input = false }: ChildOptions): Child {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EVENTS_"));
  const child = spawn(program, args, {
    cwd: root,
    // A line for each stream that ends is what few tests are about.
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", EVENTS_LOG: "off", ...env },
    stdio: [input ? "pipe" : "ignore", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {});
  let isOver = child.pid === undefined;
  child.once("exit", () => isOver = true);
  let over = false;
  let failure: Error | undefined;
  const waiting = new Set<() => void>();
  const look = () => waiting.forEach((one) => one());
  const stdout = linesOf(child.stdout!, look);
  const stderr = linesOf(child.stderr!, look);
  const ended = new Promise<Exit>((resolve) => {
    child.once("error", (error) => {
      failure = new Error(`cannot run ${program}: is it installed? ${error.message}`);
      over = true;
      look();
      resolve({ code: null, signal: null });
    });
    child.once("close", (code, signal) => {
      over = true;
      look();
      resolve({ code, signal });
    });
  });

  /** Settles with what `find` finds once it does, looking again whenever something was printed. */
  async function wait<T>(find: () => T | undefined, label: string, ms: number | undefined): Promise<T> {
    let look = () => {};
    const found = new Promise<T>((resolve, reject) => {
      look = () => {
        const value = find();
        if (value !== undefined) resolve(value);
        else if (over) reject(failure ?? new Error("it has ended"));
      };
      waiting.add(look);
      look();
    });
    try {
      return await within(found, label, ms);
    } catch (error) {
      if (failure !== undefined) throw failure;
      throw new Error(`${label}: ${(error as Error).message}; ${printed()}`, { cause: error });
    } finally {
      waiting.delete(look);
    }
  }

  function printed(): string {
    const tail = (lines: readonly string[]) =>
      lines.slice(-8).map((line) => `\n  ${line.slice(0, 300)}`).join("");
    return `stdout:${tail(stdout)}\nstderr:${tail(stderr)}`;
  }

  function outputOf(lines: readonly string[], name: string): Output {
    return {
      lines,
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
   * Not `child.kill()`: on Deno 2.9 it sends one signal and no second one, and what it sent counts as the reason
   * of the child's end, also where that was an end of its own.
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

/** Gathers the lines of a stream; a last one without its end counts once the stream is over. */
function linesOf(stream: NonNullable<ChildProcess["stdout"]>, onLines: () => void): string[] {
  const lines: string[] = [];
  let tail = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const parts = (tail + text).split("\n");
    tail = parts.pop()!;
    lines.push(...parts);
    onLines();
  });
  stream.on("end", () => {
    if (tail !== "") lines.push(tail);
    onLines();
  });
  return lines;
}
