/** Child processes that speak one JSON object a line, none of which outlives the bench. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pinned, sharePriority } from "./machine.ts";

const GRACE_MS = 2000;
const STDERR_CHARACTERS = 2000;
const running = new Set<Child>();
let ending = false;

export class Child {
  readonly #name: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #nextLine: Promise<IteratorResult<string>> | undefined;
  /** The last it wrote to stderr. */
  complaints = "";

  /** Starts `command`, on one core alone where the machine has `taskset` and a second core. */
  constructor(name: string, command: string[], core: "server" | "client") {
    if (ending) throw new Error(`${name} is not started: the bench ends`);
    const [file = "", ...args] = pinned(command, core);
    this.#name = name;
    // Detached, so that Ctrl-C reaches the bench alone, which then ends them.
    this.#process = spawn(file, args, {
      stdio: "pipe",
      detached: true,
      env: { ...process.env, NO_COLOR: "1" },
    });
    if (this.#process.pid !== undefined) sharePriority(this.#process.pid);
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.complaints = (this.complaints + text).slice(-STDERR_CHARACTERS);
    });
    // A child that dies closes its pipes; what is told is that it died, by `next()`.
    this.#process.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      this.#process.on("close", () => resolve()).on("error", (error) => {
        this.complaints += String(error);
        resolve();
      });
    });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    running.add(this);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  send(line: string): void {
    this.#process.stdin.write(line + "\n");
  }

  /**
   * The next line the child prints. Rejects after `seconds`, and when the child is gone or prints a fault.
   */
  async next<Message extends object>(seconds: number): Promise<Message> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.#name}: no answer in ${seconds} s`)), seconds * 1000);
    });
    try {
      // Kept after a timeout: the line it waits for belongs to the next call.
      this.#nextLine ??= this.#lines.next();
      const { done, value } = await Promise.race([this.#nextLine, late]);
      this.#nextLine = undefined;
      if (done) {
        await this.#ended;
        throw new Error(`${this.#name} ended: ${this.complaints.trim().slice(-600) || "without a word"}`);
      }
      const message = JSON.parse(value) as Message & { fault?: string };
      if (message.fault !== undefined) throw new Error(message.fault);
      return message;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes its stdin, which ends it; by force after a grace period. */
  async end(): Promise<void> {
    this.#process.stdin.end();
    const force = setTimeout(() => this.#process.kill("SIGKILL"), GRACE_MS);
    await this.#ended;
    clearTimeout(force);
    running.delete(this);
  }
}

/** Ends every child, and lets no new one start. */
export async function endAll(): Promise<void> {
  ending = true;
  await Promise.all([...running].map((child) => child.end()));
}
