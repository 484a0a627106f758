/**
 * Reads the flags of a command line, and reports errors in it.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Reports an error in a command line; the message is one line. */
export class UsageError extends Error {}

/** The flags and the other arguments of a command line. */
export interface Flags {
  /** The values by the name of their flag; of a repeated flag the last one, or all if its option is `multiple`. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  /** The other arguments, in order. */
  readonly positionals: readonly string[];
}

/**
 * Reads a command line.
 *
 * @param args the arguments after the name of the command
 * @param options the known flags
 * @param allowPositionals whether arguments that are no flags are allowed
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
    // Bun and Node add hints in further sentences; only the first one names the error.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
}
