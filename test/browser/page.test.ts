/**
 * The live page and its server: in Chromium, driven as a person would. Without Chromium the tests are skipped; in CI they fail.
 *
 * @module
 */
import * as assert from "uvu/assert";
import { createSession } from "../../src/tribler/mod.ts";
import { running, startProgram } from "../support/children.ts";
import { endVisits, hasChromium } from "../support/chromium.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { connection, HASH, isLive, onStage, reads, rows, tick } from "./stage.ts";

const test = suite("page");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

run(
  "the page shows an event that was POSTed, whole on a click, and copies it as JSON and as a command",
  async () => {
    await onStage({}, async ({ page, session, url }) => {
      await isLive(page);
      await reads(connection(page), "Live, version 7.1.5");
      const name = `<img src=x onerror="document.title='hacked'"> it's\u202e \\`;
      const body = JSON.stringify({ type: "torrent_finished", event: { infohash: HASH, name } });
      const posted = await fetch(`${url}events`, {
        method: "POST",
        body,
        headers: { "Content-Type": "application/json" },
      });
      assert.is(posted.status, 202);
      await reads(rows(page).first().locator(".summary"), `${name.replace("\u202e", "\\u202e")} 08ada5a7…`);
      await rows(page).first().locator(".time").click();
      const details = page.getByRole("dialog", { name: "torrent_finished" });
      const shown = JSON.parse((await details.locator("pre").textContent())!);
      assert.equal([shown.type, shown.event.name, typeof shown.id], ["torrent_finished", name, "string"]);
      assert.is(await page.title(), "Events");

      await details.getByRole("button", { name: "Copy JSON" }).click();
      await details.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(JSON.parse(await page.evaluate("navigator.clipboard.readText()")), shown);
      await details.getByRole("button", { name: "Copy as curl" }).click();
      await until(
        async () => (await page.evaluate("navigator.clipboard.readText()") as string).startsWith("curl "),
        "the command is copied",
      );
      const command = await page.evaluate("navigator.clipboard.readText()") as string;
      assert.not.match(command, "--json", "curl has that since 7.82 only");
      await running(startProgram("bash", ["-c", command]), async (child) => {
        await child.stdout.match(/"accepted":1/);
      });
      await until(async () => await rows(page).count() === 2, "it is listed a second time");
      const again = JSON.parse((await session.channel.batches("earliest").next()).value!.entries[1]!.json);
      assert.equal(again.event, shown.event);
    });
  },
);

run(
  "the page retries while the server is down, says why, and reports a loss when the server forgot its events",
  async () => {
    await onStage({ width: 360, height: 740 }, async ({ page, session, restart }) => {
      await isLive(page);
      tick(session, "before");
      await reads(rows(page).locator(".summary"), "before");
      const height = async () => (await page.locator("header").boundingBox())!.height;
      const before = await height();
      const after = createSession({ version: "7.1.6" });
      await restart(after, async () => {
        const words =
          /^Reconnecting: the (?:connection was lost|server cannot be reached) \((?:in\s+\d+\ss|now)\)\s*$/;
        await reads(connection(page), words);
        await reads(page.locator("#rates-title"), "– events/s"); // Not 0, which nothing has reported.
        assert.is(await height(), before, "what the connection says moves nothing");
      });
      await reads(connection(page), "Live, version 7.1.6");
      tick(after, "after");
      await reads(rows(page).first().locator(".summary"), "after");
      assert.equal(await rows(page).locator(".summary").allTextContents(), [
        "after",
        "Events lost: server restarted",
        "before",
      ]);
      await reads(
        page.locator("#lost"),
        /^Some events lost at [\d:]+: server restarted$/,
      );
    });
  },
);

test.run();
