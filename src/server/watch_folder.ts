/**
 * The watch folder: reports every `.torrent` that appears in it, and renames those that are corrupt.
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
  type ReportProblem,
  type Seen,
  stampOf,
} from "./folder_scan.ts";
import { readTorrent, type Torrent } from "./torrent.ts";

/** Options of {@linkcode watchFolder}. */
export interface WatchFolderOptions {
  /** The folder; its sub-folders are watched as well, folders behind symbolic links are not. */
  folder: string;
  /**
   * Called with each new torrent: the payload of `torrent_discovered`. `timestamp` is in unix seconds.
   *
   * If it rejects with an `EventsError` that is temporary (`ChannelUnavailable`, `PublishUnconfirmed`), a later scan calls it
   * again for that file, with the same key.
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
  /** Called with each corrupt file, likewise: the payload of `watch_folder_corrupt_torrent`, its base name as it was. */
  onCorrupt(corrupt: { name: string }, key: string): unknown;
  /**
   * Called with problems that do not stop the watch: a file or folder that cannot be read, a file that cannot be renamed (once
   * each, and again only for another reason), a callback that threw.
   */
  onProblem(problem: Error): void;
  /** The channel that the torrents are reported to belong to: 40 lower-case hexadecimal digits. Default: 40 zeros. */
  dispersyCid?: string;
  /** Milliseconds from the end of a scan to the start of the next, 1 to 2^31 - 1. Default: 500. */
  interval?: number;
  /** Milliseconds without a change after which a file that is no torrent counts as corrupt. Default: 2000. */
  corruptAfter?: number;
}

/** A running watch. */
export interface WatchFolder {
  /** Ends the watch. When it resolves, no timer and no scan is left, and nothing more is reported. */
  close(): Promise<void>;
}

/** A program that writes a file in portions may pause between them, and renaming a file that is still being written spoils it. */
const DEFAULT_CORRUPT_AFTER_MS = 2_000;

/** Torrents of a million pieces stay below 32 MiB: a larger file is of some other kind. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * Watches a folder for `.torrent` files (in upper or lower case) by scanning it again and again, and reports each file once,
 * those included that are there already. A file is read once it has not changed from one scan to the next. One that is not a
 * torrent, and stays so for `corruptAfter`, is renamed to `NAME.torrent.corrupt`, or if that exists to `NAME.torrent.corrupt.1`
 * and so on.
 *
 * A file that was moved within the folder, or written anew with the same torrent, is not reported again.
 *
 * @throws {Error} if the folder does not exist, is not a folder or cannot be read
 * @throws {RangeError} if `interval`, `corruptAfter` or `dispersyCid` is not valid
 */
export async function watchFolder(options: WatchFolderOptions): Promise<WatchFolder> {
  const { interval = 500, corruptAfter = DEFAULT_CORRUPT_AFTER_MS, dispersyCid = "0".repeat(40) } = options;
  if (!(interval >= 1 && interval < 2 ** 31)) {
    throw new RangeError(`the scan interval must be 1 to 2147483647 ms, not ${interval}`);
  }
  if (!(corruptAfter >= 0 && corruptAfter < 2 ** 31)) {
    throw new RangeError(`corruptAfter must be 0 to 2147483647 ms, not ${corruptAfter}`);
  }
  if (!/^[0-9a-f]{40}$/.test(dispersyCid)) {
    throw new RangeError(`dispersyCid must be 40 lower-case hexadecimal digits, not "${dispersyCid}"`);
  }
  await checkFolder(options.folder);
  const folder = resolve(options.folder); // The working directory may change, the folder may not.

  const watch = new FolderWatch({ ...options, folder, interval, corruptAfter, dispersyCid });
  return { close: () => watch.close() };
}

/** A folder that is scanned again and again. */
class FolderWatch {
  readonly #options: Required<WatchFolderOptions>;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seen: ReadonlyMap<string, Seen> = new Map();
  /** Corrupt files that were renamed and are still to be reported, by path, with the key of the report. */
  readonly #unreported = new Map<string, string>();
  readonly #problems: ProblemReporter;
  #running: Promise<void>;

  constructor(options: Required<WatchFolderOptions>) {
    this.#options = options;
    this.#problems = createProblemReporter((problem) => this.#report(problem));
    this.#running = this.#run();
  }

