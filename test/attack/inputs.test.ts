import { suite } from "../support/suite.ts";
import type * as assert from "uvu/assert";
import { API_KEY, keys, ORIGIN, origins, otherRoutes, strangers } from "./inputs/access.ts";
import { bodies, framings } from "./inputs/bodies.ts";
import { headerFields, idempotencyKeys, requestLines } from "./inputs/heads.ts";
import { accepts, queries } from "./inputs/targets.ts";
import type { AppOptions } from "../../src/server/app.ts";
import { type Attack, underAttack } from "./attacked.ts";

const test = suite("attack: inputs");

/** Sends all attacks to one server. Fails with the name and the error of each that was answered wrongly. */
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
    if (failures.length > 0) {
      throw new Error(`${failures.length} were answered wrongly:\n${failures.join("\n")}`);
    }
  }, options);
}

test("serve survives malformed request lines and unknown methods", () => attack(() => requestLines));
test("serve survives malformed header fields and hosts", () => attack(() => headerFields));
test("serve rejects names that are not its own, and pages of other sites", () => attack(() => strangers));
test("serve rejects malformed idempotency keys", () => attack(() => idempotencyKeys));
test("serve accepts no request that is hidden in lengths or chunks of another", () => attack(() => framings));
test("serve rejects malformed queries and cursors", () => attack(queries));
test("serve negotiates a format whatever Accept says", () => attack(() => accepts));
test("serve rejects malformed bodies", () => attack(() => bodies));
test("serve rejects wrong and misplaced API keys", () => attack(() => keys, { apiKey: API_KEY }));
test("serve shares its answers with pages of the allowed origin alone", () =>
  attack(() => origins, { corsOrigins: [ORIGIN] }));
test("serve survives malformed requests to its other routes", () => attack(() => otherRoutes));

test.run();
