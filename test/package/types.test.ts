import process from "node:process";
import * as assert from "uvu/assert";
import { type Project, withInstalled } from "../support/project.ts";
import { suite } from "../support/suite.ts";
import { installTools, toolFile } from "../support/tools.ts";

const test = suite("package: types");

installTools();

/** Uses what each entry point exports. Some of its lines compile only if the types have arrived. */
const PROGRAM = `
import { Hono } from "hono";
import { hc } from "hono/client";
import * as v from "valibot";
import { createChannel, defineEvents, type EndpointOptions, eventsEndpoint } from "events-endpoint";
import { connect, type ConnectOptions } from "events-endpoint/client";
import { useEvents } from "events-endpoint/react";
import { eventsStore } from "events-endpoint/store";
import { createSession } from "events-endpoint/tribler";

const shop = defineEvents({ order_placed: v.object({ total: v.number() }), shop_closed: null });
const channel = createChannel(shop, { history: { events: 10 } });
channel.publish("order_placed", { total: 42 });
// @ts-expect-error a total is a number
channel.publish("order_placed", { total: "42" });
const options: EndpointOptions<typeof shop.schemas> = { authorize: (c) => c.req.header("Key") === "k" };
export const app = new Hono()
  .route("/events", eventsEndpoint(channel, options))
  .route("/tribler", eventsEndpoint(createSession({ version: "7.1.5" })));

const client = hc<typeof app>("http://127.0.0.1");
export async function publish(): Promise<string> {
  const response = await client.events.$post({ json: { type: "order_placed", event: { total: 1 } } });
  // @ts-expect-error there is no such event
  await client.events.$post({ json: { type: "order_lost" } });
  await client.tribler.$post({ json: { type: "upgrader_started" } });
  return response.status === 202 ? (await response.json()).last_id : "";
}
export async function read(signal: AbortSignal): Promise<number | undefined> {
  const options: ConnectOptions<typeof shop.schemas> = { catalogue: shop, since: "earliest", signal };
  for await (const event of connect(client.events.$url(), options)) {
    if (event.type === "order_placed") return event.event.total;
    // @ts-expect-error only an order has a total
    if (event.type === "shop_closed") return event.event.total;
  }
  return undefined;
}
export const totals = eventsStore("/events", {
  catalogue: shop,
  initial: 0,
  reduce: (sum, event) => event.type === "order_placed" ? sum + event.event.total : sum,
});
export function Total(): string {
  const { state, events } = useEvents("/events", {
    catalogue: shop,
    initial: 0,
    // @ts-expect-error only an order has a total
    reduce: (sum, event) => sum + event.event.total,
    load: () => ({ state: 1 }),
  });
  // @ts-expect-error a sum is a number
  return events.length > 0 ? state : totals.get().state.toFixed(2);
}
`;

/** As strict as a project can be. The declarations of the package are checked too. */
const STRICT = {
  target: "es2022",
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  skipDefaultLibCheck: true, // The compiler's own, which take seconds.
};
/** The oldest compiler and the newest check the declarations: with those of hono it takes the others eight seconds of a core. */
const PROGRAM_ALONE = { skipLibCheck: true };
const TYPESCRIPT_7 = "../../../node_modules/typescript/bin/tsc";
const DOM = { lib: ["es2022", "dom", "dom.iterable"], types: [] };
const WORKER = { lib: ["es2022", "webworker", "webworker.iterable"], types: [] };
const NODE = { lib: ["es2022"], types: ["node"] };
const NODENEXT = { module: "nodenext", moduleResolution: "nodenext" };
const BUNDLER = { module: "esnext", moduleResolution: "bundler" };

/** Type-checks files, and returns the errors that are not in the declarations of another package. */
async function errorsOf(
  project: Project,
  compiler: string,
  files: readonly string[],
  options: object,
): Promise<string[]> {
  await project.write("tsconfig.json", { compilerOptions: { ...STRICT, ...options }, files });
  const args = [toolFile(compiler), "--project", "tsconfig.json", "--pretty", "false"];
  const output = await project.run(process.execPath, args).catch((error: Error) =>
    error.message.slice(error.message.indexOf("\n") + 1)
  );
  return output.split("\n").filter((line) =>
    line !== "" && !/^node_modules\/(?!events-endpoint\/)/.test(line)
  );
}

const PACKAGES = ["hono", "valibot", "@types/node@20"];

/** Requires the package as a module of CommonJS does, which compilers allow since TypeScript 5.8. */
const COMMON_JS = `
import events = require("events-endpoint");
import client = require("events-endpoint/client");
const channel = events.createChannel(events.defineEvents({ closed: null }));
channel.publish("closed");
// @ts-expect-error there is no such event
channel.publish("opened");
client.connect("http://127.0.0.1/events");
`;

const ALONE = ["program.ts"];
const WITH_COMMON_JS = ["program.ts", "common.cts"];

test("TypeScript 5.4 to 7 check a strict project, by nodenext and bundler, and from 5.9 on one that requires the package", async () => {
  await withInstalled(PACKAGES, async (project) => {
    await project.write("program.ts", PROGRAM);
    await project.write("common.cts", COMMON_JS);
    for (
      const [compiler, files, options] of [
        ["typescript5.4/bin/tsc", ALONE, { ...NODENEXT, ...NODE }],
        ["typescript5.9/bin/tsc", WITH_COMMON_JS, { ...NODENEXT, ...DOM, ...PROGRAM_ALONE }],
        ["typescript6/bin/tsc", ALONE, { ...BUNDLER, ...WORKER, ...PROGRAM_ALONE }],
        [TYPESCRIPT_7, WITH_COMMON_JS, { ...NODENEXT, ...NODE }],
        [TYPESCRIPT_7, ALONE, { ...BUNDLER, ...DOM }],
        [TYPESCRIPT_7, ALONE, { ...BUNDLER, ...WORKER }],
      ] as const
    ) {
      const what = `${compiler} ${files} ${JSON.stringify(options)}`;
      assert.equal(await errorsOf(project, compiler, files, options), [], what);
    }
  });
});

test("TypeScript resolves the entry points also as Node 10 did", async () => {
  await withInstalled(PACKAGES, async (project) => {
    await project.write("package.json", { private: true });
    await project.write(
      "program.ts",
      `import { createChannel, defineEvents } from "events-endpoint";
      import { connect } from "events-endpoint/client";
      createChannel(defineEvents({ closed: null })).publish("closed");
      // @ts-expect-error there is no such event
      createChannel(defineEvents({ closed: null })).publish("opened");
      connect("http://127.0.0.1/events");`,
    );
    const node10 = {
      module: "commonjs",
      moduleResolution: "node10",
      verbatimModuleSyntax: false,
      skipLibCheck: true,
    };
    assert.equal(await errorsOf(project, "typescript5.4/bin/tsc", ALONE, { ...node10, ...NODE }), []);
  });
});

test.run();
