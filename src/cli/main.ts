#!/usr/bin/env node
/**
 * The command `events-endpoint`.
 *
 * @module
 */
import process from "node:process";
import { nearestOf } from "../events/arguments.ts";
import { VERSION } from "../version.ts";
import { ExitError, UsageError } from "./usage.ts";

const HELP = `events-endpoint ${VERSION}: stream events over HTTP

  events-endpoint serve                     run a server on http://localhost:8085/events
  events-endpoint tail URL                  print the events of a server as they arrive
  events-endpoint emit URL TYPE [PAYLOAD]   publish an event; without TYPE, the events on standard input
  events-endpoint forward FROM TO           publish the events of a server to another one, each once and in order
  events-endpoint replay FILE TO            publish recorded events in the rhythm of their times
  events-endpoint --help                    show this and exit
  events-endpoint --version                 show the version and exit

Each command has its own help, for example: events-endpoint serve --help`;

const COMMANDS: readonly string[] = ["serve", "tail", "emit", "forward", "replay"];

/** Runs a command. Each is loaded on demand: only `serve` needs a server. */
async function main([command, ...args]: string[]): Promise<void> {
  if (command === "serve") return await (await import("./serve.ts")).serve(args);
  if (command === "tail") return await (await import("./tail.ts")).tail(args);
  if (command === "emit") return await (await import("./emit.ts")).emit(args);
  if (command === "forward") return await (await import("./forward.ts")).forward(args);
  if (command === "replay") return await (await import("./replay.ts")).replay(args);
  if (command === "--version") return console.log(VERSION);
  if (command === undefined || command === "--help" || command === "-h") return console.log(HELP);
  const nearest = nearestOf(command, COMMANDS);
  throw new UsageError(
    `unknown command "${command}": ${nearest === undefined ? "try --help" : `did you mean ${nearest}?`}`,
  );
}

// Not by a top-level await, with which it could not be bundled into one file for `require`.
main(process.argv.slice(2)).then(
  () => process.exit(0), // The sockets of stalled readers would keep the process running.
  (error: unknown) => {
    console.error(`events-endpoint: ${(error as Error).message}`);
    process.exit(error instanceof UsageError ? 2 : error instanceof ExitError ? error.exitCode : 1);
  },
);
