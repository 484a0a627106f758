/**
 * The problems of a watch folder: each is reported once.
 *
 * @module
 */
import { codeOf, type ReportProblem } from "./folder_scan.ts";

/** Reports the problems of a folder. */
export interface ProblemReporter {
  /** Reports what could not be done, once. */
  report: ReportProblem;
  /** Drops the problems that did not occur since the last sweep, except those of files that are still there. */
  endSweep(files: { has(path: string): boolean }): void;
}

/** Makes what reports problems. */
export function createProblemReporter(report: (problem: Error) => void): ProblemReporter {
  const reported = new Map<string, string>(); // key to path
  const current = new Set<string>();
  return {
    report(action, path, error) {
      const key = JSON.stringify([action, path, codeOf(error) ?? String(error)]);
      current.add(key);
      if (reported.has(key)) return;
      reported.set(key, path);
      report(problemOf(`cannot ${action} ${JSON.stringify(path)}`, error));
    },
    endSweep(files) {
      for (const [key, path] of reported) if (!current.has(key) && !files.has(path)) reported.delete(key);
      current.clear();
    },
  };
}

/** Makes the error of a problem, on one line. */
export function problemOf(what: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  // System errors end in `, open '/the/path'`, which is named already and may contain line breaks.
  const isOfSystem = codeOf(error)?.startsWith("E") === true;
  return new Error(`${what}: ${isOfSystem ? reason.split(", ")[0] : reason}`, { cause: error });
}
