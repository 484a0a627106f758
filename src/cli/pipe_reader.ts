/**
 * Notices that no process reads a pipe any more. A write would say so, but a quiet server gives nothing to write, and no runtime
 * polls the writing end of a pipe. Linux shows in `/proc` which processes have the reading end open.
 *
 * @module
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import process from "node:process";

/** Number of milliseconds between two looks. */
const LOOK_MS = 500;
/** The access mode in the flags of an open file: 0 is for reading. */
const ACCESS_MODE = 0o3;

/** As much of `Deno` as is used here. */
interface DenoLike {
  readonly permissions: { query(wanted: { readonly name: string }): Promise<{ readonly state: string }> };
}

/**
 * Calls `onGone` when no process reads the pipe at stdout any more. Where that cannot be known, it is never called: on other
 * systems, if stdout is no pipe, on Deno without `--allow-all`, if the reader is in another container, and while a process
 * of another user may be the reader.
 *
 * @returns stops looking; once it is there, the first look is over
 */
export async function watchReader(onGone: () => void): Promise<() => void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  /** The file in `/proc` by which a process reads the pipe. */
  let reader: string | undefined;

  async function look(pipe: string): Promise<void> {
    if (reader === undefined || await linkOf(reader) !== pipe) {
      const wasSeen = reader !== undefined;
      const found = await findReader(pipe);
      ({ reader } = found);
      if (reader === undefined) {
        // One that was never seen may be in another container.
        if (wasSeen && found.isCertain && !isStopped) onGone();
        return;
      }
    }
    if (isStopped) return;
    timer = setTimeout(() => void look(pipe).catch(() => {}), LOOK_MS);
    timer.unref?.();
  }

  const pipe = await isReadable() ? await linkOf("/proc/self/fd/1") : undefined;
  // The first look comes before the first line, after which the reader may end.
  if (pipe?.startsWith("pipe:")) await look(pipe).catch(() => {});
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Whether `/proc` is there. Deno would ask the user. */
async function isReadable(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  const { Deno } = globalThis as { Deno?: DenoLike };
  if (Deno === undefined) return true;
  const states = await Promise.all(
    ["read", "write", "run", "ffi"].map(async (name) => (await Deno.permissions.query({ name })).state),
  );
  return states.every((state) => state === "granted");
}

async function linkOf(path: string): Promise<string | undefined> {
  return await readlink(path).catch(() => undefined);
}

/** Finds a process that reads the pipe, and whether there is certainly none if none was found. */
async function findReader(pipe: string): Promise<{ reader: string | undefined; isCertain: boolean }> {
  const session = await sessionOf("self");
  let isCertain = true;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  // A shell starts both at about the same time.
  const distance = (pid: string) => Math.abs(Number(pid) - process.pid);
  for (const pid of pids.sort((a, b) => distance(a) - distance(b))) {
    let files: string[];
    try {
      files = await readdir(`/proc/${pid}/fd`);
    } catch (error) {
      // A process of another user in the same session, such as `| sudo tee`, may be the reader.
      const isHidden = (error as { code?: string }).code !== "ENOENT" &&
        (error as { code?: string }).code !== "ESRCH";
      if (isHidden && await sessionOf(pid) === session) isCertain = false;
      continue;
    }
    for (const file of files) {
      const path = `/proc/${pid}/fd/${file}`;
      if (await linkOf(path) !== pipe) continue;
      const info = await readFile(`/proc/${pid}/fdinfo/${file}`, "utf8").catch(() => "");
      const flags = parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? "1", 8);
      if ((flags & ACCESS_MODE) === 0) return { reader: path, isCertain };
    }
  }
  return { reader: undefined, isCertain };
}

/** Returns the session that a process belongs to. */
async function sessionOf(pid: string): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name of the program, in brackets, may have spaces. After it: state, parent, group, session.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
}
