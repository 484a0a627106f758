import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/version.ts";
import { OTHERS, PNPM, withHome, withProgram, YARN_1, YARN_4 } from "../support/managers.ts";
import { copySources, sharedTarball } from "../support/pack.ts";
import { runScript, SERVER_OUTPUT, SERVER_PROGRAM, withEmptyProject } from "../support/project.ts";
import { installRuntimes, programOf } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";
import { installTools } from "../support/tools.ts";

const test = suite("package: installs");

installRuntimes(["deno", "bun"]);
installTools();

test("pnpm add installs the tarball", async () => {
  const tarball = await sharedTarball();
  await withProgram((project, home) =>
    project.run(process.execPath, [PNPM, "add", tarball, ...OTHERS], home)
  );
});

test("yarn add of Yarn 1 installs the tarball without a warning about it", async () => {
  const tarball = await sharedTarball();
  await withProgram(async (project, home) => {
    const args = [YARN_1, "add", "--no-progress", "--non-interactive", tarball, ...OTHERS];
    const output = await project.run(process.execPath, args, home);
    assert.not.match(output, /warning .*events-endpoint/);
  });
});

test("yarn add of Yarn 4 installs the tarball, also without node_modules", async () => {
  const tarball = await sharedTarball();
  await withHome(async (project, home) => {
    await project.write("yarn.lock", "");
    await project.write("program.mjs", SERVER_PROGRAM);
    await project.run(process.execPath, [YARN_4, "add", `events-endpoint@${tarball}`, ...OTHERS], home);
    assert.ok((await readdir(project.folder)).includes(".pnp.cjs"));
    assert.is(await project.run(process.execPath, [YARN_4, "node", "program.mjs"], home), SERVER_OUTPUT);
  });
});

test("bun add installs the tarball", async () => {
  const tarball = await sharedTarball();
  await withProgram(async (project, home) => {
    await project.run(programOf("bun"), ["add", tarball, ...OTHERS], home);
    assert.is(await runScript(project, "bun", "program.mjs"), SERVER_OUTPUT);
  });
});

test("deno run uses what npm has installed from the tarball, and a checkout that deno.json links", async () => {
  await withProgram(async (project) => {
    await project.npm(await sharedTarball(), ...OTHERS);
    assert.is(await runScript(project, "deno", "program.mjs"), SERVER_OUTPUT);
  });
  await withEmptyProject(async (project) => {
    const checkout = join(project.folder, "checkout");
    await mkdir(checkout);
    await copySources(checkout);
    await rm(join(project.folder, "package.json")); // Beside it Deno takes what npm has installed.
    const jsr = `jsr:@events-endpoint/events-endpoint@${VERSION}`;
    await project.write("deno.json", {
      links: ["./checkout"],
      imports: {
        "events-endpoint": jsr,
        "events-endpoint/client": `${jsr}/client`,
        hono: "npm:hono@^4.11.0",
        valibot: "npm:valibot@^1.0.0",
      },
    });
    await project.write("program.mjs", SERVER_PROGRAM);
    assert.is((await runScript(project, "deno", "program.mjs")).split("\n").at(-2), SERVER_OUTPUT.trim());
  });
});

test.run();
