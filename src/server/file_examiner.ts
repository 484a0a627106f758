/**
 * Examining the files of a watch folder: a torrent is reported, and what is none is set aside.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { EventsError } from "../events/errors.ts";
import { problemOf, type ProblemReporter } from "./folder_problems.ts";
import { type FileMemory, type Found, isMissing, isSetAside, type Seen } from "./folder_scan.ts";
import { isUnchanged, putBack, setAside } from "./set_aside.ts";
import { MAX_TORRENT_BYTES, readTorrent, type Torrent } from "./torrent.ts";
import { TorrentError, TorrentTooLarge } from "./torrent_errors.ts";

/** What files are reported to. */
export interface FileReports {
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
}

/** What the examination of a folder's files depends on. */
export interface ExaminerOptions extends FileReports {
  /** The channel that the torrents are reported to belong to. */
  readonly dispersyCid: string;
  /** Milliseconds without a change after which a file that is no torrent counts as corrupt. */
  readonly corruptAfter: number;
  /** What is remembered of the files. */
  readonly memory: FileMemory;
  /** The files that the last look has found, by path. */
  readonly files: ReadonlyMap<string, Found>;
  /** Reports what could not be done with a file. */
  readonly problems: ProblemReporter;
  /** Reports that a callback threw. */
  readonly report: (problem: Error) => void;
  /** Whether the watch was closed: nothing more is reported. */
  readonly isClosed: () => boolean;
}

/** What examines the files of a folder. */
export class FileExaminer {
  readonly #options: ExaminerOptions;
  /** Corrupt files that were renamed and are still to be reported, by path, with the key of the report. */
  readonly #unreported = new Map<string, string>();

  constructor(options: ExaminerOptions) {
    this.#options = options;
  }

  /** Whether a corrupt file was renamed and is still to be reported. */
  get hasUnreported(): boolean {
    return this.#unreported.size > 0;
  }

  /** Examines each file that has come to rest, until one cannot be reported now: neither could the others. */
  async examineAll(): Promise<void> {
    for (const path of this.#unreported.keys()) {
      if (this.#options.isClosed() || !await this.#reportCorrupt(path)) return;
    }
    for (const path of this.#options.memory.unsettled()) {
      const found = this.#options.files.get(path);
      if (found === undefined) continue; // It cannot be read at the moment.
      if (
        this.#options.isClosed() || !await this.#examine(path, found, this.#options.memory.seen.get(path)!)
      ) return;
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
        if (!await isUnchanged(path, file.stamp) || this.#options.isClosed()) return true;
        return await this.#discovered(path, torrent, file);
      }
      file.undecodable = true;
      if (isDue && isSetAside(path)) file.settled = true;
      else if (isDue) return await this.#corrupt(path, file);
      else if (mayBePlaceholder(path, found.size)) file.settled = true; // Until it changes.
    } catch (error) {
      // A file that vanished is no problem: there is nothing to report.
      if (isMissing(error)) return true;
      this.#options.problems.report("read", path, error);
      if (error instanceof TorrentTooLarge) file.settled = true;
    }
    return true;
  }

  /** Whether a file may become a torrent yet: it is empty or hidden, or a program writes it under another name. */
  #isBeingWritten(path: string): boolean {
    const found = this.#options.files.get(path);
    if (found === undefined || mayBePlaceholder(path, found.size)) return true;
    return PARTIAL_SUFFIXES.some((suffix) => existsSync(path + suffix));
  }

  async #discovered(path: string, found: Torrent, file: Seen): Promise<boolean> {
    const { infohash, infohashV2, created, name, files, trackers } = found;
    const known = file.report?.infohash === infohash
      ? file.report
      : await this.#options.memory.findMoved(file, infohash, isThere);
    const report = known ?? { infohash, key: crypto.randomUUID(), isDone: false };
    this.#options.memory.setReport(path, file, report);
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
      this.#options.memory.set(name, file);
      this.#options.memory.seen.delete(path);
    } catch (error) {
      this.#options.problems.report("rename", path, error);
    }
  }

  async #corrupt(path: string, file: Seen): Promise<boolean> {
    try {
      const aside = await setAside(path, file.stamp);
      if (aside === undefined) return true;
      this.#options.memory.set(aside, { ...file, settled: true });
    } catch (error) {
      if (isMissing(error)) throw error;
      this.#options.problems.report("rename", path, error);
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
        this.#options.problems.report("report", path, error);
        return false;
      }
      this.#options.report(problemOf(`${name} failed`, error));
    }
    return true;
  }
}

/** What browsers and BitTorrent clients add to the name of a file that they still write. */
const PARTIAL_SUFFIXES: readonly string[] = [".part", ".crdownload", ".!qB"];

/** Whether a program still writes a file of this name, and will rename it. */
export function isPartial(path: string): boolean {
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
