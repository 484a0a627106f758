import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/version.ts";
import { running, startProgram, whereItListens } from "../support/children.ts";
import { openLines, within } from "../support/harness.ts";
import { run, withInstalled } from "../support/project.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const test = suite("package");

/** Uses each entry point, in a program that is both JavaScript and TypeScript. */
const PROGRAM = `
import { Hono } from "hono";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "events-endpoint";
import { connect } from "events-endpoint/client";
import { eventsPage, jsonSchemas } from "events-endpoint/server";
import { createSession } from "events-endpoint/tribler";

const shop = defineEvents({ order_placed: v.object({ total: v.number() }), shop_closed: null });
const channel = createChannel(shop);
channel.publish("order_placed", { total: 42 });
const app = new Hono();
app.route("/events", eventsEndpoint(channel));
app.route("/live", eventsPage());
console.log((await app.request("/live")).status, jsonSchemas(shop).order_placed.type);

const options = { catalogue: shop, since: "earliest", fetch: app.request };
for await (const event of connect("http://127.0.0.1/events", options)) {
  if (event.type !== "order_placed") continue;
  console.log(event.event.total.toFixed(2), typeof event.id);
  break;
}
console.log(createSession({ version: "7.1.5" }).channel.catalogue.types.includes("torrent_finished"));
`;

/** Compiles only if the types have arrived. */
const TYPES = `
export function refused(): void {
  // @ts-expect-error a total is a number
  channel.publish("order_placed", { total: "42" });
  // @ts-expect-error there is no such event
  channel.publish("order_lost");
}
const first = (await channel.batches("earliest").next()).value;
const length: number = first.entries.length;
console.log(length);
`;

/** The same for a file, if the runtime has SQLite. */
const SQLITE_PROGRAM = `
import { defineEvents } from "events-endpoint";
import { sqliteChannel } from "events-endpoint/sqlite";
const catalogue = defineEvents({ shop_closed: null });
const outcome = await sqliteChannel("events.db", catalogue).then(async (channel) => {
  await channel.publish("shop_closed");
  await channel.close();
  return "stored";
}, (error) => error.code);
console.log(outcome);
`;

/** The same for NATS, whose own types require the declarations of `Symbol.asyncDispose`. */
const NATS_PROGRAM = `
import { natsChannel } from "events-endpoint/nats";
console.log(typeof natsChannel);
`;
const NATS_TYPES = `
import { defineEvents } from "events-endpoint";
export async function refused(connection: Parameters<typeof natsChannel>[0]): Promise<string> {
  const channel = await natsChannel(connection, defineEvents({ shop_closed: null }), { stream: "SHOP" });
  // @ts-expect-error there is no such event
  channel.publish("order_lost");
  return await channel.publish("shop_closed");
}
`;

const NATS_PACKAGES = ["@nats-io/jetstream", "@nats-io/nats-core", "@nats-io/transport-node"];

const JS_OUTPUT = "200 object\n42.00 string\ntrue\n";
const TS_OUTPUT = `${JS_OUTPUT}1\n`;

/** Runs `use` in a project that has the package and others, and the programs. */
async function withProject(others: readonly string[], use: (folder: string) => Promise<void>): Promise<void> {
  await withInstalled(others, async ({ folder, write }) => {
    await write("program.js", PROGRAM);
    await write("program.ts", PROGRAM + TYPES);
    await write("sqlite.js", SQLITE_PROGRAM);
    await write("sqlite.ts", SQLITE_PROGRAM);
    await write("nats.js", NATS_PROGRAM);
    await write("nats.ts", NATS_PROGRAM + NATS_TYPES);
    await use(folder);
  });
}

/** Type-checks programs under these options. */
async function typeCheck(folder: string, files: readonly string[], options: object): Promise<void> {
  const compilerOptions = { target: "es2022", strict: true, noEmit: true, types: [], ...options };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  await run(join(root, "node_modules/.bin/tsc"), ["--project", "tsconfig.json"], folder);
}

test("npm install of the tarball installs events-endpoint, hono and valibot", async () => {
  await withInstalled([], async ({ folder }) => {
    const installed = (await readdir(join(folder, "node_modules"))).filter((name) => !name.startsWith("."));
    assert.equal(
      installed.sort(),
      ["events-endpoint", "hono", "valibot"],
      "a route gets what it uses, and nothing else",
    );
  });
});

/** The arguments before a script: on Deno with all that it may do, or what the entry points need at most. */
const RUN = "Deno" in globalThis ? ["run", "--allow-env"] : [];
const RUN_ALL = "Deno" in globalThis ? ["run", "--allow-all"] : [];

test("the tarball runs when it is installed alone", async () => {
  await withProject([], async (folder) => {
    assert.is(await run(process.execPath, [...RUN, "program.js"], folder), JS_OUTPUT);
    const hasSqlite = !process.version.startsWith("v20.");
    const outcome = hasSqlite ? "stored" : "RuntimeNotSupported";
    assert.is(await run(process.execPath, [...RUN_ALL, "sqlite.js"], folder), `${outcome}\n`);
    if ("Deno" in globalThis || "Bun" in globalThis) {
      assert.is(await run(process.execPath, [...RUN, "program.ts"], folder), TS_OUTPUT);
    }
    if ("Deno" in globalThis) return;
    const failure = await run(process.execPath, [
      "node_modules/.bin/events-endpoint",
      "serve",
      "--nats",
      "nats://a",
    ], folder)
      .catch((error: Error) => error.message);
    assert.match(
      failure,
      "events-endpoint: --nats needs packages that are not installed here: npm install @nats-io/",
    );
  });
});

