#!/usr/bin/env node
/**
 * The command `events-endpoint`.
 *
 * @module
 */
import process from "node:process";
import { VERSION } from "../version.ts";
import { UsageError } from "./usage.ts";

const HELP = `events-endpoint ${VERSION}: stream events over HTTP

  events-endpoint serve                 run the server
  events-endpoint tail URL              follow the events of a server
  events-endpoint emit URL TYPE …       publish events to a server
  events-endpoint --help                show this and exit
  events-endpoint --version             show the version and exit

Each command has its own help: events-endpoint serve --help`;

/** Each command is loaded when it is wanted: one that only listens need not load a server. */
async function main([command, ...args]: string[]): Promise<void> {
  if (command === "serve") return await (await import("./serve.ts")).serve(args);
  if (command === "tail") return await (await import("./tail.ts")).tail(args);
  if (command === "emit") return await (await import("./emit.ts")).emit(args);
  if (command === "--version") return console.log(VERSION);
  if (command === undefined || command === "--help" || command === "-h") return console.log(HELP);
  throw new UsageError(`there is no command "${command}": try --help`);
}

try {
  await main(process.argv.slice(2));
  process.exit(0); // Stalled readers may still hold sockets open.
} catch (error) {
  console.error(`events-endpoint: ${(error as Error).message}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
