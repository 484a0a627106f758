import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { type Block, findPages, readBlocks, readExamples, ROOT } from "./blocks.ts";
import { fileOf, withWorkshop } from "./workshop.ts";

const test = suite("examples in the documentation");

const examples = await readExamples();

/** What the examples talk to: the server, the shop of `examples/hono_app.ts`, and NATS. */
const SERVERS: readonly Block[] = [
  server("npm start", ["…listens on…"]),
  server("npx tsx examples/hono_app.ts", ["http…"]),
  server("nats-server --addr 127.0.0.1 --port 4222 --jetstream --store_dir /tmp/nats", ["…Server is ready"]),
];

function server(command: string, output: readonly string[]): Block {
  return { place: command, language: "sh", text: command, note: "test: stays open", output };
}

test("the example of every docstring runs as it stands, and ends", () =>
  withWorkshop(async ({ run }) => {
    await Promise.all(SERVERS.map(run));
    await Promise.all(examples.map(run));
  }));

test("every entry point has an example that imports it by its public name", async () => {
  const { exports } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
  for (const path of Object.keys(exports).filter((path) => path !== "./package.json")) {
    const name = path.replace(".", "events-endpoint");
    assert.ok(examples.some(({ text }) => text.includes(`from "${name}";`)), `no example imports ${name}`);
  }
});

test("examples and blocks of TypeScript import nothing by a path, and have the types they should", () =>
  withWorkshop(async ({ folder }) => {
    const pages = await Promise.all((await findPages()).map(readBlocks));
    const blocks = [...examples, ...pages.flat()].filter(({ language }) => language === "ts");
    assert.ok(blocks.length > 10);
    for (const block of blocks) {
      assert.not.match(block.text, /from "\.|^import .* from "node:/m, block.place);
      await writeFile(join(folder, fileOf(block)), block.text);
    }
    const settings = JSON.parse(await readFile(join(folder, "tsconfig.json"), "utf8"));
    const include = blocks.map(fileOf);
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        ...settings,
        include,
        compilerOptions: { ...settings.compilerOptions, types: ["node"] },
      }),
    );
    const { status, stdout } = spawnSync("node_modules/.bin/tsc", ["--project", "tsconfig.json"], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.is(status, 0, stdout);
  }));

test.run();
