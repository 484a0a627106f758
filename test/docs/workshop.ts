/**
 * A copy of the checkout in which the blocks of a page are run as a reader pastes them, on ports of its own.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { chmod, cp, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { transform } from "esbuild";
import { findFreePort, until, within } from "../support/harness.ts";
import { sharedPackage } from "../support/pack.ts";
import { installRuntimes, programOf } from "../support/runtimes.ts";
import { type Block, isMarked, ROOT, withoutEmpty } from "./blocks.ts";

/** The ports that the pages name: of the server, of a second one or an app, of an example, and of NATS. */
const PORTS: readonly string[] = ["8085", "8086", "8087", "4222"];
/** What a reader has after `git clone` and `npm ci`, as far as the pages use it. */
const CHECKOUT: readonly string[] = ["src", "examples", "package.json", "tsconfig.json", "deno.json"];
/** No block takes longer to end, or to show what it should, in milliseconds. */
const LIMIT_MS = 20_000;

/** A copy of the checkout. */
export interface Workshop {
  /** Its folder. */
  readonly folder: string;
  /** Runs a block of `sh` or `ts`. Throws an Error where it does not do what its page says. */
  run(block: Block): Promise<void>;
  /** The text with the ports that the blocks have here in place of those that the pages name. */
  rename(text: string): string;
}

/** A block that was started. */
interface Running {
  readonly block: Block;
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  /** What it has printed so far. */
  text: string;
  isOver: boolean;
}

/** A folder with its ports and its programs, and what runs there. */
interface Furnished {
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly open: Running[];
  rename(text: string): string;
}

/**
 * Ends the groups of processes in a file, and removes its folder, when its standard input ends: also where the test is
 * killed, whose own group does not have them.
 */
const WATCHDOG =
  'cat > /dev/null; for group in $(cat "$0/.groups"); do kill -9 -- "-$group" 2> /dev/null; done; rm -rf "$0"';