test("the tarball runs and type-checks when it is installed with the packages of NATS", async () => {
  await withProject(NATS_PACKAGES, async (folder) => {
    assert.is(await run(process.execPath, [...RUN, "nats.js"], folder), "function\n");
    if ("Deno" in globalThis) {
      await run(process.execPath, ["check", "program.ts", "sqlite.ts", "nats.ts"], folder);
      return;
    }
    if ("Bun" in globalThis) return;
    // The declarations of the package are checked too, and require nothing newer than ES2022.
    const lib = ["es2022", "dom", "dom.iterable", "dom.asynciterable"];
    await typeCheck(folder, ["program.ts", "sqlite.ts"], { module: "nodenext", lib });
    await typeCheck(folder, ["nats.ts"], { module: "nodenext", lib: [...lib, "esnext.disposable"] });
    // As in a project that Vite sets up.
    await typeCheck(folder, ["program.ts"], {
      module: "esnext",
      moduleResolution: "bundler",
      skipLibCheck: true,
    });
    assert.is(await run("npx", ["events-endpoint", "--version"], folder), `${VERSION}\n`);
    const command = join(folder, "node_modules/.bin/events-endpoint");
    await running(startProgram(command, ["serve", "--port", "0"]), async (child) => {
      const { url } = await whereItListens(child);
      const lines = await openLines(`${url}/events`);
      assert.is((await lines.event()).event.version, VERSION);
      await lines.close();
      assert.match(await (await within(fetch(url), "the page")).text(), "<title>Events</title>");
      assert.is(await run(command, ["emit", `${url}/events`, "upgrader_started"], folder), "1 accepted\n");
      await run(command, ["tail", "--help"], folder);
      child.signal("SIGTERM");
      assert.equal(await child.exit(), { code: 0, signal: null });
    });
  });
});

test("events-endpoint/client is at most 10 kB in a browser, and loads its SSE parser on demand", async () => {
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    const options = ["--bundle", "--splitting", "--minify", "--format=esm", "--platform=browser"];
    const esbuild = join(root, "node_modules/.bin/esbuild");
    await run(
      esbuild,
      [...options, "--external:valibot", `--outdir=${folder}`, "src/client/mod.ts"],
      root,
    );
    const files = await Promise.all((await readdir(folder)).map(async (name) => {
      const code = await readFile(join(folder, name), "utf8");
      return { name, code, size: gzipSync(code, { level: 9 }).byteLength };
    }));
    const client = files.find(({ name }) => name === "mod.js")!;
    const [sse, ...others] = files.filter((file) => file !== client);
    console.log(`the client: ${client.size} bytes gzipped, and ${sse?.size} more for SSE`);
    assert.ok(client.size <= 10_000, `${client.size} bytes`);
    assert.equal(others, []);
    assert.match(client.code, `import("./${sse?.name}")`);
    assert.equal([...client.code.matchAll(/\bfrom ?"([^"]+)"/g)].map(([, from]) => from), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("events-endpoint/store is at most 12 kB in a browser, and events-endpoint/react 1 kB more", async () => {
  const sizes = await Promise.all(["store", "react"].map(async (name) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [`src/${name}/mod.ts`],
      outdir: "out",
      write: false,
      bundle: true,
      splitting: true,
      minify: true,
      format: "esm",
      platform: "browser",
      external: ["react"],
    });
    const { text } = outputFiles.find(({ path }) => path.endsWith("mod.js"))!;
    return gzipSync(text, { level: 9 }).byteLength;
  }));
  console.log(`the store: ${sizes[0]} bytes gzipped with the client, and ${sizes[1]} with the hook`);
  assert.ok(sizes[0]! <= 12_000, `${sizes[0]} bytes`);
  assert.ok(sizes[1]! <= sizes[0]! + 1000, `${sizes[1]} bytes`);
});

test("VERSION is the version in package.json, package-lock.json and deno.json", async () => {
  for (const file of ["package.json", "package-lock.json", "deno.json"]) {
    assert.is(JSON.parse(await readFile(join(root, file), "utf8")).version, VERSION, file);
  }
});

test("deno.json and tsconfig.json export what package.json exports", async () => {
  const read = async (file: string) => JSON.parse(await readFile(join(root, file), "utf8"));
  const [npm, deno, tsconfig] = await Promise.all(["package.json", "deno.json", "tsconfig.json"].map(read));
  const sources = Object.fromEntries(
    Object.entries<{ default: string }>(npm.exports).filter(([name]) => name !== "./package.json").map((
      [name, { default: file }],
    ) => {
      return [name, file.replace("./dist/", "./src/").replace(/\.js$/, ".ts")];
    }),
  );
  assert.equal(deno.exports, sources);
  for (const [name, source] of Object.entries(sources)) {
    const specifier = join("events-endpoint", name);
    assert.is(deno.imports[specifier], source);
    assert.equal(tsconfig.compilerOptions.paths[specifier], [source]);
  }
  const imported = Object.keys(deno.imports).filter((name) => !name.startsWith("events-endpoint"));
  for (const name of imported) {
    assert.is(
      deno.imports[name],
      `npm:${name}@${npm.devDependencies[name]}`,
      "of the version that is tested",
    );
  }
  for (const name of Object.keys(npm.peerDependencies)) assert.ok(imported.includes(name), name);
  assert.is(npm.dependencies, undefined, "what is no peer is bundled");
});

test.run();
