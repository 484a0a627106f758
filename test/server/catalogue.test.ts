import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "../support/suite.ts";
import { Validator } from "@seriousme/openapi-schema-validator";
import * as assert from "uvu/assert";
import { readServed, type Served } from "../../src/cli/served.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { createChannel } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { readCatalogue } from "../../src/server/catalogue_file.ts";
import { VERSION } from "../../src/version.ts";
import { withFolder } from "./server_process.ts";

const test = suite("catalogue file");

const ORDER = {
  type: "object",
  properties: { id: { type: "string" }, lines: { type: "array", items: { $ref: "#/$defs/line" } } },
  required: ["id"],
  $defs: { line: { type: "object", properties: { n: { type: "integer" } } } },
};
const SHOP = { $name: "shop", $version: "3", order_placed: ORDER, "shop/closed": null, Error: true };

/** How the name of a module ends that the runtime can import: old releases of Node run no TypeScript. */
const MODULE = "Deno" in globalThis || "Bun" in globalThis ? "ts" : "mjs";

const OPTIONS = { mounts: [{ dialect: "7.1", path: "/events" }], watchFolder: undefined } as const;

interface Hub {
  readonly served: Served;
  /** The events that are kept, without those of the endpoint. */
  read(query?: string): Promise<{ status: number; types: string[]; start: Record<string, unknown> }>;
  /** Publishes, and returns the status with the places of the faults. */
  post(type: string, event?: unknown): Promise<[status: number, ...paths: string[]]>;
  // deno-lint-ignore no-explicit-any
  api(): Promise<any>;
  text(path: string): Promise<string>;
}

async function hubOf(catalogue: string): Promise<Hub> {
  const served = await readServed({ ...OPTIONS, catalogue });
  const app = createApp(served.open(createChannel(served.catalogue)), { heartbeat: 5 });
  return {
    served,
    read: async (query = "") => {
      const response = await app.request(`http://localhost/events?since=earliest&follow=false${query}`);
      const text = await response.text();
      if (response.status !== 200) return { status: response.status, types: [], start: {} };
      const [start, ...events] = text.trim().split("\n").map((line) => JSON.parse(line));
      return { status: response.status, types: events.map(({ type }) => type), start: start.event };
    },
    post: async (type, event) => {
      const response = await app.request("http://localhost/events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ type, event }),
      });
      const { error } = await response.json();
      return [response.status, ...(error?.details ?? []).map(({ path }: { path: string }) => path)];
    },
    text: async (path) => await (await app.request(`http://localhost${path}`)).text(),
    api: async () => await (await app.request("http://localhost/openapi.json")).json(),
  };
}

/** Writes a file into a new folder, and removes both. */
async function withFile(
  name: string,
  contents: unknown,
  use: (file: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, name);
    await writeFile(file, typeof contents === "string" ? contents : JSON.stringify(contents));
    await use(file);
  });
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => "", (error: Error) => error.message);
}

test("--catalogue FILE.json validates, streams and describes the events of the file", async () => {
  await withFile("shop.json", SHOP, async (file) => {
    const hub = await hubOf(file);
    assert.equal(await hub.post("order_placed", { id: "o-1", lines: [{ n: 1 }] }), [202]);
    assert.equal(await hub.post("shop/closed"), [202]);
    assert.equal(await hub.post("Error", [1]), [202]);
    assert.equal(await hub.post("order_placed", { lines: [{ n: 0.5 }] }), [
      400,
      "event.id",
      "event.lines.0.n",
    ]);
    assert.equal(await hub.post("shop/closed", {}), [400, "event"]);
    assert.equal(await hub.post("tribler_started"), [400, "type"]);
    const { types, start } = await hub.read();
    assert.equal(start, { name: "shop", version: "3", heartbeat: 5 });
    assert.equal(types, ["order_placed", "shop/closed", "Error"]);
    const api = await hub.api();
    const result = await new Validator().validate(structuredClone(api));
    assert.ok(result.valid, JSON.stringify("errors" in result ? result.errors : ""));
    const { schemas } = api.components;
    const payload = schemas["order_placed.draft"].properties.event.$ref;
    assert.is(payload, "#/components/schemas/order_placed.payload");
    assert.is(schemas["order_placed.payload"].properties.lines.items.$ref, `${payload}/$defs/line`);
    assert.is(schemas["shop..closed.draft"].properties.type.const, "shop/closed");
    assert.is(schemas["Error.event.draft"].properties.type.const, "Error");
    assert.ok(schemas.Error.properties.error, "the schema of errors is still there");
  });
});