/** Runs `use` in a copy of the checkout, which is removed after it; what still runs there is ended. */
export async function withWorkshop(use: (workshop: Workshop) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-docs-"));
  const open: Running[] = [];
  await writeFile(join(folder, ".groups"), "");
  const watchdog = spawn("bash", ["-c", WATCHDOG, folder], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
  const removed = new Promise((resolve) => watchdog.once("close", resolve));
  try {
    const furnished = { folder, open, ...await furnish(folder) };
    const { rename } = furnished;
    await use({ folder, rename, run: (block) => runBlock(furnished, block) });
    for (const { block, isOver, text } of open) {
      if (isOver) throw new Error(`${block.place} was to stay open, and has ended:\n${text}`);
    }
  } finally {
    await endAll(open);
    await writeFile(join(folder, ".groups"), "");
    watchdog.stdin.end();
    await within(removed, `${folder} to be removed`);
  }
}

async function runBlock(furnished: Furnished, block: Block): Promise<void> {
  const { open, rename } = furnished;
  if (isMarked(block, "restart")) await endAll(open);
  const running = await start(furnished, block);
  open.push(running);
  const wanted = block.output?.map((line) => patternOf(rename(line)));
  if (isMarked(block, "stays open")) return await waitUntilReady(running, wanted);
  const code = await within(running.exit, `${block.place} to end`, LIMIT_MS);
  open.splice(open.indexOf(running), 1);
  const wantedCode = Number(/exits (\d+)/.exec(block.note)?.[1] ?? 0);
  if (code !== wantedCode) throw new Error(`${block.place} ended with ${code}:\n${running.text}`);
  const lines = withoutEmpty(running.text.split("\n"));
  const isShown = wanted === undefined ||
    (lines.length === wanted.length && wanted.every((pattern, index) => pattern.test(lines[index]!)));
  if (!isShown) throw differs(running);
}

/** Copies the checkout, and gives each port that the pages name another one. */
async function furnish(folder: string) {
  const ports = new Map<string, number>();
  for (const port of PORTS) ports.set(port, await findFreePort());
  const rename = (text: string) =>
    text.replaceAll(new RegExp(`\\b(?:${PORTS.join("|")})\\b`, "g"), (port) => `${ports.get(port)}`)
      .replaceAll("/tmp/", `${folder}/`);
  for (const name of CHECKOUT) await cp(ROOT + name, join(folder, name), { recursive: true });
  // What `npm ci` builds, by which `events-endpoint` is imported and run: `tsx` takes half a second of a core to start.
  await cp(join(await sharedPackage(), "dist"), join(folder, "dist"), { recursive: true });
  await symlink(`${ROOT}node_modules`, join(folder, "node_modules"));
  for (const entry of await readdir(join(folder, "examples"), { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(folder, "examples", entry.name);
    await writeFile(path, rename(await readFile(path, "utf8")));
  }
  const programs = join(folder, ".bin");
  await cp(`${ROOT}test/docs/bin`, programs, { recursive: true });
  for (const file of await readdir(programs)) await chmod(join(programs, file), 0o755);
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EVENTS_"));
  const path = `${programs}:${ROOT}test/runtimes/node_modules/.bin:${process.env["PATH"]}:/usr/sbin`;
  const env = {
    ...Object.fromEntries(inherited),
    PATH: path,
    REAL_PATH: process.env["PATH"]!,
    EVENTS_PORT: `${ports.get("8085")}`,
    EVENTS_LOG: "off",
    NO_COLOR: "1",
  };
  return { rename, env };
}

/** What needs a runtime that has SQLite, which the Node that runs the tests may be too old for. */
const NEEDS_SQLITE = /"events-endpoint\/sqlite"|--data /;

function programWithSqlite(): string {
  installRuntimes(["node24"]);
  return programOf("node24");
}

/** The file that a block of `ts` is saved as. */
export function fileOf({ place }: Block): string {
  return `${place.replaceAll(/\W+/g, "_")}.ts`;
}

async function start({ folder, env, rename }: Furnished, block: Block): Promise<Running> {
  const text = rename(block.text);
  const node = NEEDS_SQLITE.test(text) ? programWithSqlite() : process.execPath;
  let command = ["bash", "-e", "-c", text];
  if (block.language === "ts") {
    const file = fileOf(block).replace(/\.ts$/, ".mjs");
    await writeFile(join(folder, file), (await transform(text, { loader: "ts", target: "node20" })).code);
    command = [node, file];
  }
  // A group of its own: what it starts is ended with it.
  const child = spawn(command[0]!, command.slice(1), {
    cwd: folder,
    env: {
      ...env,
      PATH: env["PATH"]!.replace("/.bin:", `/.bin:${dirname(node)}:`),
      REAL_PATH: `${dirname(node)}:${env["REAL_PATH"]}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  appendFileSync(join(folder, ".groups"), `${child.pid}\n`);
  const exit = new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve)
  );
  const running: Running = { block, child, exit, text: "", isOver: false };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => running.text += text);
  }
  exit.then(() => running.isOver = true, () => running.isOver = true);
  return running;
}

/** Waits until a block that stays open has printed what its page shows; where it shows nothing, a line of its own. */
async function waitUntilReady(running: Running, wanted: readonly RegExp[] | undefined): Promise<void> {
  const isReady = () => {
    const lines = withoutEmpty(running.text.split("\n"));
    if (wanted === undefined) return lines.some((line) => !line.startsWith(">")); // npm repeats the command.
    let at = 0;
    for (const line of lines) if (at < wanted.length && wanted[at]!.test(line)) at++;
    return at === wanted.length;
  };
  await until(() => isReady() || running.isOver, `${running.block.place} shows what it should`, LIMIT_MS)
    .catch(() => {});
  if (!isReady()) throw differs(running);
}

function differs({ block, text }: Running): Error {
  const shown = block.output?.join("\n") ?? "(a line)";
  return new Error(`${block.place} prints something else\n--- the page\n${shown}\n--- printed\n${text}`);
}

/** What a line of output may look like: cursors and times are others at each run, and `…` stands for any text. */
function patternOf(line: string): RegExp {
  const parts = line.split(/("(?:last_)?id":"[^"]*"|"time":"[^"]*"|…)/);
  const patterns = parts.map((part) => {
    if (part === "…") return ".*";
    const key = /^"(id|last_id|time)":/.exec(part)?.[1];
    if (key === "time") return '"time":"[-\\dT:.]+Z"';
    const number = /-(\d+)"$/.exec(part)?.[1];
    if (key !== undefined && number !== undefined) return `"${key}":"[0-9a-z]+-${number}"`;
    return part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  });
  return new RegExp(`^${patterns.join("")}$`);
}

/** Ends what runs, with all that it has started. */
async function endAll(open: Running[]): Promise<void> {
  for (const { child, exit } of open.splice(0)) {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await within(exit, "a block to be ended");
  }
}
