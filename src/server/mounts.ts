/**
 * Mounts: the paths at which a server has its events, and the dialect of each.
 *
 * @module
 */
import type { Dialect } from "../stream/dialects.ts";

/** The events in one dialect, at one path. */
export interface Mount {
  readonly dialect: Dialect;
  /** Begins with `/`. */
  readonly path: string;
}

/** The names of the dialects, the default first. */
export const DIALECT_NAMES: readonly Dialect[] = ["7.1", "7.4", "7.5", "7.12", "8"];

/** The path of a dialect that is given none: where its front end looks. */
export function defaultPath(dialect: Dialect): string {
  return dialect === "8" ? "/api/events" : "/events";
}

/**
 * Returns the mounts of a server, that of 7.1 among them: the page and this package's own clients read it. If it was not
 * asked for it is at `/events`, or if that is taken at `/events/7.1`.
 */
export function withDefault(mounts: readonly Mount[]): readonly Mount[] {
  if (mounts.some(({ dialect }) => dialect === "7.1")) return mounts;
  const isTaken = mounts.some(({ path }) => path === "/events");
  return [...mounts, { dialect: "7.1", path: isTaken ? "/events/7.1" : "/events" }];
}
