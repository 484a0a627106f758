/**
 * The suites of uvu, with a filter by the name of a test.
 *
 * @module
 */
import process from "node:process";
import { suite as makeSuite, type Test } from "uvu";

/** The text that names must contain (`-t NAME`); `undefined`: every test runs. */
const WANTED_NAME: string | undefined = process.env["TEST_NAME"] || undefined;

/** The part of a suite that the tests use. */
type Suite = Pick<Test, "run" | "skip" | "after"> & ((name: string, run: () => void | Promise<void>) => void);

/** Makes a suite. With `-t NAME` it keeps only the tests whose names contain that text. */
export function suite(name: string): Suite {
  const test = makeSuite(name);
  return Object.assign(
    (title: string, run: () => void | Promise<void>): void => {
      if (WANTED_NAME === undefined || title.includes(WANTED_NAME)) test(title, run);
    },
    { run: test.run, skip: test.skip, after: test.after },
  );
}
