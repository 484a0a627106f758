import { suite } from "../support/suite.ts";
import { bytesOf, readCorpus } from "./corpus.ts";
import { TARGETS } from "./targets.ts";

const test = suite("fuzz");

for (const [name, target] of Object.entries(TARGETS)) {
  test(`${name}: every input that was kept is parsed as by the other parser`, () => {
    for (const input of readCorpus(name, target)) {
      try {
        target.run(bytesOf(input));
      } catch (error) {
        throw new Error(`${JSON.stringify(input)}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

test.run();
