/**
 * Notifications of a file system: one watcher for each folder, because those for whole trees watch every file in them on
 * some systems.
 *
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { join, sep } from "node:path";

/** The watchers of some folders. */
export interface FolderNotifications {
  /** Whether every folder is watched: where one is not, changes are found only by looking. */
  readonly isComplete: boolean;
  /** Watches a folder from now on; one that is watched already is watched anew, because it may be another by now. */
  add(folder: string): void;
  /** Whether a folder is watched, or was to be. */
  has(path: string): boolean;
  /** Ends the watchers of a folder and of those in it: what is there now may be another folder. */
  drop(folder: string): void;
  /** Ends the watchers of all folders but these. */
  keep(folders: ReadonlySet<string>): void;
  /** Ends all of them. */
  close(): void;
}

/**
 * Makes it, with no folder.
 *
 * @param onChange called with the path that may have changed, `undefined` if that is not known; and whether something may
 *   have appeared there, or be gone
 */
export function createNotifications(
  onChange: (path: string | undefined, isReplaced: boolean) => void,
): FolderNotifications {
  const watchers = new Map<string, FSWatcher | undefined>();

  function end(folder: string): void {
    const watcher = watchers.get(folder);
    watchers.delete(folder);
    watcher?.close();
  }

  return {
    get isComplete() {
      for (const watcher of watchers.values()) if (watcher === undefined) return false;
      return watchers.size > 0;
    },
    add: (folder) => {
      end(folder);
      try {
        const watcher = watch(folder, { persistent: false }, (event, name) => {
          onChange(name === null ? undefined : join(folder, name), event === "rename");
        });
        watchers.set(folder, watcher);
        watcher.on("error", () => {
          // The folder is gone, or the system has no watcher left: it is found by looking from now on.
          if (watchers.get(folder) !== watcher) return;
          watcher.close();
          watchers.set(folder, undefined);
          onChange(undefined, true);
        });
      } catch {
        watchers.set(folder, undefined);
      }
    },
    has: (path) => watchers.has(path),
    drop: (folder) => {
      for (const path of [...watchers.keys()]) {
        if (path === folder || path.startsWith(folder + sep)) end(path);
      }
    },
    keep: (folders) => {
      for (const folder of [...watchers.keys()]) if (!folders.has(folder)) end(folder);
    },
    close: () => {
      for (const folder of [...watchers.keys()]) end(folder);
    },
  };
}
