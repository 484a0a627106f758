/**
 * The forms and keys of the live page, in Chromium. Without Chromium the tests are skipped; in CI they fail.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { Hono } from "hono";
import type { Locator } from "playwright-core";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { createChannel, defineEvents, eventsEndpoint } from "../../src/mod.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { eventsPage, openApiHandler } from "../../src/server/mod.ts";
import { sse } from "../../src/stream/wire_format.ts";
import { running, startProgram } from "../support/children.ts";
import { endVisits, hasChromium, visiting } from "../support/chromium.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { HASH, hubOf, isLive, KEY, onStage, reads, rows, tick } from "./stage.ts";

const test = suite("page: forms");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

run("the page publishes from a form, and shows each issue at its field", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    const field = (name: string) => dialog.getByRole("textbox", { name });
    const send = dialog.getByRole("button", { name: "Publish", exact: true });
    await dialog.getByRole("combobox", { name: "type" }).selectOption("torrent_discovered");
    await field("infohash").fill(HASH);
    await field("name").fill("Sintel");
    await field("timestamp").fill("soon");
    await field("dispersy_cid").fill(HASH);
    for (const [path, size] of [["film.mkv", "700"], ["text.srt", "9007199254740993"]]) {
      await dialog.getByRole("button", { name: "Add to files" }).click();
      const item = dialog.locator(".item").last();
      await item.getByRole("textbox", { name: "path" }).fill(path!);
      await item.getByRole("textbox", { name: "size" }).fill(size!);
    }
    await dialog.getByRole("button", { name: "Add to trackers" }).click();
    await dialog.locator(".item").last().getByRole("textbox").fill("udp://tracker.example.org");
    await send.click();
    await reads(dialog.getByRole("status"), "Not published: 2 issues");
    assert.is(session.channel.last, 0);
    /** The description of a field, as it is read aloud. */
    const description = async (input: Locator) => {
      assert.is(await input.getAttribute("aria-invalid"), "true");
      return await dialog.locator(`#${await input.getAttribute("aria-describedby")}`).textContent();
    };
    assert.is(await description(field("timestamp")), 'must be a number, not "soon"');
    const size = dialog.locator(".item").nth(1).getByRole("textbox", { name: "size" });
    assert.is(await description(size), 'must be a number, not "9007199254740993"');
    assert.is(await dialog.locator("[aria-invalid]").count(), 2);
    assert.ok(await field("timestamp").evaluate((input) => input === input.ownerDocument.activeElement));

    await field("timestamp").fill("1536573421");
    await size.fill("0");
    await send.click();
    await reads(dialog.getByRole("status"), /^Published as \w+-1$/);
    assert.is(await dialog.locator("[aria-invalid]").count(), 0);
    const { json } = (await session.channel.batches("earliest").next()).value!.entries[0]!;
    assert.equal(JSON.parse(json).event, {
      infohash: HASH,
      timestamp: 1536573421,
      name: "Sintel",
      files: [["film.mkv", 700], ["text.srt", 0]],
      trackers: ["udp://tracker.example.org"],
      dispersy_cid: HASH,
    });
    await page.keyboard.press("Escape");
    await reads(rows(page).first().locator(".summary"), "Sintel (2 files, 700 B) 08ada5a7…");
  });
});

run("the page sends the key that a server requires, and puts it in no address", async () => {
  await onStage({ apiKey: KEY }, async ({ page, session, url }) => {
    const dialog = page.getByRole("dialog", { name: "This server requires an API key" });
    const give = async (key: string) => {
      await dialog.waitFor();
      await dialog.getByLabel("API key", { exact: true }).fill(key);
      await dialog.getByRole("button", { name: "Connect" }).click();
    };
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    await give("wrong");
    await reads(page.locator("#asking-why"), "The server rejected the key.");
    await give(KEY);
    await isLive(page);
    tick(session, "secret");
    await reads(rows(page).locator(".summary"), "secret");
    await rows(page).first().locator(".time").click();
    await page.getByRole("button", { name: "Copy as curl" }).click();
    await until(
      async () => (await page.evaluate("navigator.clipboard.readText()") as string).startsWith("curl "),
      "the command is copied",
    );
    const command = await page.evaluate("navigator.clipboard.readText()") as string;
    assert.match(command, '-H "X-Api-Key: $EVENTS_API_KEY"');
    assert.not.match(command, KEY);
    await running(startProgram("bash", ["-c", `EVENTS_API_KEY='${KEY}'; ${command}`]), async (child) => {
      await child.stdout.match(/"accepted":1/);
    });
    await page.getByRole("button", { name: "Publish…" }).click();
    const publishing = page.getByRole("dialog", { name: "Publish an event" });
    await publishing.getByRole("combobox", { name: "type" }).selectOption("tribler_started");
    await publishing.getByRole("button", { name: "Publish", exact: true }).click();
    await reads(publishing.getByRole("status"), /^Published as/);
    await until(() => page.url().startsWith(`${url}?event=`), "the open event stands in the address");
    await page.reload();
    await isLive(page);
    assert.not.match(decodeURIComponent(page.url()), KEY);
    assert.ok(addresses.length > 5);
    for (const address of addresses) assert.not.match(decodeURIComponent(address), KEY);
  });
});

