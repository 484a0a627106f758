/**
 * The watch folder: tells of every `.torrent` that appears in it, and sets aside those that are none.
 *
 * @module
 */
import { open, readdir, readFile, rename, stat, unlink } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
  codeOf,
  follow,
  type Found,
  isMissing,
  listTorrents,
  type Seen,
  stampOf,
  type TellProblem,
} from "./folder_scan.ts";
import { readTorrent, type Torrent } from "./torrent.ts";

/** What to watch, and whom to tell. */
export interface WatchFolderOptions {
  /** The folder; its sub-folders are watched as well, folders behind symbolic links are not. */
  folder: string;
  /** Told of each new torrent: the payload of `torrent_discovered`. `timestamp` is in unix seconds. */
  onTorrent(torrent: {
    infohash: string;
    timestamp: number;
    name: string;
    files: [string, number][];
    trackers: string[];
    dispersy_cid: string;
  }): void;
  /** Told of each corrupt file: the payload of `watch_folder_corrupt_torrent`, its base name as it was. */
  onCorrupt(corrupt: { name: string }): void;
  /**
   * Told what went wrong without stopping the watch: a file or folder that cannot be read, a file that cannot
   * be renamed (once each, and again only for another reason), a callback that threw.
   */
  onProblem(problem: Error): void;
  /** The channel the torrents are said to be of: 40 lower-case hexadecimal digits. Default: 40 zeros. */
  dispersyCid?: string;
  /** Milliseconds from the end of a scan to the start of the next, 1 to 2^31 - 1. Default: 500. */
  interval?: number;
}

/** A running watch. */
export interface WatchFolder {
  /** Ends the watch. Once it resolves no timer and no scan is left, and nothing more is told. */
  close(): Promise<void>;
}

// Programs that write a file in portions may pause between two of them. Nobody is in a hurry to learn that a
// file is corrupt, but renaming one that is still being written spoils it.
const CORRUPT_AFTER = 2_000; // milliseconds

// Torrents of a million pieces stay below 32 MiB: anything above is some other kind of file.
const MAX_SIZE = 64 * 1024 * 1024; // bytes

/**
 * Watches a folder for `.torrent` files (in any case) by scanning it again and again, and tells of each file
 * once, also of those that are there already. A file is read once it stayed as it is from one scan to the
 * next. One that is not a torrent, and stays so for two seconds, is renamed to `NAME.torrent.corrupt`, or
 * where that exists to `NAME.torrent.corrupt.1` and so on.
 *
 * A file that was moved within the folder, or written anew with the same torrent, is not told again.
 *
 * @throws {Error} where the folder does not exist, is not a folder or cannot be read
 * @throws {RangeError} where `interval` or `dispersyCid` is not what it must be
 */
export async function watchFolder(options: WatchFolderOptions): Promise<WatchFolder> {
  const { interval = 500, dispersyCid = "0".repeat(40) } = options;
  if (!(interval >= 1 && interval < 2 ** 31)) {
    throw new RangeError(`the scan interval must be 1 to 2147483647 ms, not ${interval}`);
  }
  if (!/^[0-9a-f]{40}$/.test(dispersyCid)) {
    throw new RangeError(`dispersyCid must be 40 lower-case hexadecimal digits, not "${dispersyCid}"`);
  }
  await checkFolder(options.folder);
  const folder = resolve(options.folder); // the working directory may change, the folder may not

  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let seen: ReadonlyMap<string, Seen> = new Map();
  const problems = problemTeller(report);

  async function scan(): Promise<void> {
    const listing = await listTorrents(folder, problems.tell);
    seen = follow(seen, listing);
    for (const [path, found] of listing.files) {
      if (closed) return;
      await look(path, found, seen.get(path)!);
    }
    problems.endScan(seen);
  }

  async function look(path: string, found: Found, file: Seen): Promise<void> {
    const age = found.at - file.since;
    const due = age >= CORRUPT_AFTER;
    if (file.settled || age === 0 || (file.undecodable && !due)) return;
    try {
      const torrent = found.size > MAX_SIZE ? undefined : await read(path);
      if (torrent === undefined && !due) file.undecodable = true;
      else if (torrent === undefined) await corrupt(path, file);
      else if (await isUnchanged(path, file.stamp) && !closed) discovered(torrent, file);
    } catch (error) {
      // That it vanished is no problem: there is nothing left to tell.
      if (!isMissing(error)) problems.tell("read", path, error);
    }
  }

  function discovered({ infohash, created, name, files, trackers }: Torrent, file: Seen): void {
    file.settled = true;
    if (infohash === file.told) return;
    file.told = infohash;
    const timestamp = created ?? Math.floor(Date.now() / 1000);
    const torrent = { infohash, timestamp, name, files, trackers, dispersy_cid: dispersyCid };
    call(() => options.onTorrent(torrent), (error) => report(problemOf("onTorrent failed", error)));
  }

  async function corrupt(path: string, file: Seen): Promise<void> {
    try {
      if (!await setAside(path, file.stamp)) return;
    } catch (error) {
      if (isMissing(error)) throw error;
      problems.tell("rename", path, error);
    }
    file.settled = true;
    call(
      () => options.onCorrupt({ name: basename(path) }),
      (error) => report(problemOf("onCorrupt failed", error)),
    );
  }

  function report(problem: Error): void {
    // Where telling of a problem fails, nobody is left to tell.
    if (!closed) call(() => options.onProblem(problem), () => {});
  }

  async function run(): Promise<void> {
    await scan().catch((error: unknown) => report(problemOf("a scan failed", error)));
    if (!closed) timer = setTimeout(() => running = run(), interval);
  }

  let running = run();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      return running;
    },
  };
}

