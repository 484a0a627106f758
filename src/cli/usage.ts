/**
 * Reads the flags of a command line, and reports errors in it.
 *
 * @module
 */
import { nearestOf } from "../events/arguments.ts";
import { isSubject, SUBJECT_TEXT } from "../events/subject.ts";
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Reports an error in a command line; the message is one line. */
export class UsageError extends Error {}

/** Ends the command with an exit code of its own. */
export class ExitError extends Error {
  /** The exit code. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

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
    const message = (error as Error).message.split(/\. |\n/)[0]!;
    const [, unknown] = /^Unknown option '--([^']+)'/.exec(message) ?? [];
    const nearest = unknown === undefined ? undefined : nearestOf(unknown, Object.keys(options));
    throw new UsageError(nearest === undefined ? message : `${message}: did you mean --${nearest}?`);
  }
}

/**
 * Checks a value of `--subject`.
 *
 * @throws {UsageError}
 */
export function checkSubject(text: string): string {
  if (isSubject(text)) return text;
  throw new UsageError(
    `--subject takes ${SUBJECT_TEXT}, not ${JSON.stringify((text as string).slice(0, 128))}`,
  );
}

/**
 * Reads a whole number from 1 on; `undefined` if the flag was not given.
 *
 * @throws {UsageError}
 */
export function readCount(flag: string, text: unknown): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text as string)) return Number(text);
  throw new UsageError(`--${flag} takes a whole number from 1 on, not "${text}"`);
}

/** Returns the types in a repeated flag, each of whose values is a list with commas. */
export function readTypes(lists: unknown): string[] {
  return ((lists ?? []) as string[]).flatMap((list) => list.split(",")).filter(Boolean);
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
};

/**
 * Reads a number of bytes, such as `100MB` or `64KiB`; `undefined` if the flag was not given.
 *
 * @throws {UsageError}
 */
export function readSize(flag: string, text: unknown): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmg]i?)?b?$/i.exec(text as string) ?? [];
  const size = Math.floor(Number(number) * UNITS[unit.toLowerCase()]!);
  if (size >= 1) return size;
  throw new UsageError(`--${flag} takes a size like 100MB, not "${text}"`);
}

/**
 * Reads the path of a file; `undefined` if the flag was not given.
 *
 * @throws {UsageError}
 */
export function readPath(flag: string, text: unknown): string | undefined {
  // An empty one may be a variable of a script that is not set.
  if (text === "") throw new UsageError(`--${flag} takes the path of a file`);
  return text as string | undefined;
}
