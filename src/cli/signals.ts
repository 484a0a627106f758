/**
 * SIGINT and SIGTERM: the first one asks a command to end, a later one ends the process.
 *
 * @module
 */
import process from "node:process";

/** A signal that follows another one within this time is the same wish. */
const REPEATED_SIGNAL_MS = 1000;

/**
 * Calls `stop` at the first SIGINT or SIGTERM. A further one ends the process at once, unless it follows within a second: a
 * terminal signals the whole group, and npm then passes the signal on once more.
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
