/**
 * The watch folder: tells of every `.torrent` that appears in it, and sets aside those that are none.
 *
 * @module
 */
import { open, readdir, readFile, rename, stat, unlink } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { EventsError } from "../events/errors.ts";
import {
  codeOf,
  follow,
  type Found,
  isMissing,
  type Listing,
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
  /**
   * Told of each new torrent: the payload of `torrent_discovered`. `timestamp` is in unix seconds.
   *
   * Where it rejects with an `EventsError` that says "not now" (`ChannelUnavailable`, `PublishUnconfirmed`), the file is
   * not told, and a later scan tells of it again, by the same key.
   */
  onTorrent(
    torrent: {
      infohash: string;
      timestamp: number;
      name: string;
      files: [string, number][];
      trackers: string[];
      dispersy_cid: string;
    },
    key: string,
  ): unknown;
  /** Told of each corrupt file, likewise: the payload of `watch_folder_corrupt_torrent`, its base name as it was. */
  onCorrupt(corrupt: { name: string }, key: string): unknown;
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
  /** Corrupt files that were renamed, by path, and are yet to be told. */
  const untold = new Map<string, string>();
  const problems = problemTeller(report);

  async function scan(): Promise<void> {
    const listing = await listTorrents(folder, problems.tell);
    seen = follow(seen, listing);
    await lookThrough(listing);
    problems.endScan(seen);
  }

  /** Looks at each file, until one cannot be told now: neither could the others. */
  async function lookThrough({ files }: Listing): Promise<void> {
    for (const path of untold.keys()) if (closed || !await tellCorrupt(path)) return;
    for (const [path, found] of files) if (closed || !await look(path, found, seen.get(path)!)) return;
  }

  /** Whether what there was to tell was told. */
  async function look(path: string, found: Found, file: Seen): Promise<boolean> {
    const age = found.at - file.since;
    const due = age >= CORRUPT_AFTER;
    if (file.settled || age === 0 || (file.undecodable && !due)) return true;
    try {
      const torrent = found.size > MAX_SIZE ? undefined : await read(path);
      if (torrent === undefined && !due) file.undecodable = true;
      else if (torrent === undefined) return await corrupt(path, file);
      else if (await isUnchanged(path, file.stamp) && !closed) return await discovered(path, torrent, file);
    } catch (error) {
      // That it vanished is no problem: there is nothing left to tell.
      if (!isMissing(error)) problems.tell("read", path, error);
    }
    return true;
  }

  async function discovered(path: string, found: Torrent, file: Seen): Promise<boolean> {
    const { infohash, created, name, files, trackers } = found;
    if (infohash !== file.told) {
      const timestamp = created ?? Math.floor(Date.now() / 1000);
      const torrent = { infohash, timestamp, name, files, trackers, dispersy_cid: dispersyCid };
      file.key ??= crypto.randomUUID();
      const { key } = file;
      if (!await tell(path, "onTorrent", () => options.onTorrent(torrent, key))) return false;
      file.told = infohash;
    }
    file.settled = true;
    return true;
  }

  async function corrupt(path: string, file: Seen): Promise<boolean> {
    try {
      if (!await setAside(path, file.stamp)) return true;
    } catch (error) {
      if (isMissing(error)) throw error;
      problems.tell("rename", path, error);
    }
    file.settled = true;
    untold.set(path, crypto.randomUUID());
    return await tellCorrupt(path);
  }

  async function tellCorrupt(path: string): Promise<boolean> {
    const key = untold.get(path)!;
    const isTold = await tell(path, "onCorrupt", () => options.onCorrupt({ name: basename(path) }, key));
    if (isTold) untold.delete(path);
    return isTold;
  }

  /** Calls back. False where it is to be tried again; what failed for good is told as a problem. */
  async function tell(path: string, name: string, callback: () => unknown): Promise<boolean> {
    try {
      await callback();
    } catch (error) {
      if (isForNow(error)) {
        problems.tell("tell of", path, error);
        return false;
      }
      report(problemOf(`${name} failed`, error));
    }
    return true;
  }

  function report(problem: Error): void {
    // Where telling of a problem fails, nobody is left to tell.
    if (!closed) new Promise((resolve) => resolve(options.onProblem(problem))).catch(() => {});
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

/** Whether who refuses it may take it later. */
function isForNow(error: unknown): boolean {
  return error instanceof EventsError &&
    (error.code === "ChannelUnavailable" || error.code === "PublishUnconfirmed");
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
  const isOfSystem = codeOf(error)?.startsWith("E") === true;
  return new Error(`${what}: ${isOfSystem ? reason.split(", ")[0] : reason}`, { cause: error });
}
