/** What the operating system knows: cores, limits, the CPU time and memory of a process. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, getPriority, setPriority, totalmem } from "node:os";
import process from "node:process";

/** The first line a command prints, or `undefined` where there is no such command. */
export function firstLine(command: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? (stdout + stderr).trim().split("\n")[0] : undefined;
}

/** USER_HZ, the unit of /proc, the same on every Linux platform Node runs on. */
const TICKS_PER_SECOND = 100;

const SERVER_CORE = "0";
const CLIENT_CORE = "1";
const canPin = [SERVER_CORE, CLIENT_CORE].every((core) =>
  spawnSync("taskset", ["-c", core, "true"]).status === 0
);

/** The server gets a core to itself, the load client (with everything else of the bench) another. */
export function pinned(command: string[], core: "server" | "client"): string[] {
  return canPin ? ["taskset", "-c", core === "server" ? SERVER_CORE : CLIENT_CORE, ...command] : command;
}

/** Moves the bench itself off the server's core. */
export function leaveServerCore(): void {
  if (canPin) {
    execFileSync("taskset", ["-a", "-c", "-p", CLIENT_CORE, String(process.pid)], { stdio: "ignore" });
  }
}

/**
 * Gives a child the priority of the bench, as in `nice -n -20 npm run bench`: where Linux groups processes by session, it
 * compares the priorities of the groups first, and a child is a session of its own.
 */
export function sharePriority(pid: number): void {
  const priority = getPriority();
  const file = `/proc/${pid}/autogroup`;
  if (priority !== 0 && existsSync(file)) writeFileSync(file, String(priority));
}

/**
 * Gives each thread of each process that the bench has started its priority: `nice` sets that of Firefox, while Chromium sets
 * the priorities of its threads itself, and then waits for all that is not the bench's.
 */
export function shareThreadPriority(): void {
  const priority = getPriority();
  if (priority === 0 || !existsSync("/proc/self/task")) return;
  const table = execFileSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" });
  const parents = table.trim().split("\n").map((line) => line.trim().split(/ +/).map(Number));
  const family = new Set([process.pid]);
  for (const pid of family) {
    for (const [child, parent] of parents) if (parent === pid) family.add(child!);
  }
  for (const pid of family) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), priority);
    } catch {
      // The process has ended meanwhile.
    }
  }
}

/** Where Debian's libnginx-mod-nchan puts it. */
export const NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** Debian installs nginx where the PATH of a user who is not root does not look. */
export function nginxCommand(): string {
  return existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
}

/** How many files a process may open, or `Infinity` where nobody says. */
export function openFilesLimit(): number {
  const limit = firstLine("sh", "-c", "ulimit -n");
  return Number(limit) || Infinity;
}

/** Seconds of CPU time a process has used so far, or NaN where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command in parentheses, whatever it contains; utime and stime are 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return NaN;
  }
}

/**
 * Seconds the server's core has worked so far, for whomever, or NaN where the server has no core to itself.
 * What is not the server's of it was taken from the measurement.
 */
export function serverCoreSeconds(): number {
  if (!canPin) return NaN;
  const found = new RegExp(`^cpu${SERVER_CORE} +(.+)$`, "m").exec(readFileSync("/proc/stat", "latin1"));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] =
    found?.[1]?.split(" ").map(Number) ?? [];
  return (user + nice + system + irq + softIrq + steal) / TICKS_PER_SECOND;
}

/** The resident memory of a process in KiB, or NaN where there is no /proc. */
export function residentKiB(pid: number): number {
  try {
    const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    return found ? Number(found[1]) : NaN;
  } catch {
    return NaN;
  }
}

export function describeMachine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const pinning = canPin ? "server pinned to one core, load client to another" : "nothing pinned to a core";
  return `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, ${memory} GiB, ${process.platform} ` +
    `${process.arch}; ${pinning}; ulimit -n ${openFilesLimit()}`;
}
