/**
 * The watch folder: reports every `.torrent` that appears in it, and renames those that are corrupt.
 *
 * @module
 */
import { lstat, readdir, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { FileExaminer, type FileReports, isPartial } from "./file_examiner.ts";
import { createNotifications, type FolderNotifications } from "./folder_notifications.ts";
import { createProblemReporter, problemOf, type ProblemReporter } from "./folder_problems.ts";
import {
  FileMemory,
  forget,
  isMissing,
  isOfInterest,
  type Listing,
  scanFile,
  scanFolder,
} from "./folder_scan.ts";

/** Options of {@linkcode watchFolder}. */
export interface WatchFolderOptions extends FileReports {
  /** The folder; its sub-folders are watched as well, folders behind symbolic links are not. */
  folder: string;
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
  readonly #problems: ProblemReporter;
  readonly #notifications: FolderNotifications;
  readonly #examiner: FileExaminer;
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
    this.#examiner = new FileExaminer({
      ...options,
      memory: this.#memory,
      files: this.#listing.files,
      problems: this.#problems,
      report: (problem) => this.#report(problem),
      isClosed: () => this.#closed,
    });
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
    const isBusy = this.#changed.size > 0 || this.#examiner.hasUnreported || this.#listing.unread.size > 0 ||
      this.#memory.unsettled().length > 0;
    const untilSweep = Math.max(this.#sweepDue - performance.now(), 0);
    const ms = isBusy ? this.#options.interval : Math.max(untilSweep, this.#options.interval);
    this.#timer = setTimeout(() => this.#running = this.#run(), ms);
  }

  async #scan(): Promise<void> {
    const isSweep = performance.now() >= this.#sweepDue;
    if (isSweep) await this.#sweep();
    else await this.#lookAgain();
    this.#memory.update(this.#listing);
    await this.#examiner.examineAll();
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
    const paths = new Set([...this.#changed, ...this.#listing.unread, ...this.#memory.unsettled()]);
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

  #report(problem: Error): void {
    // If reporting a problem fails, there is nowhere to report that.
    if (!this.#closed) new Promise((resolve) => resolve(this.#options.onProblem(problem))).catch(() => {});
  }
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
