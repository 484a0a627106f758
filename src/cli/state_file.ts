/**
 * The state of a command, in a file that survives it.
 *
 * @module
 */
import { open, readFile, rename, rm } from "node:fs/promises";
import { FileLockedError, lockFile } from "./file_lock.ts";

/** A file with the state of a command. It is replaced as a whole, so that no reader and no crash sees a part of one. */
export interface StateFile<T> {
  /** The state that was read when the file was opened; `undefined` if there was none. */
  readonly state: T | undefined;
  /**
   * Replaces the state.
   *
   * @param durable whether it has to survive a loss of power as well
   */
  write(state: T, durable?: boolean): Promise<void>;
  /** Lets another process use the file; the end of this one does that too. */
  close(): void;
}

/**
 * Opens a state file. What is there is written again, and where nothing is, writing is tried: a file that cannot be written is
 * reported before anything else happens.
 *
 * @param path the file; it need not exist
 * @param kind the command and what the state belongs to, such as `tail http://localhost:8085/events`
 * @throws {Error} if another process is using it, it cannot be read or written, is something else, or belongs to something else
 */
export async function openStateFile<T extends object>(path: string, kind: string): Promise<StateFile<T>> {
  let writing = Promise.resolve();

  async function writeNew(state: T | undefined, durable: boolean): Promise<void> {
    const file = await open(`${path}.new`, "w");
    try {
      if (state !== undefined) await file.writeFile(`${JSON.stringify({ of: kind, ...state })}\n`);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
  }

  async function replace(state: T | undefined, durable: boolean): Promise<void> {
    try {
      await writeNew(state, durable);
      await (state === undefined ? rm(`${path}.new`) : rename(`${path}.new`, path));
    } catch (cause) {
      throw new Error(`cannot write the state file ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  const locked = await lockState(path);
  try {
    const state = await readState<T>(path, kind);
    await replace(state, false);
    // Only now: of a folder that cannot be written, the line above says more.
    if (locked instanceof Error) {
      console.error(
        `events-endpoint: ${path} is not locked, and must have no second user: ${locked.message}`,
      );
    }
    return {
      state,
      // A write that failed does not keep the next one from trying.
      write: (state, durable = false) =>
        writing = writing.catch(() => {}).then(() => replace(state, durable)),
      close: locked instanceof Error ? () => {} : locked,
    };
  } catch (error) {
    if (!(locked instanceof Error)) locked();
    throw error;
  }
}

/** Locks the file. Returns the error if there is no way to, as on a file system without sockets. */
async function lockState(path: string): Promise<(() => void) | Error> {
  try {
    return await lockFile(path);
  } catch (error) {
    if (!(error instanceof FileLockedError)) return error as Error;
    throw new Error(`the state file ${path} is in use: ${error.message}`, { cause: error });
  }
}

async function readState<T extends object>(path: string, kind: string): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as { code?: string }).code === "ENOENT") return undefined;
    throw new Error(`cannot read the state file ${path}: ${(cause as Error).message}`, { cause });
  }
  let state: ({ of?: unknown } & T) | null;
  try {
    state = JSON.parse(text);
  } catch {
    state = null;
  }
  if (typeof state?.of !== "string") {
    throw new Error(`${path} is no state file: give another path, or remove it to begin anew`);
  }
  const { of, ...rest } = state;
  if (of === kind) return rest as unknown as T;
  throw new Error(`the state in ${path} is that of "${of}": give another file, or remove it to begin anew`);
}
