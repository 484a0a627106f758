/**
 * How the live page looks, and forms for schemas that no event of Tribler has.
 *
 * @module
 */
import { Hono } from "hono";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import * as assert from "uvu/assert";
import { triblerEvents } from "../../src/tribler/mod.ts";
import { endVisits, hasChromium, servePage, serveScript, visiting } from "../support/chromium.ts";
import { serving, until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { HASH, isLive, KEY, onStage, reads, rows, SIZES } from "./stage.ts";

const test = suite("page looks");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

/** axe-core, as it is run in a page. */
const axe: string = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** The faults that axe-core finds in the page as it is now. */
async function violations(page: Page): Promise<unknown[]> {
  await page.evaluate(axe);
  const options = `{ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }`;
  const found = `(await axe.run(document, ${options})).violations`;
  const brief =
    `${found}.map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html.slice(0, 200), any.map(({ message }) => message)])])`;
  return await page.evaluate(`(async () => ${brief})()`);
}

/** What stands on the page over something else, is cut off, or makes the page wider than its window. */
const MISPLACED = `(() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is " + document.documentElement.scrollWidth + " px wide");
  const visible = [...document.querySelectorAll("header, .rates, .types, .events, .beside")]
    .map((element) => [element.className || element.tagName, element.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 0 && height > 0);
  for (const [i, [name, a]] of visible.entries()) {
    for (const [other, b] of visible.slice(i + 1)) {
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) found.push(name + " over " + other);
    }
  }
  const inside = [[".rates", ".rates-head"], [".rates", "canvas"], [".events", ".toolbar"], [".events", ".about"], [".events", ".list"]];
  for (const [outer, inner] of inside) {
    const [a, b] = [outer, inner].map((one) => document.querySelector(one).getBoundingClientRect());
    if (b.top < a.top || b.bottom > a.bottom + 1 || b.right > a.right + 1) found.push(inner + " sticks out of " + outer);
  }
  for (const type of document.querySelectorAll(".row .type")) {
    const { lastChild, clientWidth, scrollWidth, textContent } = type;
    if (scrollWidth > clientWidth || lastChild.scrollWidth > lastChild.clientWidth) found.push(textContent + " is cut at its end");
  }
  if (document.querySelector("#list").clientHeight < 160) found.push("the list is low");
  return found;
})()`;

run("the page passes axe-core in both colours, and nothing covers anything at any size", async () => {
  await onStage({ width: 1280, height: 800, apiKey: KEY }, async ({ page, session }) => {
    const isSound = async (what: string) => assert.equal(await violations(page), [], what);
    const look = async (colorScheme: "light" | "dark", width: number, height: number) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
    };
    await page.getByRole("dialog").waitFor();
    await isSound("asking for the key");
    await page.getByRole("button", { name: "Cancel" }).click();
    await reads(page.locator("#empty-why"), "A key is missing.");
    assert.not(await page.locator(".load").isVisible(), "the chart offers nothing to load");
    await page.locator("#empty").getByRole("button", { name: "Enter the key…" }).click();
    await page.getByLabel("API key", { exact: true }).fill(KEY);
    await page.keyboard.press("Enter");
    await isLive(page);
    await reads(page.locator("#empty-why"), "No events yet.");
    await isSound("empty");
    for (const type of triblerEvents.types) {
      const event = triblerPayloads[type as keyof typeof triblerPayloads];
      session.channel.publishBatch([
        { type, event } as Parameters<typeof session.channel.publishBatch>[0][0],
      ]);
    }
    session.emit("torrent_finished", { infohash: HASH, name: "x".repeat(5000) });
    await reads(rows(page).first().locator(".type"), "torrent_finished");
    await rows(page).first().locator(".time").click();
    await page.keyboard.press("p");
    await page.locator(".pinned").waitFor();
    for (const [i, [width, height]] of SIZES.entries()) {
      await look(i % 2 === 0 ? "light" : "dark", width, height);
      await until(
        async () => (await page.evaluate(MISPLACED) as string[]).length === 0,
        "nothing is misplaced",
      )
        .catch(async () => assert.equal(await page.evaluate(MISPLACED), [], `${width} x ${height}`));
    }

    await look("dark", 360, 760);
    await page.locator("#types").evaluate((types) => types.setAttribute("open", ""));
    await page.locator("#type-list").getByRole("button", { name: "torrent_finished" }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await isSound("narrow, filtered and paused");
    await page.locator("#all-types").click();
    await rows(page).first().locator(".time").click();
    await isSound("narrow, with details");
    await page.keyboard.press("Escape");
    await look("light", 1280, 800);
    await rows(page).first().locator(".time").click();
    await isSound("with details");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Filter and shortcut keys" }).waitFor();
    await isSound("help");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    await dialog.getByRole("combobox", { name: "type" }).selectOption("market_iom_input_required");
    await dialog.getByRole("button", { name: "Add to required_fields" }).click();
    for (const name of ["error_text", "image"]) {
      await dialog.getByRole("button", { name: `Add ${name}` }).click();
    }
    await dialog.getByRole("textbox", { name: "image" }).fill("no base64");
    await dialog.getByRole("button", { name: "Publish", exact: true }).click();
    await reads(dialog.getByRole("status"), /^Not published: \d issues$/);
    await isSound("publishing");
    await look("dark", 1280, 800);
    await isSound("publishing, dark");
    await page.keyboard.press("Escape");
    await isSound("dark");
  });
});

run("createField() makes unions, choices and optional parts, and JSON for other schemas", async () => {
  const app = new Hono();
  servePage(app, "");
  await serveScript(app, "src/page/form.ts");
  const schema = {
    type: "object",
    properties: {
      note: { anyOf: [{ type: "string" }, { type: "null" }] },
      count: { type: ["integer", "null"] },
      colour: { enum: ["red", "green", 3] },
      fixed: { const: "yes" },
      any: {},
      record: { type: "object", additionalProperties: { type: "number" } },
      tree: { $ref: "#/tree" },
      both: {
        allOf: [{ type: "object", properties: { a: { type: "boolean" } }, required: ["a"] }],
        title: "Both",
      },
      shape: {
        oneOf: [
          { type: "object", title: "circle", properties: { r: { type: "number" } }, required: ["r"] },
          { type: "object", title: "square", properties: { a: { type: "number" } }, required: ["a"] },
        ],
      },
    },
    required: ["note", "count", "colour", "fixed", "any", "record", "tree", "both", "shape"],
  };
  const tree = {
    type: "object",
    properties: { left: { $ref: "#/tree" }, name: { type: "string" } },
    required: ["name"],
  };
  await serving(app, (url) =>
    visiting({ url }, async (page) => {
      await page.evaluate(`(async () => {
        const { createField } = await import("/js/form.js");
        globalThis.make = (value) => {
          globalThis.field = createField(${JSON.stringify(schema)}, () => (${
        JSON.stringify(tree)
      }), "event", value);
          document.body.replaceChildren(field.element);
        };
        make();
      })()`);
      const read = async () => await page.evaluate("field.read()");
      assert.equal(await read(), {
        colour: "red",
        fixed: "yes",
        tree: {},
        both: { a: false },
        shape: {},
      });
      await page.getByRole("combobox", { name: "note: which kind" }).selectOption("null");
      await page.getByRole("textbox", { name: "count" }).fill("-7");
      await page.getByRole("combobox", { name: "colour" }).selectOption("3");
      await page.getByRole("textbox", { name: "any" }).fill("[1, null]");
      await page.getByRole("textbox", { name: "record" }).fill('{"x":1.5}');
      await page.getByRole("button", { name: "Add left" }).click();
      await page.locator(".optional").getByRole("textbox", { name: "name" }).fill("inner");
      // A blank text is sent where it was touched.
      await page.getByRole("textbox", { name: "name" }).last().fill("x");
      await page.getByRole("textbox", { name: "name" }).last().fill("");
      await page.getByRole("checkbox", { name: "a" }).check();
      await page.getByRole("combobox", { name: "shape: which kind" }).selectOption("square");
      await page.locator(".union").last().getByRole("textbox").fill("2.5");
      const value = {
        note: null,
        count: -7,
        colour: 3,
        fixed: "yes",
        any: [1, null],
        record: { x: 1.5 },
        tree: { left: { name: "inner" }, name: "" },
        both: { a: true },
        shape: { a: 2.5 },
      };
      assert.equal(await read(), value);
      await page.evaluate(`make(${JSON.stringify(value)})`);
      assert.equal(await read(), value, "it reads back its own value");
      await page.evaluate(
        'field.showIssue("tree.left.name", "too short"); field.showIssue("shape.a", "odd"); field.showIssue("x.y", "unknown")',
      );
      assert.equal((await page.locator(".issues").allTextContents()).filter(Boolean), [
        "x.y: unknown",
        "too short",
        "odd",
      ]);
      await page.getByRole("button", { name: "Leave out left" }).click();
      assert.equal((await read() as typeof value).tree, { name: "" } as typeof value.tree);
    }));
});

test.run();
