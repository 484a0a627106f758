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
import { serving } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { HASH, isLive, KEY, onStage, reads, rows } from "./stage.ts";

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

async function isSound(page: Page, what: string): Promise<void> {
  assert.equal(await violations(page), [], what);
  const widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]") as [
    number,
    number,
  ];
  assert.ok(widths[0] <= widths[1], `${what}: ${widths.join(" of ")} px`);
}

for (
  const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 2560]] as const
) {
  run(
    `the page passes axe-core and does not overflow in ${colorScheme} colours at ${width} px`,
    async () => {
      await onStage({ colorScheme, width, height: 800, apiKey: KEY }, async ({ page, session }) => {
        await page.getByRole("dialog").waitFor();
        await isSound(page, "asking");
        await page.getByLabel("API key", { exact: true }).fill(KEY);
        await page.keyboard.press("Enter");
        await isLive(page);
        await isSound(page, "empty");
        for (const type of triblerEvents.types) {
          const event = triblerPayloads[type as keyof typeof triblerPayloads];
          session.channel.publishBatch([
            { type, event } as Parameters<typeof session.channel.publishBatch>[0][0],
          ]);
        }
        const endless = "x".repeat(5000);
        session.emit("torrent_finished", { infohash: HASH, name: endless });
        await reads(rows(page).first().locator(".type"), "torrent_finished");
        await page.locator("#types").evaluate((types) => types.setAttribute("open", ""));
        await page.locator("#type-list").getByRole("button", { name: "torrent_finished" }).click();
        await page.getByRole("button", { name: "Pause" }).click();
        await isSound(page, "filtered and paused");
        await page.getByRole("button", { name: "Show all types" }).click();
        await page.getByRole("button", { name: "Resume" }).click();
        await isSound(page, "with events");
        await rows(page).first().click();
        await isSound(page, "with details");
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
        await reads(dialog.getByRole("status"), "Not published: one issue");
        await isSound(page, "publishing");
        await page.keyboard.press("Escape");
        // The list stays visible in a low window.
        assert.ok((await page.locator("#list").boundingBox())!.height >= 100);
      });
    },
  );
}

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
        note: "",
        colour: "red",
        fixed: "yes",
        tree: { name: "" },
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
