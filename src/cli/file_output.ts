/**
 * A file of lines that is continued, and begun anew when it has a size.
 *
 * @module
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, renameSync, writeSync } from "node:fs";

/** A file of lines. */
export interface FileOutput {
  /** Its size in bytes. */
  readonly bytes: number;
  /** Whether the line would make it larger than wanted, so that {@linkcode rotate} has to come first. */
  isFullFor(line: string): boolean;
  /** Renames the file to the next free `FILE.1`, `FILE.2`, …, of which the highest is the newest, and begins another one. */
  rotate(): void;
  /**
   * Appends a line.
   *
   * @throws {Error} if it cannot be written; no part of it is in the file then
   */
  write(line: string): void;
  /** Closes the file. */
  close(): void;
}

/**
 * Opens a file to append to.
 *
 * @param maxBytes its size in bytes after which another one is begun
 * @param knownBytes what of the file is known to be whole: what follows is removed
 */
export function openOutput(path: string, maxBytes: number = Infinity, knownBytes?: number): FileOutput {
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (cause) {
      throw new Error(`cannot write ${path}: ${(cause as Error).message}`, { cause });
    }
  };
  let file = attempt(() => openSync(path, "a"));
  let bytes = attempt(() => fstatSync(file).size);
  if (knownBytes !== undefined && knownBytes < bytes) {
    attempt(() => ftruncateSync(file, knownBytes));
    bytes = knownBytes;
  }
  const encoder = new TextEncoder();
  return {
    get bytes() {
      return bytes;
    },
    isFullFor: (line) => bytes > 0 && bytes + encoder.encode(line).length > maxBytes,
    rotate: () =>
      attempt(() => {
        closeSync(file);
        let n = 1;
        while (existsSync(`${path}.${n}`)) n++;
        renameSync(path, `${path}.${n}`);
        file = openSync(path, "a");
        bytes = 0;
      }),
    write: (line) =>
      attempt(() => {
        const data = encoder.encode(line);
        try {
          for (let written = 0; written < data.length;) written += writeSync(file, data, written);
        } catch (error) {
          ftruncateSync(file, bytes); // A part of a line is no line.
          throw error;
        }
        bytes += data.length;
      }),
    close: () => closeSync(file),
  };
}