test("--catalogue examples/shop.json gives a hub with a page, metrics, and what forms are made from", async () => {
  const hub = await hubOf(fileURLToPath(new URL("../../examples/shop.json", import.meta.url)));
  assert.equal(hub.served.catalogue.types, ["order_placed", "price_changed", "shop_closed"]);
  assert.equal(await hub.post("price_changed", { article: "tea", price: 2, currency: "EUR" }), [202]);
  assert.equal(await hub.post("price_changed", { article: "tea", price: 2, currency: "DEM" }), [
    400,
    "event.currency",
  ]);
  const { schemas } = (await hub.api()).components;
  assert.equal(schemas["price_changed.payload"].properties.currency, { enum: ["EUR", "USD"] });
  assert.match(await hub.text("/"), /<title>Events<\/title>/);
  assert.match(
    await hub.text("/metrics"),
    /^events_endpoint_published_events_total\{type="price_changed"\} 1$/m,
  );
});

test("--catalogue FILE takes the catalogue that a module exports, its name and its version", async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const text = `import { defineEvents } from ${url("../../src/mod.ts")};
    import * as v from ${url("../../node_modules/valibot/dist/index.mjs")};
    export const version = "2.1";
    const subject = { tick: ({ n }) => "tick/" + n };
    export default defineEvents({ tick: v.object({ n: v.number() }) }, { subject });`;
  await withFile(`ticks.${MODULE}`, text, async (file) => {
    const hub = await hubOf(file);
    assert.equal(await hub.post("tick", { n: "1" }), [400, "event.n"]);
    assert.equal(await hub.post("tick", { n: 1 }), [202]);
    assert.equal((await hub.read("&subject=tick/1")).types, ["tick"]);
    assert.equal((await hub.read("&subject=tick/2")).types, []);
    assert.equal((await hub.read()).start, { name: "ticks", version: "2.1", heartbeat: 5 });
    const { schemas } = (await hub.api()).components;
    assert.is(schemas["tick.payload"].properties.n.type, "number");
    await writeFile(file, text.replaceAll("tick:", "tock:"));
    await hub.served.reload!();
    assert.equal(await hub.post("tick", { n: 1 }), [400, "type"]);
    assert.equal(await hub.post("tock", { n: 1 }), [202]);
  });
});

test("--catalogue any takes every type with any payload or none, but no control event", async () => {
  const hub = await hubOf("any");
  assert.equal(await hub.post("order/placed", { id: [1, null] }), [202]);
  assert.equal(await hub.post("constructor"), [202]);
  assert.equal(await hub.post("__proto__", null), [202]);
  assert.equal(await hub.post("events_lost", {}), [400, "type"]);
  assert.equal(await hub.post("two words"), [400, "type"]);
  const { types, start } = await hub.read();
  assert.equal(types, ["order/placed", "constructor", "__proto__"]);
  assert.equal(start, { name: "any", version: VERSION, heartbeat: 5 });
  assert.equal((await hub.read("&types=order/*,later")).types, ["order/placed"]);
  assert.equal((await hub.read("&types=never_seen")).types, []);
  const api = await hub.api();
  assert.ok((await new Validator().validate(structuredClone(api))).valid);
  assert.is(api.components.schemas.Draft.properties.type.type, "string");
  assert.is(hub.served.reload, undefined);
});

