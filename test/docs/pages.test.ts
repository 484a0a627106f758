import process from "node:process";
import * as assert from "uvu/assert";
import { readServeOptions } from "../../src/cli/serve_options.ts";
import { suite } from "../support/suite.ts";
import { findPages, readBlocks } from "./blocks.ts";
import { withWorkshop } from "./workshop.ts";

const test = suite("pages");

const pages = await Promise.all(
  (await findPages()).map(async (page) => ({ page, blocks: await readBlocks(page) })),
);
const RUN: readonly string[] = ["sh", "ts"];

/** Pages side by side: most of their time they wait. */
const AT_A_TIME = 3;

const waiting: (() => Promise<void>)[] = [];
for (const { page, blocks } of pages) {
  const toRun = blocks.filter(({ language, note }) =>
    RUN.includes(language) && !note.startsWith("not run: ")
  );
  if (toRun.length === 0) continue;
  let outcome: Promise<void> | undefined;
  const read = () =>
    outcome ??= withWorkshop(async (workshop) => {
      for (const block of toRun) await workshop.run(block);
    });
  waiting.push(read);
  test(`${page} does what it says when its blocks are pasted in order`, async () => {
    waiting.splice(waiting.indexOf(read), 1);
    const next = process.env["TEST_NAME"] ? [] : waiting.slice(0, AT_A_TIME - 1);
    for (const readNext of next) readNext().catch(() => {}); // Its own test reports it.
    await read();
  });
}

test("every block is run or compared, or says how it is checked instead", () => {
  const all = pages.flatMap(({ blocks }) => blocks);
  const silent = all.filter(({ language, note }) =>
    !RUN.includes(language) && !/^not (?:run|compared): \S/.test(note)
  );
  assert.equal(silent.map(({ place, language }) => `${place} (${language})`), []);
  assert.ok(all.length > 30);
});

test("blocks of commands can be pasted into bash and zsh, and need no new curl", () => {
  const faults = pages.flatMap(({ blocks }) => blocks).filter(({ language }) => language === "sh").flatMap(
    ({ place, text }) => {
      const bare = text.replaceAll(/'[^']*'|"[^"]*"/g, "''");
      return [
        /(?:^|\s)#/m.test(bare) ? `${place}: zsh takes no comments at its prompt` : "",
        /https?:\S*[?*&]/.test(bare) ? `${place}: zsh looks for files by an address without quotes` : "",
        /curl .*--json/.test(text) ? `${place}: curl has --json since 7.82 only` : "",
      ].filter(Boolean);
    },
  );
  assert.equal(faults, []);
});

test("the block of Kubernetes names variables of serve, and leaves time to drain", async () => {
  const { text } = (await readBlocks("docs/production.md")).find(({ language }) => language === "yaml")!;
  const env = Object.fromEntries(
    [...text.matchAll(/name: (EVENTS_\w+), value: "([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );
  const options = readServeOptions([], env);
  assert.ok(options !== "help");
  assert.is(options.host, "0.0.0.0");
  const number = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1]);
  assert.ok(options.drain > number("periodSeconds") * number("failureThreshold"));
  assert.ok(number("terminationGracePeriodSeconds") > options.drain + 5);
  assert.is(number("port"), options.port);
});

test.run();
