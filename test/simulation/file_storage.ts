/**
 * The channel in a file, on a disk of the simulation.
 *
 * @module
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { sqliteChannel } from "../../src/sqlite/mod.ts";
import type { Random } from "../support/hostile_proxy.ts";
import type { Epoch, Truth } from "./account.ts";
import { SimulatedDisk, type StoredRow } from "./disk.ts";
import { setBoot } from "./files_on_disk.ts";
import type { Plan, Trouble } from "./plan.ts";
import { catalogue, epochOf, type SimulatedChannel, type Storage } from "./storage.ts";
import { FOLDER, type World } from "./world.ts";

/** A folder in memory, if the system has one. */
const folder = statSync("/dev/shm", { throwIfNoEntry: false })?.isDirectory() ? "/dev/shm" : tmpdir();
/** A disk that rejected something is tried once a second. */
const PROBE_MS = 1500;

/** Channels in a file: one at a time. */
export class FileStorage implements Storage {
  readonly keepsKeys = true;
  readonly mayCrash = true;
  readonly #world: World;
  readonly #truth: Truth;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #folder: string = mkdtempSync(join(folder, FOLDER));
  readonly #disks = new Set<SimulatedDisk>();
  #disk: SimulatedDisk | undefined;
  #epoch: Epoch | undefined;
  #boots = 1;
  #copies = 0;
  /** What the next channel is opened after. */
  #before: "close" | "crash" | "power cut" = "close";
  /** The number of events that were acknowledged. */
  #acknowledged = 0;
  #troubledUntil = 0;

  constructor(world: World, truth: Truth, plan: Plan) {
    this.#world = world;
    this.#truth = truth;
    this.#plan = plan;
    this.#random = world.randomOf("disk");
  }

  get isTroubled(): boolean {
    return this.#world.now < this.#troubledUntil;
  }

  isCutOff(): boolean {
    return false;
  }

  async open(): Promise<SimulatedChannel> {
    const { durability, keeps, history } = this.#plan;
    const disk = this.#openDisk();
    const channel = await sqliteChannel(disk.path, catalogue, {
      durability,
      keep: { events: keeps },
      history: { events: history },
      onProblem: (problem) => {
        this.#world.log("disk", `${problem.message.replace(disk.path, "file")}`);
        if (!this.isTroubled && !disk.isDead) this.#world.fail("disk", `onProblem: ${problem.message}`);
      },
    });
    this.#enter(channel.epoch, channel.last, disk);
    const { publishBatch } = channel;
    channel.publishBatch = async (drafts, key) => {
      const ids = await publishBatch.call(channel, drafts, key);
      const position = Number(ids.at(-1)!.split("-")[1]);
      if (!disk.isDead) this.#acknowledged = Math.max(this.#acknowledged, position);
      return ids;
    };
    return channel as unknown as SimulatedChannel;
  }

  #openDisk(): SimulatedDisk {
    const disk = new SimulatedDisk(
      join(this.#folder, `${this.#copies}.db`),
      `boot-${this.#boots}`,
      this.#world,
      this.#random,
      {
        onCommitted: (rows) => {
          if (!disk.isDead) this.#committed(rows);
        },
        onErased: (sequences) => {
          for (const sequence of sequences) {
            const event = this.#epoch!.events[sequence - 1];
            if (event !== undefined) event.isErasing = true;
          }
        },
      },
    );
    this.#disks.add(disk);
    disk.delayMs = this.#plan.diskMs;
    setBoot(disk.boot);
    this.#disk = disk;
    return disk;
  }

  #committed(rows: readonly StoredRow[]): void {
    const { events } = this.#epoch!;
    for (const { sequence, time, type, subject, json } of rows) {
      if (sequence !== events.length + 1) {
        this.#world.fail("file", `event ${sequence} is stored after ${events.length}`);
      }
      const { n } = JSON.parse(json!) as { n: number };
      events.push({ n, type, subject: subject ?? undefined, time: Date.parse(time) });
    }
  }

  /** Compares what a file has when it is opened with what was stored before. */
  #enter(name: string, last: number, disk: SimulatedDisk): void {
    const { durability } = this.#plan;
    const [before, how] = [this.#epoch, this.#before];
    const fail = (what: string) => this.#world.fail("file", `after a ${how} ${what}`);
    this.#before = "close";
    if (before === undefined) {
      this.#epoch = epochOf(name, this.#plan);
    } else {
      const had = before.events.length;
      const mayLose = how === "power cut";
      if (durability === "power" || !mayLose) {
        if (name !== before.name) fail("it has another epoch");
        if (last < this.#acknowledged) fail(`it has ${last} of ${this.#acknowledged} acknowledged events`);
      } else if (name === before.name && last < had) {
        fail(`it has ${last} of ${had} events, and the same epoch`);
      }
      if (!mayLose && last !== had) fail(`it has ${last} of ${had} events`);
      if (last > had) fail(`it has ${last} events, and had ${had}`);
      this.#world.log("file", `opened after a ${how}: ${last} of ${had} events, epoch ${name}`);
      const newest = newestOf(disk);
      const events = before.events.slice(0, last).map((event, i) =>
        i < newest ? event : { ...event, isErasing: true }
      );
      if (name === before.name) before.events.splice(0, Infinity, ...events);
      else this.#epoch = { ...before, name, events, ages: before.ages || newest < last };
      this.#acknowledged = Math.min(this.#acknowledged, last);
    }
    this.#truth.epochs.set(name, this.#epoch!);
  }

  crash(channel: SimulatedChannel, isPowerCut: boolean): void {
    this.#copies++;
    this.#disk!.copyTo(join(this.#folder, `${this.#copies}.db`), isPowerCut);
    if (isPowerCut) this.#boots++;
    this.#before = isPowerCut ? "power cut" : "crash";
    this.#disk!.isFull = this.#disk!.isFailing = false;
    void channel.close(); // It ends the timers of what is no longer seen.
  }

  begin({ what, ms }: Trouble): void {
    const disk = this.#disk;
    if (disk === undefined) return;
    if (what === "full disk") disk.isFull = true;
    else if (what === "failing disk") disk.isFailing = true;
    else disk.delayMs = 400;
    this.#troubledUntil = Infinity;
    this.#world.after(ms, () => this.heal());
  }

  heal(): void {
    const disk = this.#disk;
    if (disk === undefined || this.#troubledUntil !== Infinity) return;
    disk.isFull = disk.isFailing = false;
    disk.delayMs = this.#plan.diskMs;
    this.#troubledUntil = this.#world.now + PROBE_MS;
  }

  left(): Readonly<Record<string, number>> {
    const open = [...this.#disks].filter(({ isDead }) => !isDead);
    return {
      databases: open.reduce((sum, { databases }) => sum + databases.size, 0),
      descriptors: open.reduce((sum, { descriptors }) => sum + descriptors.size, 0),
    };
  }

  dispose(): void {
    for (const disk of this.#disks) disk.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Returns the position of the newest event in the table. */
function newestOf({ databases }: SimulatedDisk): number {
  const [database] = databases as unknown as [DatabaseSync];
  const { newest } = database.prepare("SELECT max(sequence) AS newest FROM events").get() as {
    newest: number | null;
  };
  return newest ?? Infinity;
}