test("a catalogue that is read again adds types and removes others, whose events stay readable", async () => {
  await withFile("shop.json", SHOP, async (file) => {
    const hub = await hubOf(file);
    await hub.post("order_placed", { id: "o-1" });
    await hub.post("shop/closed");
    await writeFile(file, JSON.stringify({ order_placed: { ...ORDER, required: [] }, order_paid: null }));
    await hub.served.reload!();
    assert.equal(await hub.post("order_placed", {}), [202]);
    assert.equal(await hub.post("order_paid"), [202]);
    assert.equal(await hub.post("shop/closed"), [400, "type"]);
    const { types, start } = await hub.read();
    assert.equal(types, ["order_placed", "shop/closed", "order_placed", "order_paid"]);
    assert.equal((await hub.read("&types=shop/*")).types, ["shop/closed"]);
    assert.equal((await hub.read("&types=order_paid")).types, ["order_paid"]);
    assert.is((await hub.read("&types=other")).status, 400);
    assert.is(start["name"], "shop");
    assert.match(String(start["version"]), /^[0-9a-f]{12}$/);
    const { schemas } = (await hub.api()).components;
    assert.equal([typeof schemas["order_paid.draft"], typeof schemas["shop..closed.draft"]], [
      "object",
      "undefined",
    ]);
    await writeFile(file, "{");
    assert.match(await messageOf(hub.served.reload!()), /shop\.json:1:2: /);
    assert.equal(await hub.post("order_paid"), [202]);
  });
});

test("readCatalogue() rejects a wrong file in one line, with the place of the fault", async () => {
  const files: readonly (readonly [name: string, contents: unknown, message: RegExp])[] = [
    ["a.json", '{\n  "order": {,}\n}', /a\.json:2:13: expected a key in "quotes"$/],
    ["b.json", '{"order": null, "order": null}', /b\.json:1:17: the key "order" is there twice$/],
    ["c.json", [1], /c\.json: it must be one object, with a JSON Schema or null for each type$/],
    ["d.json", {}, /d\.json: it has no types$/],
    [
      "e.json",
      { order: { properties: { n: { type: "int" } } } },
      /e\.json: order\.properties\.n\.type: does not match/,
    ],
    ["f.json", { events_lost: null }, /f\.json: events_lost: is a control event of every stream/],
    ["g.json", { "two words": null }, /g\.json: "two words" cannot name an event: use 1 to 128/],
    ["h.json", { $version: 3, order: null }, /h\.json: \$version: must be a string, not 3$/],
    [
      "i.mjs",
      "export default { order: null };",
      /i\.mjs: its default export must be a catalogue made by defineEvents, not an object$/,
    ],
    ["j.mjs", "\nthrow new Error('no database');", /j\.mjs(?::2)?: it cannot be imported: no database$/],
    ["k.mjs", "export default {", /k\.mjs(?::\d+)?: it cannot be imported: /],
  ];
  for (const [name, contents, message] of files) {
    await withFile(name, contents, async (file) => {
      const line = await messageOf(readCatalogue(file));
      assert.match(line, message);
      assert.not.match(line, /\n/);
    });
  }
  assert.match(await messageOf(readCatalogue("/no/such.json")), /\/no\/such\.json: there is no such file$/);
});

test("serve --catalogue rejects options that need events which the catalogue lacks", async () => {
  const reject = async (options: object, message: RegExp) => {
    const error = await readServed({ ...OPTIONS, ...options } as never).then(
      () => undefined,
      (error) => error,
    );
    assert.instance(error, UsageError);
    assert.match(error.message, message);
  };
  await withFile("shop.json", SHOP, async (catalogue) => {
    await reject({ catalogue, watchFolder: "torrents" }, /^--watch-folder publishes torrent_discovered and /);
    await reject(
      { catalogue, mounts: [{ dialect: "8", path: "/api/events" }] },
      /^--dialect 8: the catalogue /,
    );
    await reject({ catalogue: `${catalogue}.missing` }, /there is no such file$/);
    await readServed({ ...OPTIONS, watchFolder: "torrents", catalogue: "any" });
  });
});

test("serve --catalogue starts Tribler's session if the catalogue has its events", async () => {
  const module = new URL("../../src/tribler/mod.ts", import.meta.url).href;
  await withFile(
    `core.${MODULE}`,
    `export { triblerEvents as default } from "${module}";`,
    async (catalogue) => {
      const served = await readServed({ ...OPTIONS, catalogue, watchFolder: "torrents" });
      const source = served.open(createChannel(served.catalogue));
      await source.start!();
      const { tribler_started, name } = source.startPayload("7.1") as Record<string, unknown>;
      assert.equal([tribler_started, name, source.channel.last], [true, "core", 1]);
    },
  );
});

test.run();
