/**
 * A watched folder of its own for each test.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type WatchFolder, watchFolder, type WatchFolderOptions } from "../../src/server/watch_folder.ts";
import { until } from "../support/harness.ts";
import { torrentNamed } from "./torrents.ts";

// Timers of the tests themselves, out of reach of the test that counts those of the watch.
const startTimer = globalThis.setTimeout;

/** What `onTorrent` is called with. */
export type Reported = Parameters<WatchFolderOptions["onTorrent"]>[0];

export interface Watched {
  folder: string;
  torrents: Reported[];
  corrupt: string[];
  problems: string[];
  watch: WatchFolder;
  /** The names of the reported torrents, sorted, without those of `scansPass`. */
  names(): string[];
  /** Adds two torrents and waits for the report of each: whatever lay in the folder before was scanned meanwhile. */
  scansPass(): Promise<void>;
  path(...parts: string[]): string;
}

export interface Setting extends Partial<Omit<WatchFolderOptions, "interval">> {
  /** Milliseconds; 20 where missing. */
  interval?: number | "default";
  /** Fills the folder before the watch starts. */
  before?(folder: string): Promise<void>;
}

export async function watched(setting: Setting, body: (watched: Watched) => Promise<void>): Promise<void> {
  const { before, interval = 20, ...options } = setting;
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  const [torrents, corrupt, problems]: [Reported[], string[], string[]] = [[], [], []];
  let watch: WatchFolder | undefined;
  let passes = 0;
  try {
    await before?.(folder);
    watch = await watchFolder({
      folder,
      ...(interval !== "default" && { interval }),
      onTorrent: (torrent) => void torrents.push(torrent),
      onCorrupt: ({ name }) => void corrupt.push(name),
      onProblem: (problem) => void problems.push(problem.message),
      ...options,
    });
    await body({
      folder,
      torrents,
      corrupt,
      problems,
      watch,
      names: () => torrents.map(({ name }) => name).filter((name) => !name.startsWith("pass ")).sort(),
      async scansPass() {
        for (let i = 0; i < 2; i++) {
          const name = `pass ${passes++}`;
          await writeFile(join(options.folder ?? folder, `${name}.torrent`), torrentNamed(name));
          await until(() => torrents.some((torrent) => torrent.name === name), `${name} is reported`);
        }
      },
      path: (...parts) => join(folder, ...parts),
    });
  } finally {
    await watch?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, ms));
}

export async function contentOf(path: string): Promise<string | undefined> {
  return await readFile(path, "latin1").catch(() => undefined);
}

/** Calls `change` whenever a file that contains this string is decoded: after it was read, and before it is reported. */
export async function whileDecoding(
  marker: string,
  change: () => void,
  body: () => Promise<void>,
): Promise<void> {
  // A string of the file is a part of its bytes, which are a Buffer on some runtimes.
  const prototypes: { subarray: Uint8Array["subarray"] }[] = [Object.getPrototypeOf(Uint8Array.prototype)];
  if (Object.hasOwn(Buffer.prototype, "subarray")) prototypes.push(Buffer.prototype);
  const originals = prototypes.map(({ subarray }) => subarray);
  let isLooking = false; // What looks at the bytes takes parts of them itself.
  for (const [i, prototype] of prototypes.entries()) {
    prototype.subarray = function (this: Uint8Array, ...range) {
      const bytes = originals[i]!.apply(this, range) as ReturnType<Uint8Array["subarray"]>;
      if (isLooking || bytes.length !== marker.length || this.length === bytes.length) return bytes;
      isLooking = true;
      const isFound = new TextDecoder().decode(bytes) === marker;
      if (isFound) change();
      isLooking = false;
      return bytes;
    };
  }
  try {
    await body();
  } finally {
    for (const [i, prototype] of prototypes.entries()) prototype.subarray = originals[i]!;
  }
}
