/**
 * Simulations: the second half of the seeds that run always, in a process of its own, and fresh ones for as many seconds as
 * `SIMULATION_SECONDS` says.
 *
 * @module
 */
import process from "node:process";
import { suite } from "../support/suite.ts";
import { load } from "./load.ts";
import { checkSeeds } from "./seeds.ts";

const test = suite("more simulations");

/** The number of seconds for fresh seeds. */
const SECONDS = Number(process.env["SIMULATION_SECONDS"] ?? 0);

const simulator = await load();

test("eventsEndpoint() and connect() keep their promises in more simulations", async () => {
  await checkSeeds(simulator, 1001, 2000);
  if (SECONDS === 0) return;
  const base = Math.floor(Math.random() * 1e9);
  const fresh = await checkSeeds(simulator, base, Infinity, SECONDS * 1000);
  console.log(
    `${fresh.seeds} seeds from ${base} on: ${fresh.delivered} events delivered, ${fresh.lost} reported lost`,
  );
});

test.run();
