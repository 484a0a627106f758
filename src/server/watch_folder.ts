/**
 * The watch folder: reports every `.torrent` that appears in it, and renames those that are corrupt.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { lstat, readdir, readFile, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { EventsError } from "../events/errors.ts";
import { createNotifications, type FolderNotifications } from "./folder_notifications.ts";
import {
  codeOf,
  FileMemory,
  forget,
  type Found,
  isMissing,
  isOfInterest,
  isSetAside,
  type Listing,
  type ReportProblem,
  scanFile,
  scanFolder,
  type Seen,
} from "./folder_scan.ts";
import { isUnchanged, putBack, setAside } from "./set_aside.ts";
import { MAX_TORRENT_BYTES, readTorrent, type Torrent } from "./torrent.ts";
import { TorrentError, TorrentTooLarge } from "./torrent_errors.ts";

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
      infohash_v2?: string;
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
  /**
   * Milliseconds from a change to the look at it, and from one look to the next until a file has come to rest: 1 to
   * 2^31 - 1. Default: 500.
   */
  interval?: number;
  /** Milliseconds without a change after which a file that is no torrent counts as corrupt. Default: 30 000. */
  corruptAfter?: number;
}

/** A running watch. */
export interface WatchFolder {
  /** Ends the watch. When it resolves, no timer and no scan is left, and nothing more is reported. */
  close(): Promise<void>;
}

/** Longer than programs pause that write a file in portions: renaming a file that is still being written spoils it. */
const DEFAULT_CORRUPT_AFTER_MS = 30_000;

/**
 * Watches a folder for `.torrent` files (in upper or lower case), and reports each file once, those included that are there
 * already. A file is read once it has not changed for an interval. A file that was moved within the folder, or written anew
 * with the same torrent, is not reported again.
 *
 * One that is no torrent, and stays so for `corruptAfter`, is renamed to `NAME.torrent.corrupt`, or if that exists to
 * `NAME.torrent.corrupt.1` and so on; if it changes later and is a torrent then, it gets its name again and is reported. Never
 * renamed are files that are empty or hidden, those that a program still writes (`.part`, `.crdownload` or `.!qB` beside
 * them), and those that are too large to be read.
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

/** The most that looking through the whole folder may cost, as a part of a core. */
const SWEEP_SHARE = 0.01;
/** The least number of milliseconds between two looks through the whole folder while notifications work. */
const SWEEP_INTERVAL_MS = 5_000;

/**
 * A folder that is watched. Notifications say what to look at; files that have not come to rest are looked at again and
 * again; and from time to time the whole folder is, because some file systems notify of nothing.
 */
class FolderWatch {
  readonly #options: Required<WatchFolderOptions>;
  readonly #memory = new FileMemory();
  readonly #listing: Listing = { files: new Map(), unread: new Set() };
  /** Corrupt files that were renamed and are still to be reported, by path, with the key of the report. */
  readonly #unreported = new Map<string, string>();
  readonly #problems: ProblemReporter;
  readonly #notifications: FolderNotifications;
  /** What may have changed since the last look. */
  readonly #changed = new Set<string>();
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the whole folder is looked through next, in milliseconds of the monotonic clock. */
  #sweepDue = 0;
  #isScanning = false;
  #running: Promise<void>;

  constructor(options: Required<WatchFolderOptions>) {
    this.#options = options;
    this.#problems = createProblemReporter((problem) => this.#report(problem));
    this.#notifications = createNotifications((path, isReplaced) => this.#onChange(path, isReplaced));
    this.#running = this.#run();
  }

