/**
 * Clients that generators make of the OpenAPI document, and what linters find in it.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { Hono } from "hono";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { openApiHandler } from "../../src/server/mod.ts";
import { createSession } from "../../src/tribler/mod.ts";
import { serving } from "../support/harness.ts";
import { withEmptyProject } from "../support/project.ts";
import { suite } from "../support/suite.ts";
import { installTools, toolFile } from "../support/tools.ts";

const test = suite("package: generators");

installTools();

const catalogue = defineEvents({
  order_placed: v.object({ id: v.string(), line: v.tuple([v.string(), v.number()]) }),
  shop_closed: null,
});
const channel = createChannel(catalogue);
const endpoint = eventsEndpoint(channel);
const app = new Hono().route("/api/events", endpoint)
  .get("/openapi.json", openApiHandler(endpoint, { path: "/api/events" }));

const DOCUMENTS: Readonly<Record<string, string>> = {
  "openApiHandler()": await (await app.request("/openapi.json")).text(),
  "serve":
    await (await createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 }).request("/openapi.json"))
      .text(),
};

/** The part of Redocly's linter that is used. */
interface Redocly {
  createConfig(config: object): Promise<unknown>;
  lintFromString(options: object): Promise<{ severity: string; ruleId: string; message: string }[]>;
}

test("the OpenAPI documents have no error by Redocly's recommended rules", async () => {
  const url = pathToFileURL(toolFile("@redocly/openapi-core/lib/index.js")).href;
  const { createConfig, lintFromString } = await import(url) as Redocly;
  const config = await createConfig({ extends: ["recommended"] });
  for (const [name, source] of Object.entries(DOCUMENTS)) {
    const found = await lintFromString({ source, absoluteRef: "openapi.json", config });
    assert.equal(found.filter(({ severity }) => severity === "error"), [], name);
  }
});

/** Compiles only if what is generated has the types of the catalogue, and runs only if it can stream. */
const PROGRAM = `
import process from "node:process";
import { client } from "./client/client.gen.ts";
import { publish, stream } from "./client/sdk.gen.ts";
import type { components, paths } from "./types.ts";

type Lines = paths["/api/events"]["get"]["responses"][200]["content"]["text/event-stream"];
export const line: Lines = { type: "order_placed", event: { id: "o", line: ["tea", 1] }, id: "1-1", time: "" };
// @ts-expect-error the tuple has a number
export const wrong: components["schemas"]["order_placed.payload"] = { id: "o", line: ["tea", "1"] };

client.setConfig({ baseUrl: process.argv[2]! });
const { data } = await publish({ body: { type: "order_placed", event: { id: "o-1", line: ["tea", 2] } } });
// @ts-expect-error there is no such event
export const refused = () => publish({ body: { type: "order_lost" } });
const { stream: events } = await stream({ query: { since: "earliest", format: "sse" } });
for await (const event of events) {
  if (event.type !== "order_placed") continue;
  const amount: number = event.event.line[1];
  console.log(data?.accepted, event.event.line[0], amount);
  process.exit(0);
}
`;

test("openapi-typescript and @hey-api/openapi-ts make typed clients, which stream", async () => {
  await withEmptyProject(async (project) => {
    const { folder } = project;
    await project.write("openapi.json", DOCUMENTS["openApiHandler()"]);
    await project.write("program.ts", PROGRAM);
    const node = (...args: string[]) => project.run(process.execPath, args);
    await node(toolFile("openapi-typescript/bin/cli.js"), "openapi.json", "-o", "types.ts");
    await node(toolFile("@hey-api/openapi-ts/bin/run.js"), "-i", "openapi.json", "-o", "client");
    const compilerOptions = {
      ...{
        target: "es2022",
        module: "esnext",
        moduleResolution: "bundler",
        allowImportingTsExtensions: true,
      },
      ...{
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        lib: ["es2023", "dom", "dom.iterable"],
        types: ["node"],
      },
      typeRoots: [toolFile("../../../node_modules/@types")],
    };
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["program.ts"] }),
    );
    await node(toolFile("../../../node_modules/typescript/bin/tsc"), "--project", "tsconfig.json");
    await serving(app, async (url) => {
      const output = await node(toolFile("../../../node_modules/tsx/dist/cli.mjs"), "program.ts", url);
      assert.is(output, "1 tea 2\n");
    });
  });
});

test.run();
