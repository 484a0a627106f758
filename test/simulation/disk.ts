/**
 * The disk of a simulation, under a real SQLite: what it has after a loss of power, how long it takes, and what it rejects.
 *
 * @module
 */
import fs from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import type { Random } from "../support/hostile_proxy.ts";
import type { World } from "./world.ts";

/** A row that was inserted into the table of events. */
export interface StoredRow {
  readonly sequence: number;
  /** RFC 3339. */
  readonly time: string;
  readonly type: string;
  readonly subject: string | null;
  readonly json: string | null;
}

/** What a disk calls back with. */
export interface DiskListener {
  onCommitted(rows: readonly StoredRow[]): void;
  onErased(sequences: readonly number[]): void;
}

/** What a disk writes as a whole. */
const SECTOR_BYTES = 512;

/** The content of a file and its log. */
interface Content {
  readonly file: Uint8Array;
  readonly log: Uint8Array;
}

const disks = new Map<string, SimulatedDisk>();
const NOTHING = new Uint8Array();

/** Returns the disk of a path, or of the log beside it. */
export function diskOf(path: string): SimulatedDisk | undefined {
  return disks.get(path.replace(/-wal$/, ""));
}

/** One file, its log, and the disk that they are on. */
export class SimulatedDisk {
  readonly path: string;
  readonly world: World;
  readonly random: Random;
  readonly listener: DiskListener;
  /** Whether it has no room. */
  isFull = false;
  /** Whether it cannot write what was accepted. */
  isFailing = false;
  /** The most milliseconds that a write takes to reach it. */
  delayMs = 2;
  /** The machine's boot. */
  readonly boot: string;
  readonly databases: Set<DatabaseSync> = new Set();
  readonly descriptors: Map<number, string> = new Map();
  #synced: Content = { file: NOTHING, log: NOTHING };
  /** The content that the next sync takes with it, or that a failed one did not. */
  isDead = false;

  constructor(path: string, boot: string, world: World, random: Random, listener: DiskListener) {
    this.path = path;
    this.boot = boot;
    this.world = world;
    this.random = random;
    this.listener = listener;
    disks.set(path, this);
  }

  /** Notes that everything that was written has reached the disk. */
  syncAll(): void {
    this.#synced = this.#content();
  }

  /** Lets what was written to one of the files so far reach the disk. */
  sync(path: string, done: (error: Error | null) => void): void {
    const part = path.endsWith("-wal") ? "log" : "file";
    const content = readOrNothing(path);
    this.world.after(this.random() * this.delayMs, () => {
      if (this.isFailing) return done(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
      this.#synced = { ...this.#synced, [part]: content };
      done(null);
    });
  }

  #content(): Content {
    return { file: readOrNothing(this.path), log: readOrNothing(`${this.path}-wal`) };
  }

  /** Copies what is there after the end of the process, or of the power, to another path. */
  copyTo(path: string, isPowerCut: boolean): void {
    const now = this.#content();
    const mix = (part: keyof Content) =>
      isPowerCut ? mixed(this.#synced[part], now[part], this.random) : now[part];
    fs.writeFileSync(path, mix("file"));
    fs.writeFileSync(`${path}-wal`, mix("log"));
    this.isDead = true;
  }

  /** Removes everything. */
  remove(): void {
    for (const database of this.databases) database.close();
    for (const descriptor of this.descriptors.keys()) fs.closeSync(descriptor);
    disks.delete(this.path);
    for (const end of ["", "-wal", "-shm", "-journal"]) fs.rmSync(this.path + end, { force: true });
  }
}

function readOrNothing(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch {
    return NOTHING;
  }
}

/** Returns what a disk may have of a file: each sector as it was synced, or as it was written since. */
function mixed(synced: Uint8Array, written: Uint8Array, random: Random): Uint8Array {
  const share = [0, 0.1, 0.5, 0.9, 1][Math.floor(random() * 5)]!;
  const size = random() < 0.5 ? synced.length : written.length;
  const mix = new Uint8Array(size);
  for (let at = 0; at < size; at += SECTOR_BYTES) {
    const source = random() < share ? written : synced;
    mix.set(source.subarray(at, Math.min(at + SECTOR_BYTES, size)), at);
  }
  return mix;
}
