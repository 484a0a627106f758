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

export type Told = Parameters<WatchFolderOptions["onTorrent"]>[0];

export interface Watched {
  folder: string;
  torrents: Told[];
  corrupt: string[];
  problems: string[];
  watch: WatchFolder;
  /** Names of the torrents told, sorted, without those of `scansPass`. */
  names(): string[];
  /** Two torrents came and were told, one after the other: what had to be seen in the meantime was seen. */
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
  const [torrents, corrupt, problems]: [Told[], string[], string[]] = [[], [], []];
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
      names: () => torrents.map((told) => told.name).filter((name) => !name.startsWith("pass ")).sort(),
      async scansPass() {
        for (let i = 0; i < 2; i++) {
          const name = `pass ${passes++}`;
          await writeFile(join(options.folder ?? folder, `${name}.torrent`), torrentNamed(name));
          await until(() => torrents.some((told) => told.name === name), `${name} is told`);
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

/** Runs `change` whenever a file with this string in it is decoded: between being read and being judged. */
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
