/**
 * Looking at a folder: which `.torrent` files are there, and what is remembered of each.
 *
 * @module
 */
import type { BigIntStats, Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, sep } from "node:path";

/** A file as it was found. */
export interface Found {
  /** As long as it is the same, so is the content of the file, unless another one took its place. */
  readonly stamp: string;
  /** Which file it is; empty where the file system has no inodes. */
  readonly inode: string;
  readonly size: bigint;
  /** When it was looked at, in milliseconds of the monotonic clock. */
  readonly at: number;
}

/** What is in a folder. */
export interface Listing {
  /** The files by path: torrents, and those that were set aside. */
  readonly files: Map<string, Found>;
  /** Files and folders that are there and could not be read: nothing is known of what is behind them. */
  readonly unread: Set<string>;
}

/** Reports what could not be done with a file or folder. */
export type ReportProblem = (action: "read" | "rename" | "report", path: string, error: unknown) => void;

/** What is called while a folder is looked through. */
export interface ScanHooks {
  readonly report: ReportProblem;
  /** Called with each folder before it is read. */
  onFolder(folder: string): void;
}

/**
 * Looks through a folder and its sub-folders, and adds to the listing what it finds; folders behind symbolic links are left
 * out.
 *
 * @returns the folders that could be read
 */
export async function scanFolder(
  root: string,
  listing: Listing,
  hooks: ScanHooks,
): Promise<ReadonlySet<string>> {
  const folders = [root];
  const read = new Set<string>();
  for (const folder of folders) {
    hooks.onFolder(folder);
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      hooks.report("read", folder, error);
      if (!isMissing(error)) listing.unread.add(folder);
      continue;
    }
    read.add(folder);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (isOfInterest(path)) await scanFile(path, listing, hooks.report, entry.isSymbolicLink());
    }
  }
  return read;
}

/**
 * Looks at one file, and brings the listing up to date with it.
 *
 * @param isLink whether it is known to be a symbolic link, which stays where its target is missing
 */
export async function scanFile(
  path: string,
  { files, unread }: Listing,
  report: ReportProblem,
  isLink: boolean,
): Promise<void> {
  files.delete(path);
  unread.delete(path);
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isFile()) return;
    const inode = stats.ino === 0n ? "" : `${stats.dev} ${stats.ino}`;
    files.set(path, { stamp: stampOf(stats), inode, size: stats.size, at: performance.now() });
  } catch (error) {
    // A name that is not UTF-8 is listed with U+FFFD in it, and cannot be found by that.
    if (isMissing(error) && path.includes("\ufffd")) {
      report("read", path, new Error("its name is not UTF-8: rename it"));
    } else if (!isMissing(error) || isLink) report("read", path, error);
    if (!isMissing(error)) unread.add(path);
  }
}

/** Whether a path is that of a torrent, by its name, or of one that was set aside. */
export function isOfInterest(path: string): boolean {
  return path.toLowerCase().endsWith(".torrent") || isSetAside(path);
}

/** Whether a path is that of a file that was set aside as corrupt. */
export function isSetAside(path: string): boolean {
  return /\.torrent\.corrupt(?:\.\d+)?$/i.test(basename(path));
}

/** Removes from the listing what is at a path, and below it. */
export function forget({ files, unread }: Listing, path: string): void {
  for (const paths of [files, unread]) {
    for (const one of paths.keys()) if (one === path || one.startsWith(path + sep)) paths.delete(one);
  }
}

/** Returns the stamp of a file: its size, and the time of its last change. */
export function stampOf({ size, mtimeNs }: BigIntStats): string {
  return `${size} ${mtimeNs}`;
}

/** A report that was made of a torrent, or is to be tried again. */
export interface Report {
  readonly infohash: string;
  readonly key: string;
  isDone: boolean;
}

/** What is remembered of a file for as long as it is there. */
export interface Seen {
  readonly stamp: string;
  inode: string;
  /** How often the inode was another one while the stamp stayed the same. */
  readonly inodeChanges: number;
  /** When this stamp was first seen, in milliseconds of the monotonic clock. */
  readonly since: number;
  /** Nothing is left to do until the stamp changes. */
  settled: boolean;
  /** It was read and was not a torrent: one more look when it counts as corrupt is enough. */
  undecodable: boolean;
  /** The report of it, or of what stood at this path before. */
  report: Report | undefined;
}

/** Number of milliseconds for which a file that vanished may appear elsewhere. */
const MOVE_MS = 2_000;
/**
 * Number of times that a file may get another inode while its size and time stay the same. More than that is a file system
 * that makes inodes up.
 */
const MAX_INODE_CHANGES = 3;

/**
 * The memory of files: an unchanged file keeps what is known of it, a changed one starts again but for what was reported of
 * it, and one that was moved is known by its stamp and its infohash, wherever it is.
 */
