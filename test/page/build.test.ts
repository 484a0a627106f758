import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import { buildPage, PAGE_ASSETS as BUILT } from "../../src/page/build.ts";
import { PAGE_ASSETS } from "../../src/server/page_assets.ts";
import { suite } from "../support/suite.ts";

const test = suite("page build");

test("page_assets.ts holds what buildPage() makes of the sources", async () => {
  assert.ok(await buildPage() === await readFile(BUILT, "utf8"), "run npm run build:page");
});

test("what a browser loads of page_assets.ts is at most 70 kB, gzipped, and keeps the licences of its libraries", () => {
  const loaded = PAGE_ASSETS.filter(({ path }) => path !== "/page_sse.js");
  const sizes = loaded.map(({ path, text }) => [path, gzipSync(text, { level: 9 }).byteLength] as const);
  const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`the page: ${sum} bytes gzipped (${sizes.map((one) => one.join(" ")).join(", ")})`);
  assert.ok(sum <= 70_000, `${sum} bytes`);
  for (const [file, library] of [["/page.js", "uplot"], ["/page_sse.js", "eventsource-parser"]] as const) {
    const { text } = PAGE_ASSETS.find(({ path }) => path === file)!;
    assert.match(text, new RegExp(`^${library} \\S+: Copyright `, "m"));
    assert.match(text, "Permission is hereby granted, free of charge");
  }
});

test.run();
