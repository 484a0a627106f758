import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { findPages, ROOT } from "./blocks.ts";

const test = suite("links");

const texts = new Map(
  await Promise.all((await findPages()).map(async (page) => {
    return [page, await readFile(ROOT + page, "utf8")] as const;
  })),
);

/** The text without its blocks of code. */
function proseOf(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, "");
}

/** The names under which the headings of a page can be linked, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-")
  );
}

/** The links of a page that lead to files here, as they are written. */
function linksOf(text: string): string[] {
  return [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link));
}

test("every link between the pages leads to a file that exists, and to a heading of it", () => {
  const broken: string[] = [];
  let count = 0;
  for (const [page, text] of texts) {
    for (const link of linksOf(text)) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      const isThere = existsSync(ROOT + target) &&
        (anchor === undefined || anchorsOf(texts.get(target) ?? "").includes(anchor));
      if (!isThere) broken.push(`${page}: ${link}`);
      count++;
    }
  }
  assert.equal(broken, []);
  assert.ok(count > 50);
});

test("every file that the pages name in code exists", () => {
  const missing = [...texts].flatMap(([page, text]) =>
    [
      ...proseOf(text).matchAll(
        /(?<![\w./-])(?:src|test|bench|examples|docs)\/[\w./-]*\w|(?<=`)[\w.]+\.json(?=`)/g,
      ),
    ]
      .map(([path]) => path).filter((path) => !existsSync(ROOT + path)).map((path) => `${page}: ${path}`)
  );
  assert.equal(missing, []);
});

test("the index lists every page, and the README links each of them", async () => {
  const pages = (await readdir(`${ROOT}docs`)).filter((name) => name.endsWith(".md") && name !== "README.md");
  for (const page of pages) {
    assert.ok(linksOf(texts.get("docs/README.md")!).includes(page), `docs/README.md lists ${page}`);
    assert.ok(linksOf(texts.get("README.md")!).includes(`docs/${page}`), `README.md links ${page}`);
  }
});

test("the README takes two minutes: at most 150 lines", () => {
  assert.ok(texts.get("README.md")!.split("\n").length <= 151);
});

test.run();
