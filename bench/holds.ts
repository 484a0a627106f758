/** For how long the event loop is held, and by what: SQLite is timed by wrappers around its calls, so that the channel has no code for it. */
import { readFileSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { setImmediate } from "node:timers";

/** The longest times for which the event loop was held, in milliseconds, without what the process had to wait for a core. */
export interface Holds {
  /** By anything. */
  readonly longest: number;
  /** By SQLite in one turn, from the first to the last call: inserts and their commit, or a merge of the log. */
  readonly sqlite: number;
  /** The same as time of a core alone: without what other processes make the disk wait, on a machine that they keep busy. */
  readonly sqliteCpu: number;
  /** By one garbage collection; `undefined` if the runtime does not report them. */
  readonly gc: number | undefined;
}

/** For how long the main thread has run and has waited for a core so far, in milliseconds, where the system tells (Linux). */
function scheduled(): { readonly ran: number; readonly waited: number } {
  try {
    const [ran, waited] = readFileSync("/proc/self/schedstat", "utf8").split(" ");
    return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 };
  } catch {
    return { ran: 0, waited: 0 };
  }
}

/** For how long this process has waited for a core so far. */
export function waitedMs(): number {
  return scheduled().waited;
}

/** Measures what holds the event loop while something runs. */
export async function measureHolds(run: () => Promise<unknown>): Promise<Holds> {
  const sqlite = await watchSqlite();
  const gc = watchCollections();
  let longest = 0;
  let [lastTick, lastWait] = [performance.now(), waitedMs()];
  const ticker = setInterval(() => {
    const [now, wait] = [performance.now(), waitedMs()];
    longest = Math.max(longest, now - lastTick - 1 - (wait - lastWait));
    [lastTick, lastWait] = [now, wait];
  }, 1);
  await run();
  await new Promise((resolve) => setTimeout(resolve, 50)); // For the last collections to be reported.
  clearInterval(ticker);
  return { longest, ...sqlite.stop(), gc: gc.stop() };
}

/** What has the calls that take time, in `node:sqlite`. */
type Timed = Record<string, (this: unknown, ...args: unknown[]) => unknown>;

/** What takes less than this is not looked at closer, because that takes time itself. */
const NOTEWORTHY_MS = 2;

async function watchSqlite(): Promise<{ stop(): Pick<Holds, "sqlite" | "sqliteCpu"> }> {
  const { DatabaseSync, StatementSync } = await import("node:sqlite");
  const statement = StatementSync.prototype as unknown as Timed;
  const database = DatabaseSync.prototype as unknown as Timed;
  const [longest, watched] = [{ sqlite: 0, sqliteCpu: 0 }, [] as (() => void)[]];
  let turn: { readonly start: number; readonly ran: number; readonly waited: number } | undefined;
  for (
    const [on, name] of [[statement, "run"], [statement, "get"], [statement, "all"], [
      database,
      "exec",
    ]] as const
  ) {
    const call = on[name]!;
    on[name] = function (...args) {
      if (turn === undefined) {
        turn = { start: performance.now(), ...scheduled() };
        setImmediate(() => turn = undefined);
      }
      try {
        return call.apply(this, args);
      } finally {
        const ms = performance.now() - turn.start;
        if (ms > NOTEWORTHY_MS) {
          const { ran, waited } = scheduled();
          longest.sqlite = Math.max(longest.sqlite, ms - (waited - turn.waited));
          longest.sqliteCpu = Math.max(longest.sqliteCpu, ran - turn.ran);
        }
      }
    };
    watched.push(() => on[name] = call);
  }
  return {
    stop: () => {
      for (const restore of watched) restore();
      return longest;
    },
  };
}

function watchCollections(): { stop(): number | undefined } {
  if (process.versions["deno"] !== undefined || process.versions["bun"] !== undefined) {
    return { stop: () => undefined };
  }
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  return {
    stop: () => {
      observer.disconnect();
      return longest;
    },
  };
}