async function checkFolder(folder: string): Promise<void> {
  const what = `the watch folder ${JSON.stringify(folder)}`;
  const isFolder = await stat(folder).then((stats) => stats.isDirectory()).catch((error: unknown) => {
    throw isMissing(error) ? new Error(`${what} does not exist`) : problemOf(`${what} cannot be read`, error);
  });
  if (!isFolder) throw new Error(`${what} is not a folder`);
  await readdir(folder).catch((error: unknown) => {
    throw problemOf(`${what} cannot be read`, error);
  });
}

async function read(path: string): Promise<Torrent | undefined> {
  const bytes = await readFile(path);
  return await readTorrent(bytes).catch(() => undefined);
}

async function isUnchanged(path: string, stamp: string): Promise<boolean> {
  return stampOf(await stat(path, { bigint: true })) === stamp;
}

/** Renames a corrupt file to the first name that is free. False where the file changed meanwhile. */
async function setAside(path: string, stamp: string): Promise<boolean> {
  const target = await reserve(`${path}.corrupt`);
  try {
    const unchanged = await isUnchanged(path, stamp);
    if (unchanged) await rename(path, target);
    else await unlink(target);
    return unchanged;
  } catch (error) {
    await unlink(target).catch(() => {});
    throw error;
  }
}

/** Takes a name with an empty file: a rename overwrites, and a name that is merely free may not stay so. */
async function reserve(name: string): Promise<string> {
  for (let number = 0;; number++) {
    const candidate = number === 0 ? name : `${name}.${number}`;
    try {
      await (await open(candidate, "wx")).close();
      return candidate;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}

interface ProblemTeller {
  /** Tells of what could not be done, unless it was told already. */
  tell: TellProblem;
  /** Forgets the problems that did not show up in this scan, but for those of files that are still there. */
  endScan(files: { has(path: string): boolean }): void;
}

function problemTeller(report: (problem: Error) => void): ProblemTeller {
  const told = new Map<string, string>(); // key to path
  const current = new Set<string>();
  return {
    tell(action, path, error) {
      const key = JSON.stringify([action, path, codeOf(error) ?? String(error)]);
      current.add(key);
      if (told.has(key)) return;
      told.set(key, path);
      report(problemOf(`cannot ${action} ${JSON.stringify(path)}`, error));
    },
    endScan(files) {
      for (const [key, path] of told) if (!current.has(key) && !files.has(path)) told.delete(key);
      current.clear();
    },
  };
}

function problemOf(what: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  // System errors end in `, open '/the/path'`: it is named already, and may hold line breaks.
  return new Error(`${what}: ${codeOf(error) ? reason.split(", ")[0] : reason}`, { cause: error });
}

/** Calls back now, and catches what is thrown, or rejected by an async function given as a callback. */
function call(callback: () => unknown, failed: (error: unknown) => void): void {
  new Promise((resolve) => resolve(callback())).catch(failed);
}
