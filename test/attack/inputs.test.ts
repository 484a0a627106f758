import { suite } from "../support/suite.ts";
import type * as assert from "uvu/assert";
import {
  accepts,
  API_KEY,
  bodies,
  framings,
  headerFields,
  idempotencyKeys,
  keys,
  ORIGIN,
  origins,
  otherRoutes,
  queries,
  requestLines,
  strangers,
} from "./inputs.ts";
import type { AppOptions } from "../../src/server/app.ts";
import { type Attack, underAttack } from "./attacked.ts";

const test = suite("attack");

/** Sends all of them to one server; what it got wrong, by the name of each. */
async function attack(
  attacks: (epoch: string) => readonly Attack[],
  options: Partial<AppOptions> = {},
): Promise<void> {
  await underAttack(async ({ epoch, strike }) => {
    const failures: string[] = [];
    for (const one of attacks(epoch)) {
      try {
        await strike(one);
      } catch (error) {
        failures.push(
          `${one.name}: ${(error as Error).message} ${(error as assert.Assertion).details || ""}`,
        );
      }
    }
    if (failures.length > 0) throw new Error(`${failures.length} got through:\n${failures.join("\n")}`);
  }, options);
}

test("request lines that are none, and methods that nobody has", () => attack(() => requestLines));
test("header fields, and hosts", () => attack(() => headerFields));
test("names that are not the server's, and pages of other sites", () => attack(() => strangers));
test("keys of requests that are sent again", () => attack(() => idempotencyKeys));
test("lengths and chunks, and requests that hide in them", () => attack(() => framings));
test("queries and cursors", () => attack(queries));
test("what is accepted", () => attack(() => accepts));
test("bodies", () => attack(() => bodies));
test("API keys", () => attack(() => keys, { apiKey: API_KEY }));
test("pages of other origins", () => attack(() => origins, { corsOrigins: [ORIGIN] }));
test("the routes beside the stream", () => attack(() => otherRoutes));

test.run();
