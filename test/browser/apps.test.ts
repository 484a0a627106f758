/**
 * What the examples of `docs/apps.md` do in Chromium, and what `useEvents()` does under React's own rules.
 *
 * @module
 */
import { Hono } from "hono";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, type EventsEndpoint, eventsEndpoint } from "../../src/mod.ts";
import { endVisits, hasChromium, visiting } from "../support/chromium.ts";
import { serving, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { installTools } from "../support/tools.ts";
import { bundle, type Framework, FRAMEWORK_FOLDERS, FRAMEWORKS, readApps, RENDERED } from "./apps.ts";

const test = suite("apps");

installTools();

interface Order {
  readonly id: string;
  readonly total: number;
}

const shop = defineEvents({
  order_placed: v.object({ id: v.string(), total: v.number() }),
  noise: v.number(),
});

/** A shop whose feed can forget its past. */
function openShop() {
  const orders: Order[] = [];
  const open = () => {
    const channel = createChannel(shop);
    return { channel, endpoint: eventsEndpoint(channel) as EventsEndpoint };
  };
  let feed = open();
  let loads = 0;
  let requests = 0;
  const app = new Hono();
  app.get("/orders", (c) => {
    loads++;
    return c.json(orders);
  });
  app.all("/events", (c) => {
    requests++;
    return feed.endpoint.fetch(new Request(c.req.raw.url.replace("/events", "/"), c.req.raw), c.env);
  });
  return {
    app,
    loads: () => loads,
    requests: () => requests,
    subscribers: () => feed.endpoint.stats().subscribers,
    place(id: string, total: number): void {
      orders.push({ id, total });
      feed.channel.publish("order_placed", { id, total });
    },
    noise: (count: number) => {
      for (let n = 0; n < count; n++) feed.channel.publish("noise", n);
    },
    /** Places an order that no reader sees: the channel is another one, which does not know the positions of the old one. */
    forget(id: string, total: number): void {
      const { channel } = feed;
      feed = open();
      orders.push({ id, total });
      channel.close();
    },
  };
}

type Shop = ReturnType<typeof openShop>;

/** Serves modules at `/js/`, and pages that import them. */
function serveModules(app: Hono, code: ReadonlyMap<string, string>): void {
  app.get(
    "/js/:name",
    (c) => c.body(code.get(c.req.param("name")) ?? "", 200, { "Content-Type": "text/javascript" }),
  );
  app.get(
    "/page/:name",
    (c) =>
      c.html(`<!doctype html><title>app</title><div id="root"></div><script type="module">
      import * as app from "/js/${c.req.param("name")}.js";
      globalThis.app = app;
      globalThis.unmount = app.mount(document.getElementById("root"));
    </script>`),
  );
}

async function shows(page: Page, status: string, button: string, ...items: readonly string[]): Promise<void> {
  const wanted = JSON.stringify([status, button, ...items]);
  let now = "";
  await until(async () => {
    now = JSON.stringify(await page.locator("p, button, li").allTextContents());
    return now === wanted;
  }, `the page shows ${wanted}`).catch((error) => {
    throw new Error(`${error.message}, not ${now}`);
  });
}

async function tryApp(shop: Shop, page: Page): Promise<void> {
  await shows(page, "live", "Pause", "a: 1");
  shop.place("b", 2);
  await shows(page, "live", "Pause", "a: 1", "b: 2");
  await page.getByRole("button").click();
  await shows(page, "live", "Show 0 more", "a: 1", "b: 2");
  shop.place("c", 3);
  await shows(page, "live", "Show 1 more", "a: 1", "b: 2");
  await page.getByRole("button").click();
  await shows(page, "live", "Pause", "a: 1", "b: 2", "c: 3");
  shop.forget("d", 4);
  await shows(page, "live", "Pause", "a: 1", "b: 2", "c: 3", "d: 4");
  assert.is(shop.loads(), 2);
  assert.is(shop.subscribers(), 1);
  await page.evaluate("unmount()");
  await until(() => shop.subscribers() === 0, "it is disconnected");
}

/** Components with which React's rules are tried. */
const RULES = `
  import { createElement, useState, version } from "react";
  import { createRoot } from "react-dom/client";
  import { defineEvents } from "events-endpoint";
  import { useEvents } from "events-endpoint/react";

  export { version };
  let renders = 0;
  export const rendered = () => renders;
  let setOptions;
  export const change = (options) => setOptions(options);

  const anything = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };

  function Count() {
    const [{ types, step, isLoop }, set] = useState({ types: ["noise"], step: 1 });
    setOptions = set;
    renders++;
    const { state, status, error } = useEvents("/events", {
      types,
      catalogue: defineEvents({ noise: anything, order_placed: anything }),
      ...(isLoop && { since: new Date(Date.now() - 60_000 - renders).toISOString() }),
      initial: 0,
      reduce: (count) => count + step,
      headers: () => ({}),
      reconnect: { min: 0.5, max: 30 },
    });
    return createElement("p", null, status + " " + state + (error?.message ?? ""));
  }

  export function mount(element) {
    const root = createRoot(element);
    root.render(createElement(Count));
    return () => root.unmount();
  }`;

const SERVER = `
  import { createElement } from "react";
  import { renderToString } from "react-dom/server";
  import { OrderList } from "./react/example.tsx";
  export const html = renderToString(createElement(OrderList));`;

if (hasChromium) {
  test("the examples of docs/apps.md show orders, pause, load them again after a loss, and disconnect", async () => {
    const { modules, files } = await readApps();
    const code = await bundle(modules, files);
    const tryOne = async (framework: Framework) => {
      const shop = openShop();
      serveModules(shop.app, code);
      shop.place("a", 1);
      await serving(shop.app, (url) =>
        visiting({ url: `${url}/page/${framework}` }, async (page) => {
          await tryApp(shop, page).catch((error) => {
            throw new Error(`${framework}: ${error.message}`);
          });
        }));
    };
    await Promise.all(FRAMEWORKS.map(tryOne));
  });

  const rules = async (frameworks: string, version: RegExp) => {
    const code = await bundle({ rules: RULES }, {}, "browser", frameworks);
    const shop = openShop();
    serveModules(shop.app, code);
    await serving(shop.app, (url) =>
      visiting({ url: `${url}/page/rules` }, async (page) => {
        const reads = (text: string) =>
          until(async () => await page.locator("p").textContent() === text, `it reads ${text}`);
        await reads("live 0");
        assert.match(await page.evaluate("app.version") as string, version);
        const before = Number(await page.evaluate("app.rendered()"));
        shop.noise(2000);
        await reads("live 2000");
        const renders = Number(await page.evaluate("app.rendered()")) - before;
        assert.ok(renders < 60, `${renders} renders for 2000 events`);
        await page.evaluate('app.change({ types: ["noise"], step: 10 })');
        await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))");
        assert.is(shop.requests(), 1);
        shop.noise(1);
        await reads("live 2010");
        await page.evaluate('app.change({ types: ["order_placed"], step: 1 })');
        await reads("live 0");
        assert.is(shop.requests(), 2);
        await until(() => shop.subscribers() === 1, "the other stream is closed");
        shop.place("a", 1);
        await reads("live 1");
        const told = page.waitForEvent("console", { predicate: (message) => message.type() === "error" });
        await page.evaluate("app.change({ types: [], step: 1, isLoop: true })");
        assert.match((await told).text(), "because since differs at each render");
        await page.evaluate('app.change({ types: ["order_placed"], step: 1 })');
        await reads("live 0");
        await until(() => shop.subscribers() === 1, "the loop is over");
        await page.evaluate("unmount()");
        await until(() => shop.subscribers() === 0, "it is disconnected");
      }));
  };
  for (const [folder, version] of [["newest", /^19\./], ["react18", /^18\./]] as const) {
    test(`useEvents() renders once for many events, calls new functions, and begins anew for other values (${folder})`, () =>
      rules(FRAMEWORK_FOLDERS[folder], version));
  }

  test.after(endVisits);
}

test("useEvents() renders the option initial on a server, and requests nothing", async () => {
  const { files } = await readApps();
  const code = await bundle({ server: SERVER }, files, "node");
  const folder = await mkdtemp(join(tmpdir(), "events-endpoint-"));
  try {
    await writeFile(join(folder, "server.mjs"), code.get("server.js")!);
    const { html } = await import(join(folder, "server.mjs"));
    assert.is(html, RENDERED);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