export class FileMemory {
  readonly seen: Map<string, Seen> = new Map();
  /** Where a torrent was reported, by stamp and infohash. */
  readonly #reported = new Map<string, Set<string>>();
  /** Reports of files that vanished or changed, by stamp and infohash, and when that was seen. */
  readonly #vanished = new Map<string, { readonly report: Report; readonly at: number }[]>();

  /** The paths of files with which something is still to be done. */
  unsettled(): string[] {
    return [...this.seen].filter(([, { settled }]) => !settled).map(([path]) => path);
  }

  /** Applies what a scan has found. */
  update({ files, unread }: Listing): void {
    const changed = new Map<string, Seen>();
    for (const [path, file] of this.seen) {
      const found = files.get(path);
      if (found !== undefined && isSame(file, found)) file.inode = found.inode;
      else if (found !== undefined) changed.set(path, file);
      else if (![...unread].some((one) => path === one || path.startsWith(one + sep))) {
        this.seen.delete(path);
        this.#noteVanished(path, file);
      }
    }
    const arrived = [...files].filter(([path]) => changed.has(path) || !this.seen.has(path));
    const stamps = new Set(arrived.map(([, { stamp }]) => stamp));
    for (const [path, file] of changed) this.#noteVanished(path, file);
    for (const [path, { stamp, inode, at }] of arrived) {
      const before = changed.get(path);
      // What stood here before was moved, and this is another file.
      const wasMoved = before !== undefined && stamps.has(before.stamp);
      this.seen.set(path, {
        stamp,
        inode,
        inodeChanges: before?.stamp === stamp ? before.inodeChanges + 1 : 0,
        since: at,
        // What was set aside is looked at when it changes.
        settled: isSetAside(path) && before === undefined,
        undecodable: false,
        report: wasMoved ? undefined : before?.report,
      });
    }
    this.#forgetVanished();
  }

  /** Forgets everything. */
  clear(): void {
    this.seen.clear();
    this.#reported.clear();
    this.#vanished.clear();
  }

  /** Notes what is known of a file that this process has put to a path itself. */
  set(path: string, file: Seen): void {
    this.seen.set(path, file);
  }

  /** Notes that the torrent in a file was reported, or that its report is to be tried again. */
  setReport(path: string, file: Seen, report: Report): void {
    file.report = report;
    const key = keyOf(file.stamp, report.infohash);
    const paths = this.#reported.get(key) ?? new Set();
    this.#reported.set(key, paths.add(path));
  }

  /**
   * Finds the report of a torrent that was moved to where it is now.
   *
   * @param exists whether there is a file at a path at the moment
   */
  async findMoved(
    { stamp, since }: Seen,
    infohash: string,
    exists: (path: string) => Promise<boolean>,
  ): Promise<Report | undefined> {
    const key = keyOf(stamp, infohash);
    const vanished = this.#vanished.get(key) ?? [];
    const index = vanished.findIndex(({ at }) => since <= at + MOVE_MS);
    if (index !== -1) return vanished.splice(index, 1)[0]!.report;
    // It may have been moved while the scan went from one folder to the next, and be listed in both.
    for (const path of this.#reported.get(key) ?? []) {
      if (await exists(path)) continue;
      const file = this.seen.get(path);
      this.#reported.get(key)!.delete(path);
      this.seen.delete(path);
      if (file?.report?.infohash === infohash) return file.report;
    }
    return undefined;
  }

  #noteVanished(path: string, { stamp, report }: Seen): void {
    if (report === undefined) return;
    const key = keyOf(stamp, report.infohash);
    const vanished = this.#vanished.get(key) ?? [];
    vanished.push({ report, at: performance.now() });
    this.#vanished.set(key, vanished);
    const paths = this.#reported.get(key);
    paths?.delete(path);
    if (paths?.size === 0) this.#reported.delete(key);
  }

  /** Forgets what vanished, once every file that was seen soon after it has been read. */
  #forgetVanished(): void {
    if (this.#vanished.size === 0) return;
    let oldest = performance.now();
    for (const { settled, since } of this.seen.values()) if (!settled) oldest = Math.min(oldest, since);
    for (const [key, reports] of this.#vanished) {
      const kept = reports.filter(({ at }) => oldest <= at + MOVE_MS);
      if (kept.length > 0) this.#vanished.set(key, kept);
      else this.#vanished.delete(key);
    }
  }
}

/** Whether a file is the same as before, and no other one of its size and time took its place. */
function isSame({ stamp, inode, inodeChanges }: Seen, found: Found): boolean {
  return found.stamp === stamp && (found.inode === inode || inodeChanges === MAX_INODE_CHANGES);
}

function keyOf(stamp: string, infohash: string): string {
  return `${stamp} ${infohash}`;
}

/** Whether the error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** The code of a system error, like `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as Error & { code?: string }).code : undefined;
}
