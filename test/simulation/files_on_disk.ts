/**
 * What the channel in a file imports of `node:fs`: the real one, but a disk of the simulation decides what waits for it. `load.ts`
 * puts it in the place of the module.
 *
 * @module
 */
import fs from "node:fs";
import { diskOf, type SimulatedDisk } from "./disk.ts";

export const readSync: typeof fs.readSync = fs.readSync;
export const fstatSync: typeof fs.fstatSync = fs.fstatSync;
export const statSync: typeof fs.statSync = fs.statSync;
export const linkSync: typeof fs.linkSync = fs.linkSync;
export const renameSync: typeof fs.renameSync = fs.renameSync;
export const rmSync: typeof fs.rmSync = fs.rmSync;

type Done = (error: Error | null, length?: number) => void;

let booted: string | undefined;
const disksByDescriptor = new Map<number, SimulatedDisk>();

/** Opens a file on a disk of the simulation. */
export function openSync(path: string, flags: string): number {
  const descriptor = fs.openSync(path, flags);
  const disk = diskOf(path)!;
  disk.descriptors.set(descriptor, path);
  disksByDescriptor.set(descriptor, disk);
  return descriptor;
}

export function closeSync(descriptor: number): void {
  disksByDescriptor.get(descriptor)!.descriptors.delete(descriptor);
  disksByDescriptor.delete(descriptor);
  fs.closeSync(descriptor);
}

export function fdatasync(descriptor: number, done: Done): void {
  const disk = disksByDescriptor.get(descriptor)!;
  disk.sync(disk.descriptors.get(descriptor)!, done);
}

export function read(
  descriptor: number,
  into: Uint8Array,
  from: number,
  size: number,
  at: number,
  done: Done,
): void {
  later(descriptor, done, () => fs.readSync(descriptor, into, from, size, at));
}

export function write(
  descriptor: number,
  bytes: Uint8Array,
  from: number,
  size: number,
  at: number,
  done: Done,
): void {
  later(descriptor, done, () => fs.writeSync(descriptor, bytes, from, size, at));
}

function later(descriptor: number, done: Done, run: () => number): void {
  disksByDescriptor.get(descriptor)!.world.after(0, () => {
    let length;
    try {
      length = run();
    } catch (error) {
      return done(error as Error);
    }
    done(null, length);
  });
}

/** Sets the boot of the machine, which the channel reads when it opens a file. */
export function setBoot(boot: string): void {
  booted = boot;
}

/** Reads the boot of the machine. */
export function readFileSync(path: string): string {
  if (path !== "/proc/sys/kernel/random/boot_id" || booted === undefined) throw new Error(`no file ${path}`);
  return booted;
}
