#!/usr/bin/env node
/**
 * The command `events-endpoint`.
 *
 * @module
 */
import process from "node:process";
import { nearestOf } from "../events/arguments.ts";
import { COMMANDS } from "./commands.ts";
import { VERSION } from "../version.ts";
import { ExitError, UsageError } from "./usage.ts";

const HELP = `events-endpoint ${VERSION}: stream events over HTTP

${COMMANDS.map(({ usage, summary }) => `  events-endpoint ${usage}`.padEnd(44) + summary).join("\n")}
  events-endpoint --help                    show this and exit
  events-endpoint --version                 show the version and exit

Each command has its own help with examples: events-endpoint serve --help`;

/** Runs a command. */
async function main([name, ...args]: string[]): Promise<void> {
  if (name === "--version") return console.log(VERSION);
  if (name === undefined || name === "--help" || name === "-h") return console.log(HELP);
  const command = COMMANDS.find((one) => one.name === name);
  if (command !== undefined) return await (await command.load()).run(args);
  const nearest = nearestOf(name, COMMANDS.map((one) => one.name));
  const hint = nearest === undefined ? "try --help" : `did you mean ${nearest}?`;
  throw new UsageError(`unknown command "${name}": ${hint}`);
}

// Not by a top-level await, with which it could not be bundled into one file for `require`.
main(process.argv.slice(2)).then(
  () => process.exit(0), // The sockets of stalled readers would keep the process running.
  (error: unknown) => {
    console.error(`events-endpoint: ${(error as Error).message}`);
    process.exit(error instanceof UsageError ? 2 : error instanceof ExitError ? error.exitCode : 1);
  },
);
