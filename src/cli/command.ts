/**
 * What a command is, and the flags in its help.
 *
 * @module
 */

/** A command. */
export interface Command {
  readonly name: string;
  /** Its arguments, as the help shows them. */
  readonly usage: string;
  readonly summary: string;
  /** Loads it: `tail` needs nothing of the server. */
  load(): Promise<{ run(args: string[]): Promise<void>; readonly help: string }>;
}

/** A flag, as a help shows it. */
export interface HelpFlag {
  readonly name: string;
  /** The name of its value; `undefined` if it takes none. */
  readonly value: string | undefined;
  readonly summary: string;
}

/** Returns the flags in a help. */
export function flagsIn(help: string): HelpFlag[] {
  const flags = help.matchAll(/^ {2}--([a-z-]+)(?: ([A-Z]+))? +(.+(?:\n {8,}.+)*)$/gm);
  return [...flags].map(([, name, value, summary]) => ({
    name: name!,
    value,
    summary: summary!.replaceAll(/\s+/g, " "),
  }));
}
