/**
 * SIGINT and SIGTERM: the first one asks a command to end, a later one ends the process. SIGHUP: files are read again.
 *
 * @module
 */
import process from "node:process";

/** Number of milliseconds within which a further signal counts as the same one. */
const REPEATED_SIGNAL_MS = 1000;

/**
 * Calls `stop` at the first SIGINT or SIGTERM. A further one ends the process at once, unless it follows within a second of
 * the first: a terminal signals the whole group, and npm then repeats the signal.
 */
export function onStopSignal(stop: () => void): void {
  let stoppedAt: number | undefined;
  for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (stoppedAt === undefined) {
        stoppedAt = now;
        stop();
      } else if (now - stoppedAt >= REPEATED_SIGNAL_MS) {
        process.exit(exitCode);
      }
    });
  }
}

/** Calls `reload` at each SIGHUP, one call after the other. Without it the signal ends the process. */
export function onReloadSignal(reload: () => Promise<void>): void {
  let last = Promise.resolve();
  process.on("SIGHUP", () => void (last = last.then(reload)));
}
