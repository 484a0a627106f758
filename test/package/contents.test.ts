import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { withInstalled } from "../support/project.ts";
import { suite } from "../support/suite.ts";

const test = suite("package: contents");

const INSTALL = fileURLToPath(new URL("../../docs/install.md", import.meta.url));

/** The paths of the files in a folder, and their sizes. */
async function sizesIn(folder: string): Promise<Map<string, number>> {
  const names = (await readdir(folder, { recursive: true })).map((name) => name.replaceAll("\\", "/"));
  const entries = await Promise.all(
    names.map(async (name) => [name, await stat(join(folder, name))] as const),
  );
  return new Map(entries.filter(([, file]) => file.isFile()).map(([name, { size }]) => [name, size]));
}

test("every relative link of the README and the pages leads to a file of the package", async () => {
  await withInstalled([], async ({ folder }) => {
    const root = join(folder, "node_modules/events-endpoint");
    const files = await sizesIn(root);
    const folders = new Set([...files.keys()].map(dirname));
    const broken: string[] = [];
    let count = 0;
    for (const page of [...files.keys()].filter((name) => name.endsWith(".md"))) {
      const text = (await readFile(join(root, page), "utf8")).replaceAll(/^```[^]*?^```$/gm, "");
      for (const [, link = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const target = normalize(join(dirname(page), link));
        if (!files.has(target) && !folders.has(target)) broken.push(`${page}: ${link}`);
        count++;
      }
    }
    assert.equal(broken, []);
    assert.ok(count > 50);
  });
});

test("LICENSES.txt has the licence of each package that is bundled", async () => {
  await withInstalled([], async ({ folder }) => {
    const text = await readFile(join(folder, "node_modules/events-endpoint/dist/LICENSES.txt"), "utf8");
    const [, ...parts] = text.split(/^-{80}$/m);
    const names = parts.map((part) => part.trim().split(" ", 1)[0]);
    for (
      const name of [
        "@cfworker/json-schema",
        "@hono/node-server",
        "@valibot/to-json-schema",
        "eventsource-parser",
        "string-width",
      ]
    ) {
      assert.ok(names.includes(name), name);
    }
    for (const part of parts) assert.match(part, /Permission is hereby granted/);
  });
});

test("docs/install.md shows what npm ls --all prints, and the size of the package", async () => {
  const page = await readFile(INSTALL, "utf8");
  const [, shown = ""] = /^```text\n(shop@[^]*?)^```$/m.exec(page) ?? [];
  const withoutVersions = (text: string) =>
    text.trim().replaceAll(/^(\S+@\S+) .*/gm, "$1").replaceAll(/(?<=(?:hono|valibot)@)\d+\.\d+\.\d+/g, "…");
  await withInstalled(["hono", "valibot"], async (project) => {
    const printed = await project.run("npm", ["ls", "--all"]);
    assert.is(withoutVersions(shown), withoutVersions(printed));
    const files = [...await sizesIn(join(project.folder, "node_modules/events-endpoint"))];
    const stated =
      /`events-endpoint` has ([\d.]+) MB: ([\d.]+) MB are the command with its page, and ([\d.]+) MB the doc/
        .exec(page)!;
    for (const [index, pattern] of [/./, /^dist\/cli\//, /\.(?:md|webp)$|^examples\//].entries()) {
      const size = files.reduce((sum, [name, size]) => pattern.test(name) ? sum + size : sum, 0) / 1e6;
      assert.ok(Math.abs(size - Number(stated[index + 1])) < 0.15, `${pattern}: ${size} MB`);
    }
  });
});

test.run();
