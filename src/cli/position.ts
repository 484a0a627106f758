/**
 * The position of `tail`, kept in its state file.
 *
 * @module
 */
import type { StateFile } from "./state_file.ts";

/** Where `tail` is. */
export interface TailState {
  /** The cursor after the last event that was written out. */
  readonly cursor: string | undefined;
  /** The file that the events go to, if they go to one, and its size after that event. */
  readonly file?: { readonly path: string; readonly bytes: number } | undefined;
}

/** Keeps a position in a file. */
export interface Position {
  /** The cursor that was recorded last. */
  readonly cursor: string | undefined;
  /** Records the position. On a busy stream, only the latest one of those that come during a write is written. */
  reached(state: TailState): void;
  /** Waits until the position is in the file. */
  flush(): Promise<void>;
}

/**
 * Makes it.
 *
 * @param onError called if the file cannot be written
 */
export function keepPosition(file: StateFile<TailState>, onError: (error: Error) => void): Position {
  let { cursor } = file.state ?? {};
  let latest: TailState | undefined;
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    while (latest !== undefined) {
      const state = latest;
      latest = undefined;
      await file.write(state);
    }
    writing = undefined;
  }

  return {
    get cursor() {
      return cursor;
    },
    reached: (state) => {
      ({ cursor } = state);
      latest = state;
      writing ??= write().catch(onError);
    },
    flush: async () => await writing,
  };
}
