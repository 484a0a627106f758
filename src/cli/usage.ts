/**
 * Command lines: how their flags are read, and how one that cannot be understood is refused.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** A command line that cannot be understood; the message is one line for the person who typed it. */
export class UsageError extends Error {}

/** The flags and the other arguments of a command line. */
export interface Flags {
  /** The values given, by the name of their flag; of a repeated flag the last, or all where it may be repeated. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  /** What is no flag, in order. */
  readonly positionals: readonly string[];
}

/**
 * Reads a command line.
 *
 * @param args what stands after the name of the command
 * @param options the flags there are
 * @param allowPositionals whether there may be anything beside flags
 * @throws {UsageError}
 */
export function parseFlags(
  args: string[],
  options: NonNullable<ParseArgsConfig["options"]>,
  allowPositionals = false,
): Flags {
  try {
    return parseArgs({ args, options, allowPositionals });
  } catch (error) {
    // Bun and Node add hints in further sentences; the first one says what is wrong.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
}