run("eventsPage() below a path publishes an event of its own catalogue from a form", async () => {
  const order = v.object({ id: v.string(), total: v.number() });
  const channel = createChannel(defineEvents({ order_placed: order, shop_closed: null }));
  const endpoint = eventsEndpoint(channel);
  const app = new Hono().route("/api/events", endpoint)
    .get("/api/openapi.json", openApiHandler(endpoint, { path: "/api/events" }))
    .route("/shop/live", eventsPage({ endpoint: "/api/events", openApi: "/api/openapi.json" }))
    .route("/shop/plain", eventsPage({ endpoint: "/api/events" }));
  const server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port: 0 });
  try {
    const url = `http://127.0.0.1:${server.port}/shop`;
    await visiting({ url: `${url}/live` }, async (page) => {
      await isLive(page);
      const legend = page.locator("#legend li:visible");
      await until(
        async () => (await legend.allTextContents()).join() === "trouble 0 in 5 min,order 0/s,shop 0/s",
        "it has the groups",
      );
      await page.getByRole("button", { name: "Publish…" }).click();
      const dialog = page.getByRole("dialog", { name: "Publish an event" });
      await dialog.getByRole("textbox", { name: "id" }).fill("o-1");
      await dialog.getByRole("textbox", { name: "total" }).fill("42");
      await dialog.getByRole("button", { name: "Publish", exact: true }).click();
      await reads(dialog.getByRole("status"), /^Published as /);
      await dialog.getByRole("button", { name: "Close" }).click();
      await reads(rows(page).first(), /order_placed.*o-1/s);
      assert.is(await page.locator(".row[data-group=blue]").count(), 1);
      await page.goto(`${url}/plain`); // Without schemas: any type, with JSON.
      await isLive(page);
      await page.getByRole("button", { name: "Publish…" }).click();
      await dialog.getByRole("textbox", { name: "type" }).fill("order_placed");
      await dialog.locator("textarea").fill('{"id": "o-2", "total": 1}');
      await dialog.getByRole("button", { name: "Publish", exact: true }).click();
      await reads(dialog.getByRole("status"), /^Published as /);
    });
  } finally {
    channel.close();
    await server.stop(0);
  }
});

run("eventsPage() shows the events of an endpoint that has SSE alone", async () => {
  const channel = createChannel(defineEvents({ shop_opened: null, shop_closed: null }));
  channel.publish("shop_opened");
  const app = new Hono().route("/events", eventsEndpoint(channel, { wireFormat: sse }))
    .route("/live", eventsPage());
  const server = await listen(app.fetch as Fetch, { host: "127.0.0.1", port: 0 });
  try {
    await visiting({ url: `http://127.0.0.1:${server.port}/live` }, async (page) => {
      await isLive(page);
      await reads(rows(page).first(), /shop_opened/);
      channel.publish("shop_closed");
      await reads(rows(page).first(), /shop_closed/);
    });
  } finally {
    channel.close();
    await server.stop(0);
  }
});

run("the page has a form for a JSON Schema of serve --catalogue FILE, with what it refers to", async () => {
  const session = await hubOf(fileURLToPath(new URL("../../examples/shop.json", import.meta.url)));
  await onStage({ session }, async ({ page }) => {
    await isLive(page);
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    const field = (name: string) => dialog.getByRole("textbox", { name });
    await dialog.getByRole("combobox", { name: "type" }).selectOption("order_placed");
    await field("id").fill("o-1");
    await field("total").fill("42");
    await dialog.getByRole("button", { name: "Add lines" }).click();
    await dialog.getByRole("button", { name: "Add to lines" }).click();
    await field("article").fill("tea");
    await field("amount").fill("0");
    const send = dialog.getByRole("button", { name: "Publish", exact: true });
    await send.click();
    await dialog.getByText("0 is less than 1").waitFor();
    await field("amount").fill("2");
    await field("subject").fill("order 1");
    await send.click();
    await dialog.locator("#publish-subject").getByText('not "order 1"').waitFor();
    await field("subject").fill("order/1");
    await send.click();
    await reads(dialog.getByRole("status"), /^Published as \w+-1$/);
    const { json } = (await session.channel.batches("earliest").next()).value!.entries[0]!;
    const { subject, event } = JSON.parse(json);
    assert.equal([subject, event], ["order/1", {
      id: "o-1",
      total: 42,
      lines: [{ article: "tea", amount: 2 }],
    }]);
  });
});

run("the page publishes any type with any JSON to serve --catalogue any", async () => {
  const session = await hubOf("any");
  await onStage({ session }, async ({ page }) => {
    await isLive(page);
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    const send = dialog.getByRole("button", { name: "Publish", exact: true });
    await dialog.getByRole("textbox", { name: "type" }).fill("order placed");
    await send.click();
    await reads(dialog.locator("#publish-issues"), /^type: "order placed" cannot name an event/);
    await dialog.getByRole("textbox", { name: "type" }).fill("order/placed");
    await reads(dialog.locator("#publish-issues"), "");
    await dialog.getByRole("textbox", { name: "event" }).fill('{"id": 1}');
    await send.click();
    await reads(dialog.getByRole("status"), /^Published as \w+-1$/);
    const { json } = (await session.channel.batches("earliest").next()).value!.entries[0]!;
    assert.equal([JSON.parse(json).type, JSON.parse(json).event], ["order/placed", { id: 1 }]);
  });
});

test.run();
