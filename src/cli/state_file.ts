/**
 * The state of a command, in a file that survives it.
 *
 * @module
 */
import { open, readFile, rename } from "node:fs/promises";

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
}

/**
 * Opens a state file. One that is there is written again, so that a file that cannot be written is reported before anything
 * else happens.
 *
 * @param path the file; it need not exist
 * @param kind the command and what the state belongs to, such as `tail http://localhost:8085/events`
 * @throws {Error} if it cannot be read or written, is something else, or belongs to something else
 */
export async function openStateFile<T extends object>(path: string, kind: string): Promise<StateFile<T>> {
  let writing = Promise.resolve();

  async function replace(state: T, durable: boolean): Promise<void> {
    try {
      const file = await open(`${path}.new`, "w");
      try {
        await file.writeFile(`${JSON.stringify({ of: kind, ...state })}\n`);
        if (durable) await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    } catch (cause) {
      throw new Error(`cannot write the state file ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  const state = await readState<T>(path, kind);
  if (state !== undefined) await replace(state, false);
  return {
    state,
    // A write that failed does not keep the next one from trying.
    write: (state, durable = false) => writing = writing.catch(() => {}).then(() => replace(state, durable)),
  };
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