  /** Stops watching. Resolves when the scan under way has ended; it reports nothing more. */
  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#notifications.close();
    return this.#running;
  }

  #onChange(path: string | undefined, isReplaced: boolean): void {
    if (this.#closed) return;
    if (path === undefined) this.#sweepDue = 0;
    else if (isReplaced && this.#notifications.has(path)) {
      // The folder is gone, and another one may have its name, which the watchers of the old one do not see.
      this.#notifications.drop(path);
      this.#sweepDue = 0;
      this.#changed.add(path);
    } else if (isReplaced || isOfInterest(path) || !/\.[^./]+$/.test(path) || isPartial(path)) {
      this.#changed.add(path); // What has appeared may be a folder, whatever its name is.
    } else return; // A file of some other kind is written.
    if (!this.#isScanning) this.#schedule();
  }

  async #run(): Promise<void> {
    this.#isScanning = true;
    try {
      await this.#scan();
    } catch (error) {
      this.#report(problemOf("a scan failed", error));
    }
    this.#isScanning = false;
    this.#schedule();
  }

  /** Starts the timer of the next scan. */
  #schedule(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const isBusy = this.#changed.size > 0 || this.#unreported.size > 0 || this.#listing.unread.size > 0 ||
      this.#unsettled().length > 0;
    const untilSweep = Math.max(this.#sweepDue - performance.now(), 0);
    const ms = isBusy ? this.#options.interval : Math.max(untilSweep, this.#options.interval);
    this.#timer = setTimeout(() => this.#running = this.#run(), ms);
  }

  async #scan(): Promise<void> {
    const isSweep = performance.now() >= this.#sweepDue;
    if (isSweep) await this.#sweep();
    else await this.#lookAgain();
    this.#memory.update(this.#listing);
    await this.#examineAll();
    if (isSweep) this.#problems.endSweep(this.#listing.files);
  }

  /** Looks through the whole folder. */
  async #sweep(): Promise<void> {
    const start = performance.now();
    this.#changed.clear();
    const listing: Listing = { files: new Map(), unread: new Set() };
    const folders = await this.#scanFolder(this.#options.folder, listing);
    this.#notifications.keep(folders);
    this.#replaceListing(listing);
    const { interval, folder } = this.#options;
    const end = performance.now();
    const cost = (end - start) / SWEEP_SHARE;
    // A folder that is away may come back as another one, which no watcher sees.
    const isWatched = this.#notifications.isComplete && folders.has(folder);
    if (!folders.has(folder) && !listing.unread.has(folder)) this.#memory.clear(); // It is gone, with all that was in it.
    this.#sweepDue = end + Math.max(isWatched ? SWEEP_INTERVAL_MS : interval, cost);
  }

  #replaceListing({ files, unread }: Listing): void {
    this.#listing.files.clear();
    for (const [path, found] of files) this.#listing.files.set(path, found);
    this.#listing.unread.clear();
    for (const path of unread) this.#listing.unread.add(path);
  }

  /** Looks at what may have changed, and at what has not come to rest. */
  async #lookAgain(): Promise<void> {
    const paths = new Set([...this.#changed, ...this.#listing.unread, ...this.#unsettled()]);
    this.#changed.clear();
    for (const path of paths) {
      const stats = await lstat(path).catch(() => undefined);
      if (stats?.isDirectory()) {
        forget(this.#listing, path);
        await this.#scanFolder(path, this.#listing);
      } else if (stats === undefined && this.#notifications.has(path)) {
        this.#sweepDue = 0; // A folder is gone, with all that was in it.
      } else if (isOfInterest(path)) {
        await scanFile(path, this.#listing, this.#problems.report, stats?.isSymbolicLink() === true);
      }
    }
  }

  /** Looks through a folder, and watches it and its sub-folders from now on. Returns those that could be read. */
  #scanFolder(folder: string, listing: Listing): Promise<ReadonlySet<string>> {
    return scanFolder(folder, listing, {
      report: this.#problems.report,
      onFolder: (folder) => {
        if (!this.#closed && !this.#notifications.has(folder)) this.#notifications.add(folder);
      },
    });
  }

  /** The paths of files with which something is still to be done. */
  #unsettled(): string[] {
    return [...this.#memory.seen].filter(([, { settled }]) => !settled).map(([path]) => path);
  }

  /** Examines each file that has come to rest, until one cannot be reported now: neither could the others. */
  async #examineAll(): Promise<void> {
    for (const path of this.#unreported.keys()) if (this.#closed || !await this.#reportCorrupt(path)) return;
    for (const path of this.#unsettled()) {
      const found = this.#listing.files.get(path);
      if (found === undefined) continue; // It cannot be read at the moment.
      if (this.#closed || !await this.#examine(path, found, this.#memory.seen.get(path)!)) return;
    }
  }

  /** Examines a file. Returns `false` if it cannot be reported now. */
  async #examine(path: string, found: Found, file: Seen): Promise<boolean> {
    const age = found.at - file.since;
    const isDue = age >= this.#options.corruptAfter && !this.#isBeingWritten(path);
    if (age === 0 || (file.undecodable && !isDue)) return true;
    try {
      const torrent = await read(path, found.size);
      if (torrent !== undefined) {
        if (!await isUnchanged(path, file.stamp) || this.#closed) return true;
        return await this.#discovered(path, torrent, file);
      }
      file.undecodable = true;
      if (isDue && isSetAside(path)) file.settled = true;
      else if (isDue) return await this.#corrupt(path, file);
      else if (mayBePlaceholder(path, found.size)) file.settled = true; // Until it changes.
    } catch (error) {
      // A file that vanished is no problem: there is nothing to report.
      if (isMissing(error)) return true;
      this.#problems.report("read", path, error);
      if (error instanceof TorrentTooLarge) file.settled = true;
    }
    return true;
  }

  /** Whether a file may become a torrent yet: it is empty or hidden, or a program writes it under another name. */
  #isBeingWritten(path: string): boolean {
    const found = this.#listing.files.get(path);
    if (found === undefined || mayBePlaceholder(path, found.size)) return true;
    return PARTIAL_SUFFIXES.some((suffix) => existsSync(path + suffix));
  }

  async #discovered(path: string, found: Torrent, file: Seen): Promise<boolean> {
    const { infohash, infohashV2, created, name, files, trackers } = found;
    const known = file.report?.infohash === infohash
      ? file.report
      : await this.#memory.findMoved(file, infohash, isThere);
    const report = known ?? { infohash, key: crypto.randomUUID(), isDone: false };
    this.#memory.setReport(path, file, report);
    if (!report.isDone) {
      const torrent = {
        infohash,
        ...(infohashV2 !== undefined && { infohash_v2: infohashV2 }),
        timestamp: created ?? Math.floor(Date.now() / 1000),
        name,
        files,
        trackers,
        dispersy_cid: this.#options.dispersyCid,
      };
      const { key } = report;
      if (!await this.#notify(path, "onTorrent", () => this.#options.onTorrent(torrent, key))) return false;
      report.isDone = true;
    }
    file.settled = true;
    if (isSetAside(path)) await this.#restore(path, file);
    return true;
  }

  /** Gives a file that was set aside, and is a torrent after all, its name again, if that is free. */
  async #restore(path: string, file: Seen): Promise<void> {
    try {
      const name = await putBack(path);
      if (name === undefined) return;
      this.#memory.set(name, file);
      this.#memory.seen.delete(path);
    } catch (error) {
      this.#problems.report("rename", path, error);
    }
  }

  async #corrupt(path: string, file: Seen): Promise<boolean> {
    try {
      const aside = await setAside(path, file.stamp);
      if (aside === undefined) return true;
      this.#memory.set(aside, { ...file, settled: true });
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
    const isReported = await this.#notify(
      path,
      "onCorrupt",
      () => this.#options.onCorrupt({ name: basename(path) }, key),
    );
    if (isReported) this.#unreported.delete(path);
    return isReported;
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
}

/** What browsers and BitTorrent clients add to the name of a file that they still write. */
const PARTIAL_SUFFIXES: readonly string[] = [".part", ".crdownload", ".!qB"];

function isPartial(path: string): boolean {
  return PARTIAL_SUFFIXES.some((suffix) => path.endsWith(suffix));
}

/** Whether a file is no torrent for a good reason: some programs put an empty one in place first, others hide notes of theirs. */
function mayBePlaceholder(path: string, size: bigint): boolean {
  return size === 0n || basename(path).startsWith(".");
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(() => true, (error: unknown) => !isMissing(error));
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

/** Reads a file; `undefined` if it is no torrent. */
async function read(path: string, size: bigint): Promise<Torrent | undefined> {
  if (size > MAX_TORRENT_BYTES) throw new TorrentTooLarge(`it has more than ${MAX_TORRENT_BYTES} bytes`);
  const bytes = await readFile(path);
  try {
    return await readTorrent(bytes);
  } catch (error) {
    if (error instanceof TorrentError) return undefined;
    throw error;
  }
}

interface ProblemReporter {
  /** Reports what could not be done, once. */
  report: ReportProblem;
  /** Drops the problems that did not occur since the last sweep, except those of files that are still there. */
  endSweep(files: { has(path: string): boolean }): void;
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
    endSweep(files) {
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