  /** Stops scanning. Resolves when the scan under way has ended; it reports nothing more. */
  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    return this.#running;
  }

  async #scan(): Promise<void> {
    const listing = await listTorrents(
      this.#options.folder,
      (action, path, error) => this.#problems.report(action, path, error),
    );
    this.#seen = follow(this.#seen, listing);
    await this.#lookThrough(listing);
    this.#problems.endScan(this.#seen);
  }

  /** Examines each file, until one cannot be reported now: neither could the others. */
  async #lookThrough({ files }: Listing): Promise<void> {
    for (const path of this.#unreported.keys()) if (this.#closed || !await this.#reportCorrupt(path)) return;
    for (const [path, found] of files) {
      if (this.#closed || !await this.#look(path, found, this.#seen.get(path)!)) return;
    }
  }

  /** Examines a file. Returns `false` if it cannot be reported now. */
  async #look(path: string, found: Found, file: Seen): Promise<boolean> {
    const age = found.at - file.since;
    const due = age >= this.#options.corruptAfter;
    if (file.settled || age === 0 || (file.undecodable && !due)) return true;
    try {
      const torrent = found.size > MAX_FILE_BYTES ? undefined : await read(path);
      if (torrent === undefined && !due) file.undecodable = true;
      else if (torrent === undefined) return await this.#corrupt(path, file);
      else if (await isUnchanged(path, file.stamp) && !this.#closed) {
        return await this.#discovered(path, torrent, file);
      }
    } catch (error) {
      // A file that vanished is no problem: there is nothing to report.
      if (!isMissing(error)) this.#problems.report("read", path, error);
    }
    return true;
  }

  async #discovered(path: string, found: Torrent, file: Seen): Promise<boolean> {
    const { infohash, created, name, files, trackers } = found;
    if (infohash !== file.reported) {
      const timestamp = created ?? Math.floor(Date.now() / 1000);
      const torrent = { infohash, timestamp, name, files, trackers, dispersy_cid: this.#options.dispersyCid };
      file.key ??= crypto.randomUUID();
      const { key } = file;
      if (!await this.#notify(path, "onTorrent", () => this.#options.onTorrent(torrent, key))) return false;
      file.reported = infohash;
    }
    file.settled = true;
    return true;
  }

  async #corrupt(path: string, file: Seen): Promise<boolean> {
    try {
      if (!await setAside(path, file.stamp)) return true;
    } catch (error) {
      if (isMissing(error)) throw error;
      this.#problems.report("rename", path, error);
    }
    file.settled = true;
    this.#unreported.set(path, crypto.randomUUID());
    return await this.#reportCorrupt(path);
  }

  async #reportCorrupt(path: string): Promise<boolean> {
    const key = this.#unreported.get(path)!;
    const isTold = await this.#notify(
      path,
      "onCorrupt",
      () => this.#options.onCorrupt({ name: basename(path) }, key),
    );
    if (isTold) this.#unreported.delete(path);
    return isTold;
  }

  /** Calls back. Returns `false` if it is to be retried; a permanent failure is reported as a problem. */
  async #notify(path: string, name: string, callback: () => unknown): Promise<boolean> {
    try {
      await callback();
    } catch (error) {
      if (isForNow(error)) {
        this.#problems.report("report", path, error);
        return false;
      }
      this.#report(problemOf(`${name} failed`, error));
    }
    return true;
  }

  #report(problem: Error): void {
    // If reporting a problem fails, there is nowhere to report that.
    if (!this.#closed) new Promise((resolve) => resolve(this.#options.onProblem(problem))).catch(() => {});
  }

  async #run(): Promise<void> {
    await this.#scan().catch((error: unknown) => this.#report(problemOf("a scan failed", error)));
    if (!this.#closed) this.#timer = setTimeout(() => this.#running = this.#run(), this.#options.interval);
  }
}

/** Whether the channel may accept it later. */
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

/** Renames a corrupt file to the first name that is free. Returns `false` if the file changed meanwhile. */
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

/** Reserves a name with an empty file: a rename overwrites, and a free name may not stay free. */
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

interface ProblemReporter {
  /** Reports what could not be done, once. */
  report: ReportProblem;
  /** Drops the problems that did not occur in this scan, except those of files that are still there. */
  endScan(files: { has(path: string): boolean }): void;
}

function createProblemReporter(report: (problem: Error) => void): ProblemReporter {
  const reported = new Map<string, string>(); // key to path
  const current = new Set<string>();
  return {
    report(action, path, error) {
      const key = JSON.stringify([action, path, codeOf(error) ?? String(error)]);
      current.add(key);
      if (reported.has(key)) return;
      reported.set(key, path);
      report(problemOf(`cannot ${action} ${JSON.stringify(path)}`, error));
    },
    endScan(files) {
      for (const [key, path] of reported) if (!current.has(key) && !files.has(path)) reported.delete(key);
      current.clear();
    },
  };
}

function problemOf(what: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  // System errors end in `, open '/the/path'`, which is named already and may contain line breaks.
  const isOfSystem = codeOf(error)?.startsWith("E") === true;
  return new Error(`${what}: ${isOfSystem ? reason.split(", ")[0] : reason}`, { cause: error });
}
