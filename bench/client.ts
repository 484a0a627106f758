/** The load client as the bench sees it: a process of its own, native where there is a C compiler. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";
import type { Format } from "./servers.ts";

const CONNECT_SECONDS = 30;
const DELIVER_SECONDS = 60;

export interface Subscribers {
  count: number;
  /** How many of them stop reading when the run begins. */
  stalled: number;
  latency: boolean;
}

/** What the client saw by its end; latencies in microseconds. */
export interface Arrived {
  finished: number;
  heartbeats: number;
  behind: number;
  p50: number;
  p99: number;
  max: number;
}

const here = (path: string): string => fileURLToPath(new URL(`client/${path}`, import.meta.url));

/** The command that starts the load client: compiled into `folder` where there is a `cc`, else JavaScript. */
export function buildClient(folder: string): { command: string[]; title: string } {
  const binary = join(folder, "subscribers");
  const { status } = spawnSync("cc", ["-O2", "-o", binary, here("subscribers.c"), here("reference.c")]);
  if (status === 0) return { command: [binary], title: "C, epoll" };
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const command = [process.execPath, "--import", tsx, here("subscribers.ts")];
  return { command, title: "JavaScript, as there is no C compiler" };
}

/** The load client's command, and a folder for what it writes. */
export interface Bench {
  client: string[];
  folder: string;
}

export class LoadClient {
  static #clients = 0;
  readonly #child: Child;
  readonly #reference: string;

  constructor(
    bench: Bench,
    server: { port: number; path: string; format: Format; startsAtOnce: boolean },
    subscribers: Subscribers,
  ) {
    const { count, stalled, latency } = subscribers;
    const flags = [count, stalled, Number(server.startsAtOnce), Number(latency)].map(String);
    this.#reference = join(bench.folder, `stream-${LoadClient.#clients++}`);
    const args = [String(server.port), server.path, server.format, ...flags, this.#reference];
    this.#child = new Child("load client", [...bench.client, ...args], "client");
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when all are connected and the server has nothing more to say to them. */
  async connected(): Promise<void> {
    await this.#child.next(CONNECT_SECONDS);
  }

  /** Resolves when every subscriber that reads has `events` events, with the time the last one came. */
  async expect(events: number, seconds: number = DELIVER_SECONDS): Promise<number> {
    this.#child.send(`expect ${events}`);
    try {
      return (await this.#child.next<{ at: number }>(seconds)).at;
    } catch (cause) {
      // A fault has been told already; if it is only late, say how late.
      this.#child.send("finish");
      const seen = await this.#child.next<Arrived>(1).catch(() => undefined);
      if (!seen) throw cause;
      throw new Error(`${seen.behind} subscribers behind; ${seen.finished} of ${events} events came at all`, {
        cause,
      });
    }
  }

  /** Forgets the latencies so far. */
  mark(): void {
    this.#child.send("mark");
  }

  /** Listens a little longer for what should not come, and hands over what it saw and the stream itself. */
  async finish(): Promise<{ arrived: Arrived; stream: string }> {
    this.#child.send("finish");
    const arrived = await this.#child.next<Arrived>(DELIVER_SECONDS);
    return { arrived, stream: readFileSync(this.#reference, "utf8") };
  }

  async end(): Promise<void> {
    await this.#child.end();
    rmSync(this.#reference, { force: true });
  }
}
