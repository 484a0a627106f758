/**
 * One look at a folder: which `.torrent` files are there, and which of them are those that were there before.
 *
 * @module
 */
import type { BigIntStats, Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";

/** A `.torrent` file as one scan found it. */
export interface Found {
  stamp: string;
  size: bigint;
  /** When it was looked at, in milliseconds of the monotonic clock. */
  at: number;
}

/** What one look at a folder found. */
export interface Listing {
  /** By path. */
  files: Map<string, Found>;
  /** Files and folders that are there and could not be read: nothing is known of what is behind them. */
  unread: string[];
}

/** Reports what could not be done with a file or folder. */
export type ReportProblem = (action: "read" | "rename" | "report", path: string, error: unknown) => void;

/** Looks through a folder and its sub-folders; those behind symbolic links are left out. */
export async function listTorrents(root: string, report: ReportProblem): Promise<Listing> {
  const listing: Listing = { files: new Map(), unread: [] };
  const folders = [root];
  for (const folder of folders) {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown): Dirent[] => {
      report("read", folder, error);
      if (!isMissing(error)) listing.unread.push(folder);
      return [];
    });
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        folders.push(path);
      } else if (entry.name.toLowerCase().endsWith(".torrent")) {
        await stat(path, { bigint: true }).then((stats) => {
          const at = performance.now();
          if (stats.isFile()) listing.files.set(path, { stamp: stampOf(stats), size: stats.size, at });
        }, (error: unknown) => {
          // A file may go between being listed and being looked at. A link that leads nowhere stays.
          if (!isMissing(error) || entry.isSymbolicLink()) report("read", path, error);
          if (!isMissing(error)) listing.unread.push(path);
        });
      }
    }
  }
  return listing;
}

/** As long as it is the same, so is the file, wherever it was moved, and so is its content. */
export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${size} ${mtimeNs}`;
}

/** What is remembered of a file for as long as it is there. */
export interface Seen {
  stamp: string;
  /** When this stamp was first seen, in milliseconds of the monotonic clock. */
  since: number;
  /** Nothing is left to do until the stamp changes. */
  settled: boolean;
  /** It was read and was not a torrent: one more look when it counts as corrupt is enough. */
  undecodable: boolean;
  /** The infohash that was last reported for this path. */
  reported: string | undefined;
  /** The key of its report, once that was tried. */
  key: string | undefined;
}

/**
 * What is known of each file found, from what was known before: an unchanged file keeps it, a moved one takes
 * it along, a changed one starts again but for what was reported of it, and a file that vanished is dropped.
 */
export function follow(before: ReadonlyMap<string, Seen>, { files, unread }: Listing): Map<string, Seen> {
  const after = new Map<string, Seen>();
  const left = new Map<string, string[]>(); // the paths a stamp was seen at, and no longer is
  for (const [path, file] of before) {
    const found = files.get(path);
    const unknown = found === undefined && unread.some((one) => path === one || path.startsWith(one + sep));
    if (unknown || found?.stamp === file.stamp) after.set(path, file);
    else left.set(file.stamp, [...left.get(file.stamp) ?? [], path]);
  }
  const moved = new Set<string>();
  for (const [path, { stamp }] of files) {
    const from = after.has(path) ? undefined : left.get(stamp)?.pop();
    if (from === undefined) continue;
    after.set(path, before.get(from)!);
    moved.add(from);
  }
  for (const [path, { stamp, at }] of files) {
    if (after.has(path)) continue;
    const reported = moved.has(path) ? undefined : before.get(path)?.reported;
    after.set(path, { stamp, since: at, settled: false, undecodable: false, reported, key: undefined });
  }
  return after;
}

/** Whether the error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** The code of a system error, like `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as Error & { code?: string }).code : undefined;
}
