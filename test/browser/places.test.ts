/**
 * What stays in its place on the live page, and in sight, at each size of its window. In Chromium.
 *
 * @module
 */
import type { Page } from "playwright-core";
import * as assert from "uvu/assert";
import { attemptTime } from "../../src/page/status_text.ts";
import { createSession, type Session, triblerEvents } from "../../src/tribler/mod.ts";
import { endVisits, hasChromium } from "../support/chromium.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { HASH, hubOf, isLive, KEY, onStage, reads, rows, SIZES, tick } from "./stage.ts";

const test = suite("page places");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

/** Where the elements of a selector are, by what they say. */
async function places(page: Page, selector: string): Promise<Record<string, number[]>> {
  return await page.evaluate(`(() => {
    const visible = [...document.querySelectorAll(${
    JSON.stringify(selector)
  })].filter((one) => one.offsetParent !== null);
    return Object.fromEntries(visible.map((one) => {
      const { left, top, width, height } = one.getBoundingClientRect();
      return [one.id || one.textContent, [left, top, width, height]];
    }));
  })()`) as Record<string, number[]>;
}

/** The controls in the window that something covers; a sheet and a dialog may. */
const COVERED = `[...document.querySelectorAll("button, input, select")].filter((control) => {
  const { left, top, right, bottom } = control.getBoundingClientRect();
  if (!control.checkVisibility({ visibilityProperty: true }) || top < 0 || bottom > innerHeight) return false;
  const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const scroller = control.closest("#types, #pins, #details, .beside");
  const isScrolled = scroller !== null && bottom > scroller.getBoundingClientRect().bottom;
  return !control.contains(found) && !isScrolled && (innerWidth > 700 || found?.closest("#details") === null);
}).map((control) => control.id || control.textContent)`;

run("a click on a row, and its pin, move nothing and cover nothing", async () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 1; n <= 60; n++) tick(session, `${n}`);
  await onStage({ session }, async ({ page, url }) => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await page.goto(url);
      await reads(rows(page).first().locator(".summary"), "60");
      await reads(page.locator("#amounts"), "60 events");
      const pinned = page.locator(".pinned");
      const all = "header button, #spans button, .toolbar > *, .filter > *, .about *, #list, .row";
      await rows(page).first().scrollIntoViewIfNeeded();
      const before = await places(page, all);
      const isUnmoved = async (what: string) =>
        assert.equal(await places(page, all), before, `${what}, ${width} x ${height}`);
      for (let n = 0; n < 4; n++) {
        await rows(page).nth(n).locator(".time").dispatchEvent("click"); // Where the sheet covers it too.
        await reads(page.locator("#details-summary"), `${60 - n}`);
        await isUnmoved(`event ${n} is shown`);
        const ofDetails = await places(page, "#details button");
        await page.locator("#pin").click();
        await until(async () => await pinned.count() === n + 1, "it is pinned");
        await isUnmoved(`event ${n} is pinned`);
        const { pin, ...others } = await places(page, "#details button");
        assert.equal({ ...others, pin }, ofDetails, `the buttons of event ${n}, ${width} x ${height}`);
        assert.equal(await page.evaluate(COVERED), [], `${n + 1} pins, ${width} x ${height}`);
      }
      await page.locator("#details-close").click();
      await pinned.first().scrollIntoViewIfNeeded();
      await pinned.first().click();
      await reads(page.locator("#details-summary"), "57");
      await page.evaluate("sessionStorage.clear()");
    }
  });
});

run("a walk through the events moves no button of the details, and a pin stays at the pointer", async () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 1; n <= 60; n++) tick(session, `${n}`);
  for (const type of ["market_ask", "search_result_torrent", "watch_folder_corrupt_torrent"] as const) {
    session.emit(type, triblerPayloads[type]);
  }
  tick(session, "a text of several lines ".repeat(12));
  await onStage({ session }, async ({ page, url }) => {
    for (const [width, height] of [SIZES[0], SIZES[1], SIZES[3]]) {
      await page.setViewportSize({ width, height });
      await page.goto(url);
      const time = rows(page).first().locator(".time");
      await time.scrollIntoViewIfNeeded();
      const scrolled = async () => await page.evaluate("scrollY");
      const atFirst = await scrolled();
      await time.click();
      await page.locator("#details").waitFor();
      assert.is(await scrolled(), atFirst, `a click scrolls nothing, ${width} x ${height}`);
      const older = page.locator("#details-older");
      await older.scrollIntoViewIfNeeded();
      const before = await places(page, "#details button");
      for (let n = 0; n < 8; n++) {
        await page.locator("#pin").click();
        await older.click();
        const active = page.locator(`.row[aria-selected=true][aria-rowindex="${n + 2}"]`);
        await active.waitFor({ state: "attached" });
        assert.equal(await places(page, "#details button"), before, `step ${n}, ${width} x ${height}`);
      }
      await page.locator("#details-close").click();
      const pin = page.locator(".pinned").first();
      await pin.scrollIntoViewIfNeeded();
      const place = await pin.boundingBox();
      await pin.click();
      await page.locator("#details").waitFor();
      assert.equal(await pin.boundingBox(), place, `the pin stays, ${width} x ${height}`);
      const unpin = page.locator("#pins li").nth(1).getByRole("button", { name: /^Unpin/ });
      await unpin.click();
      await until(async () => await page.locator(".pinned").count() === 7, "one is unpinned");
      assert.ok(await page.locator("#details").isVisible(), `the details stay open, ${width} x ${height}`);
      await page.evaluate("sessionStorage.clear()");
    }
  });
});

run("the tools stay in their places whatever the list starts with, and say it whole", async () => {
  await onStage({}, async ({ page, url }) => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await page.goto(url);
      await isLive(page);
      const tools = ".toolbar > *, .filter > *, #spans button, #chart";
      await page.locator("#legend button").filter({ visible: true }).nth(4).waitFor();
      const before = await places(page, tools);
      const since = page.getByRole("combobox", { name: "Start with" });
      for (const [start, address] of [["noon", "?since=20"], ["earliest", "?since=earliest"]] as const) {
        await since.selectOption(start);
        await until(() => page.url().includes(address), "it is asked");
        assert.equal(await places(page, tools), before, `${start}, ${width}`);
      }
      await page.evaluate(`document.querySelectorAll("#legend b").forEach((rate) => {
        rate.textContent = rate.closest("[data-group=trouble]") ? "999 in 5 min" : "9.9k/s";
      })`);
      assert.equal(await places(page, tools), before, `whatever the rates are, ${width}`);
    }
    const needed = await page.locator("#since").evaluate((select) => {
      const { options } = select as HTMLSelectElement;
      options[0]!.textContent = "Since Nov 28 12:00";
      const { offsetWidth } = select as HTMLElement;
      (select as HTMLElement).style.width = "auto";
      return [(select as HTMLElement).offsetWidth <= offsetWidth, offsetWidth];
    });
    assert.ok(needed[0], `more than ${needed[1]} px`);
  });
});

run("a group that comes stands last in the legend, in a colour of its own, and moves nothing", async () => {
  const words = ["order", "user", "deploy", "market", "watch", "averyveryverylongword"];
  for (const [width, height] of [SIZES[0], SIZES[1], SIZES[3]]) {
    const session = await hubOf("any");
    await onStage({ session, width, height }, async ({ page }) => {
      const groups = page.locator("#legend li");
      await reads(groups, /^trouble 0 in/);
      const around = "#spans button, #chart, #types summary, #filter, #since, #pause, #list, #download-csv";
      const before = await places(page, around);
      /** Where the groups begin; their figures and widths may change. */
      const starts = async () =>
        Object.values(await places(page, "#legend button")).map(([left, top]) => [left, top]);
      let groupsBefore = await starts();
      for (const [i, word] of words.entries()) {
        session.channel.publishBatch(
          [{ type: `${word}_placed`, event: {} }] as unknown as Parameters<
            typeof session.channel.publishBatch
          >[0],
        );
        await reads(rows(page).first().locator(".type"), `${word}_placed`);
        await until(async () => await groups.count() === Math.min(i + 2, 6), `${word} is in the legend`);
        const now = await starts();
        assert.equal(now.slice(0, groupsBefore.length), groupsBefore, `${word}, ${width} x ${height}`);
        assert.equal(await places(page, around), before, `${word}, ${width} x ${height}`);
        groupsBefore = now;
      }
      const colours = await page.locator("#legend .dot").evaluateAll((dots) =>
        dots.map((dot) => getComputedStyle(dot as Element).backgroundColor)
      );
      assert.is(new Set(colours).size, 6, `${colours}`);
      const wide = await groups.evaluateAll((items) =>
        (items as Element[]).filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)
      );
      assert.equal(wide, [], `${width} x ${height}`);
    });
  }
});

run("a type that comes stands last in the open list, and moves nothing", async () => {
  for (const [width, height] of [SIZES[0], SIZES[1], SIZES[2], SIZES[3]]) {
    const session = await hubOf("any");
    for (const type of ["order_shipped", "order_placed"]) publish(session, type, {});
    await onStage({ session, width, height }, async ({ page, url }) => {
      await reads(page.locator("#amounts"), "2 events");
      if (await page.locator("#types").getAttribute("open") === null) {
        await page.locator("#types summary").click();
      }
      const types = page.locator("#type-list .name");
      assert.equal(await types.allTextContents(), ["order_placed", "order_shipped"]);
      const all = "#filter, #since, #pause, #list, #chart, #type-list button .name";
      const before = await places(page, all);
      for (let n = 9; n > 0; n--) {
        publish(session, `alert_${n}`, {});
        await until(async () => await types.count() === 12 - n, "it is listed");
        const { order_placed, order_shipped, ...now } = await places(page, all);
        const others = Object.entries(now).filter(([name]) => !name.startsWith("alert"));
        const seen = { order_placed, order_shipped, ...Object.fromEntries(others) };
        assert.equal(seen, before, `${12 - n} types, ${width} x ${height}`);
      }
      await page.goto(url);
      await reads(types.first(), "alert_1"); // In alphabetical order again.
    });
  }
});

run("the page has its layout before its script has run", async () => {
  await onStage({}, async ({ page, url }) => {
    for (const [width, height] of [...SIZES, [1024, 700]] as const) {
      await page.setViewportSize({ width, height });
      await page.route("**/page.js", (route) => route.abort());
      await page.goto(url);
      const all = "h1, .actions button, #spans button, #chart, .filter, #since, #pause, #list, #download-csv";
      const before = await places(page, all);
      await page.unroute("**/page.js");
      await page.goto(url);
      await isLive(page);
      await page.locator("#legend button").nth(4).waitFor({ state: "attached" });
      assert.equal(await places(page, all), before, `${width} x ${height}`);
    }
  });
});

run("the button that tries again stays at the pointer, whatever is said of the connection", async () => {
  const session = createSession({ version: "7.1.5" });
  await onStage({ session, width: 1440, height: 900 }, async ({ page, restart }) => {
    await isLive(page);
    await restart(session, async () => {
      const words = page.locator("#connection-words");
      await page.locator("#connect").waitFor();
      const before = await places(page, "#connect");
      const widths: number[] = [];
      for (const seconds of [0, 9, 12]) {
        const text = `Reconnecting: the server cannot be reached (${attemptTime(seconds, ")")}`;
        await words.evaluate((element, text) => (element as Element).textContent = text as string, text);
        assert.equal(await places(page, "#connect"), before, text);
        widths.push((await words.boundingBox())!.width);
      }
      assert.ok(Math.max(...widths) - Math.min(...widths) < .5, `the countdown moves nothing: ${widths}`);
    });
  });
});

run("the subject of an event is in sight, whatever it says", async () => {
  const session = await hubOf("any");
  publish(session, "short", { name: "a" }, HASH);
  publish(session, "long", { name: "a long name ".repeat(30) }, HASH);
  publish(session, "long_subject", { name: "a long name ".repeat(30) }, "deploy/".repeat(30));
  await onStage({ session }, async ({ page }) => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await rows(page).nth(2).waitFor();
      const gaps = await page.evaluate(`[...document.querySelectorAll(".row .summary")].map((summary) => {
        const { left, right } = summary.getBoundingClientRect();
        const subject = summary.lastChild.getBoundingClientRect();
        return [summary.lastChild.className, subject.left > left + 4, subject.right <= right];
      })`) as unknown[];
      assert.equal(gaps, gaps.map(() => ["subject", true, true]), `${width} x ${height}`);
    }
  });
});

run("the figure of trouble has room, however much there is", async () => {
  const session = createSession({ version: "7.1.5" });
  await onStage({ session }, async ({ page, url }) => {
    await page.goto(`${url}?since=earliest`);
    await page.getByRole("button", { name: "5 min", exact: true }).click();
    for (const [more, figure] of [[223, "trouble 223 in 5 min"], [1000, "trouble 1.2k in 5 min"]] as const) {
      for (let n = 0; n < more; n++) session.emit("tribler_exception", { text: `${n}` });
      await reads(page.locator("#legend li").first(), figure);
      for (const [width, height] of SIZES) {
        await page.setViewportSize({ width, height });
        const crowded = await page.evaluate(`[...document.querySelectorAll("#legend li")].filter((item) => {
          const name = item.querySelector("bdi");
          const { right } = item.querySelector("b").getBoundingClientRect();
          return name.scrollWidth > name.clientWidth || right > item.getBoundingClientRect().right;
        }).map((item) => item.textContent)`);
        assert.equal(crowded, [], `${figure}, ${width} x ${height}`);
      }
    }
  });
});

run("the types are open where they have a column, until a person chooses", async () => {
  await onStage({ width: 768 }, async ({ page }) => {
    const types = page.locator("#types");
    const isOpen = async () => await types.getAttribute("open") !== null;
    assert.not(await isOpen());
    await page.setViewportSize({ width: 1440, height: 900 });
    await until(isOpen, "a larger window opens them");
    await types.locator("summary").click();
    await page.setViewportSize({ width: 768, height: 900 });
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.evaluate("new Promise(requestAnimationFrame)"); // The queries are asked before each frame.
    assert.not(await isOpen(), "they stay shut");
  });
});

run("the dialog for the key stays in its place when the key is wrong", async () => {
  await onStage({ apiKey: KEY, width: 360, height: 740 }, async ({ page }) => {
    const dialog = page.getByRole("dialog", { name: "This server requires an API key" });
    await dialog.waitFor();
    const before = await places(page, "#asking, #asking button, #key");
    await dialog.getByLabel("API key", { exact: true }).fill("wrong");
    await dialog.getByRole("button", { name: "Connect" }).click();
    await reads(page.locator("#asking-why"), /rejected/);
    assert.equal(await places(page, "#asking, #asking button, #key"), before);
  });
});

run("the form stays in its place for each type, and so do its fields when they have issues", async () => {
  await onStage({}, async ({ page }) => {
    await isLive(page);
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    const type = dialog.getByRole("combobox", { name: "type" });
    for (const [width, height] of [SIZES[0], SIZES[1], SIZES[3]]) {
      await page.setViewportSize({ width, height });
      await page.getByRole("button", { name: "Publish…" }).click();
      await type.selectOption("torrent_finished");
      const frame = "#publishing, #publishing-close, #publish-type, .foot button";
      const before = await places(page, frame);
      for (const name of ["torrent_discovered", "market_ask", "torrent_finished"]) {
        await type.selectOption(name);
        assert.equal(await places(page, frame), before, `${name}, ${width} x ${height}`);
      }
      const fields = async () => {
        await page.locator(".fields").evaluate((fields) => fields.scrollTop = 0);
        return await places(page, `${frame}, #publish-fields input, #publish-fields textarea`);
      };
      const empty = await fields();
      await dialog.getByRole("button", { name: "Publish", exact: true }).click();
      await reads(dialog.getByRole("status"), "Not published: 2 issues");
      assert.equal(await fields(), empty, `with issues, ${width} x ${height}`);
      const hint = dialog.locator("#publish-fields small").first();
      assert.not(await hint.isVisible(), "an issue stands in place of the hint");
      await dialog.locator("#publish-fields input").first().fill("a");
      await reads(dialog.getByRole("status"), "");
      assert.equal(await fields(), empty, `with a change, ${width} x ${height}`);
      await dialog.getByRole("button", { name: "Close" }).click();
    }
  });
});

run("the chart has a plot, and what the list says fits, at each size", async () => {
  const session = createSession({ version: "7.1.5", history: { events: 30 } });
  for (const type of triblerEvents.types) {
    const event = triblerPayloads[type as keyof typeof triblerPayloads];
    session.channel.publishBatch([
      { type, event } as Parameters<typeof session.channel.publishBatch>[0][0],
    ]);
  }
  for (let n = 1; n <= 60; n++) tick(session, `${n}`);
  await onStage({ session }, async ({ page, url }) => {
    for (const [width, height] of [...SIZES, [360, 640]] as const) {
      await page.setViewportSize({ width, height });
      await page.goto(`${url}?since=-1h`);
      await page.getByRole("grid").press("End");
      const lost = page.locator(".row", { hasText: "events_lost" }).locator(".says");
      await reads(lost, "Events lost: no longer kept");
      assert.ok(await lost.evaluate((one) => one.scrollWidth <= one.clientWidth), `it is cut, ${width}`);
      const plot = (await page.locator(".u-over").boundingBox())!;
      assert.ok(plot.height >= 40, `the plot has ${plot.height} px, ${width} x ${height}`);
      await page.goto(`${url}?since=-1h&filter=${HASH}`);
      await reads(page.locator("#empty-why"), /^None of the/);
      const room = await page.locator("#empty").evaluate((one) => one.clientHeight - one.scrollHeight);
      assert.is(room, 0, `a button of the empty list is out of sight, ${width} x ${height}`);
    }
  });
});

/** Publishes an event of a catalogue that has any types. */
function publish(session: Session, type: string, event: unknown, subject?: string): void {
  const events = [{ type, event, ...(subject !== undefined && { subject }) }];
  session.channel.publishBatch(events as unknown as Parameters<typeof session.channel.publishBatch>[0]);
}

run(
  "what limits the list moves nothing before it, and can always be ended",
  async () => {
    const session = createSession({ version: "7.1.5" });
    session.emit("torrent_finished", { infohash: HASH, name: "ubuntu-24.04.2-desktop-amd64.iso" });
    for (let n = 1; n <= 60; n++) tick(session, `${n}`);
    await onStage({ session }, async ({ page, url }) => {
      for (const [width, height] of [...SIZES, [1200, 800]] as const) {
        await page.setViewportSize({ width, height });
        await page.goto(url);
        await reads(page.locator("#amounts"), "61 events");
        assert.ok(await page.locator(".downloads span").isVisible(), `the word is seen, ${width}`);
        const before = await places(page, ".about > div, #download-csv");
        const [amounts] = (await places(page, "#amounts"))["amounts"]!;
        await until(async () => {
          await page.getByRole("grid").evaluate((list) => list.scrollTop = 400);
          return await page.locator("#newer").isVisible();
        }, "it is scrolled");
        assert.equal(
          Object.values(await places(page, "#download-csv")),
          [before["download-csv"]],
          `${width}`,
        );
        await page.goto(`${url}?since=earliest&subject=${HASH}&subject=order/${"long".repeat(20)}`);
        await reads(page.locator("#chips li").first(), /^✕ ubuntu/);
        assert.is((await places(page, "#amounts"))["amounts"]![0], amounts, `the amounts, ${width}`);
        assert.equal(
          Object.values(await places(page, "#download-csv")),
          [before["download-csv"]],
          `beside chips, ${width}`,
        );
        const cut = await page.evaluate(`(() => {
        document.getElementById("newer").hidden = false;
        const next = document.getElementById("download-ndjson").getBoundingClientRect();
        const chips = [...document.querySelectorAll("#chips button")];
        return chips.filter((chip) => {
          const sign = document.createRange();
          sign.selectNodeContents(chip.firstChild);
          const { left, right } = sign.getBoundingClientRect();
          const list = document.getElementById("chips").getBoundingClientRect();
          return right > chip.getBoundingClientRect().right || right > list.right || right > next.left || left < list.left;
        }).map((chip) => chip.title);
      })()`);
        assert.equal(cut, [], `a sign is out of sight, ${width} x ${height}`);
        const about = (await page.locator(".about").boundingBox())!;
        const csv = (await page.locator("#download-csv").boundingBox())!;
        assert.ok(csv.x + csv.width <= about.x + about.width, `the downloads are in sight, ${width}`);
      }
    });
  },
);

run("the signs of all limits stay in sight while the list is paused", async () => {
  const session = await hubOf("any");
  for (const subject of ["order/1", "order/3"]) publish(session, "a", {}, subject);
  await onStage({ session }, async ({ page, url }) => {
    const range = `from=${new Date(Date.now() - 60_000).toISOString()}&to=${new Date().toISOString()}`;
    await page.goto(`${url}?since=-1h&subject=order/1&subject=order/3&${range}`);
    await reads(page.locator("#amounts"), /^2 events/);
    await page.locator("#pause").click();
    for (const [width, height] of [...SIZES, [1000, 720], [1280, 800]] as const) {
      await page.setViewportSize({ width, height });
      const isInSight = await page.evaluate(`(() => {
        const list = document.getElementById("chips");
        return list.scrollWidth <= list.clientWidth;
      })()`);
      assert.ok(isInSight, `${width} x ${height}`);
    }
  });
});

run(
  "the sign that ends a limit stays at the pointer when another comes, and while the list is paused",
  async () => {
    const session = createSession({ version: "7.1.5" });
    session.emit("torrent_finished", { infohash: HASH, name: "ubuntu-24.04.2-desktop-amd64.iso" });
    await onStage({ session }, async ({ page, url }) => {
      const range = `from=${new Date(Date.now() - 60_000).toISOString()}&to=${new Date().toISOString()}`;
      for (const [width, height] of SIZES) {
        await page.setViewportSize({ width, height });
        /** The place of the first sign, with these limits. */
        const sign = async (limits: string, count: number) => {
          await page.goto(`${url}?since=-1h&subject=${HASH}${limits}`);
          await reads(page.locator("#chips li").first(), /^✕ ubuntu/);
          assert.is(await page.locator("#chips li").count(), count);
          return await page.evaluate(`(() => {
          const sign = document.createRange();
          sign.selectNodeContents(document.querySelector("#chips button").firstChild);
          const { left, top } = sign.getBoundingClientRect();
          return [left, top];
        })()`);
        };
        const before = await sign("", 1);
        const chip = await places(page, "#chips button");
        await page.locator("#pause").click();
        assert.equal(await places(page, "#chips button"), chip, `paused, ${width} x ${height}`);
        assert.equal(await sign("&subject=order/1", 2), before, `two subjects, ${width} x ${height}`);
        assert.equal(await sign(`&subject=order/1&${range}`, 3), before, `and a range, ${width} x ${height}`);
      }
    });
  },
);

run("a range of time is whole, a name has the rest of its line, and neither moves the list", async () => {
  const session = await hubOf("any");
  const subject = `deploy/${"a-very-long-name-".repeat(14)}`;
  for (let n = 1; n <= 30; n++) publish(session, "a", { n }, subject);
  await onStage({ session }, async ({ page, url }) => {
    for (const [width, height] of [...SIZES, [1200, 800]] as const) {
      await page.setViewportSize({ width, height });
      await page.goto(url);
      await reads(page.locator("#amounts"), "30 events");
      const before = await places(page, "#list");
      const range = `from=${new Date(Date.now() - 60_000).toISOString()}&to=${new Date().toISOString()}`;
      for (const limits of ["", `&${range}`]) {
        await page.goto(`${url}?since=-1h&subject=${subject}${limits}`);
        await reads(page.locator("#amounts"), /^30 events/);
        assert.equal(await places(page, "#list"), before, `the list, ${width}`);
        const { isWhole, gap } = await page.evaluate(`(() => {
          const time = document.querySelector("#chips li + li bdi");
          const box = (node) => {
            const text = document.createRange();
            text.selectNodeContents(node);
            return text.getBoundingClientRect();
          };
          const chips = [...document.querySelectorAll("#chips li")].map((chip) => chip.getBoundingClientRect());
          const others = ["#amounts", ".downloads"].map((name) => box(document.querySelector(name)));
          const line = [...chips, ...others.filter(({ top, bottom }) => top < chips[0].bottom && bottom > chips[0].top)]
            .sort((one, other) => one.left - other.left);
          const { left, right } = document.querySelector(".about").getBoundingClientRect();
          const ends = [left, ...line.map((one) => one.right)];
          const gaps = [...line.map((one) => one.left), right].map((start, i) => start - ends[i]);
          const list = document.getElementById("chips");
          const isWhole = time === null || time.scrollWidth <= time.clientWidth;
          return { isWhole: isWhole && list.scrollWidth <= list.clientWidth, gap: Math.max(...gaps) };
        })()`) as { isWhole: boolean; gap: number };
        assert.ok(isWhole, `the range is whole and in sight, ${width}`);
        assert.ok(gap < 18, `${gap} px are free beside a name that is cut, ${width}, ${limits}`);
      }
    }
  });
});

run("a laptop has room for the types of Tribler", async () => {
  const session = createSession({ version: "7.1.5" });
  const { types } = triblerEvents;
  for (const type of types) publish(session, type, triblerPayloads[type as keyof typeof triblerPayloads]);
  await onStage({ session, width: 1440, height: 1500 }, async ({ page }) => {
    await until(async () => await rows(page).count() >= types.length, "all are in sight");
    const cut = await page.evaluate(`[...document.querySelectorAll(".row .type")].filter((type) =>
      type.firstChild.scrollWidth > type.firstChild.clientWidth
    ).map((type) => type.title)`);
    assert.equal(cut, []);
  });
});

run(
  "a row has its place whatever types arrive, and room for its summary",
  async () => {
    const session = await hubOf("any");
    for (let n = 1; n <= 30; n++) publish(session, "a", { n });
    await onStage({ session }, async ({ page }) => {
      for (const [width, height] of [...SIZES, [1200, 800]] as const) {
        await page.setViewportSize({ width, height });
        const summaries = async () => {
          await page.evaluate(
            "new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))",
          );
          return await places(page, ".row:nth-child(2) > span");
        };
        await rows(page).nth(2).waitFor();
        const type = `a_very_long_type_of_more_than_${width}_and_other_characters`;
        const before = Object.values(await summaries()).map(([left, , width]) => [left, width]);
        publish(session, type, { n: 0 });
        publish(session, "a", { n: 0 });
        await reads(rows(page).nth(1).locator(".type"), type);
        const after = Object.values(await summaries()).map(([left, , width]) => [left, width]);
        assert.equal(after, before, `${width}`);
        const { share, isWhole, inside, between } = await page.evaluate(`(() => {
        const [row, next] = document.querySelectorAll(".row:nth-child(n+2)");
        const box = (element) => element.getBoundingClientRect();
        const [type, summary, nextType] = [row.children[1], row.children[2], next.children[1]].map(box);
        const end = row.children[1].lastChild;
        const middle = ({ top, bottom }) => (top + bottom) / 2;
        return {
          share: summary.width / box(row).width,
          isWhole: end.scrollWidth <= end.clientWidth && box(end).right <= type.right,
          inside: middle(summary) - middle(type),
          between: middle(nextType) - middle(summary),
        };
      })()`) as { share: number; isWhole: boolean; inside: number; between: number };
        assert.ok(share > 0.5, `the summary has ${share} of its row, ${width}`);
        assert.ok(isWhole, `the end of the type is seen, ${width}`);
        assert.ok(inside < between - 4, `${inside} px in a row, ${between} px between rows, ${width}`);
      }
    });
  },
);

run("a text from right to left shows its beginning where it is cut", async () => {
  const session = await hubOf("any");
  const text = "\u0645\u0631\u062d\u0628\u0627 ".repeat(70).trim();
  publish(session, "one", { customer: text });
  publish(session, "two", { name: text });
  publish(session, "three", { name: "Latin", note: text, more: 1 });
  await onStage({ session }, async ({ page }) => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await rows(page).nth(2).waitFor();
      const seen = await page.evaluate(`[...document.querySelectorAll(".row .summary")].map((summary) => {
        const part = [...summary.querySelectorAll("bdi")].find((one) => one.textContent.length > 200);
        const { left, right } = summary.getBoundingClientRect();
        const isSeen = (start) => {
          const letter = document.createRange();
          letter.setStart(part.firstChild, start);
          letter.setEnd(part.firstChild, start + 1);
          const box = letter.getBoundingClientRect();
          return box.left >= left - 1 && box.right <= right + 1;
        };
        return [isSeen(1), isSeen(part.textContent.length - 2)];
      })`);
      assert.equal(seen, [[true, false], [true, false], [true, false]], `${width} x ${height}`);
    }
  });
});

run("the row at which the list was paused has its time and its type where the others have them", async () => {
  await onStage({ width: 360, height: 740 }, async ({ page, session }) => {
    await isLive(page);
    for (let n = 1; n <= 5; n++) tick(session, `${n}`);
    await reads(page.locator("#amounts"), "5 events");
    await page.locator("#pause").click();
    tick(session, "6");
    await reads(page.locator("#amounts"), /1 new/);
    await page.locator("#pause").click();
    await page.locator(".row.marked").waitFor();
    const ends = await page.evaluate(`[...document.querySelectorAll(".row .time")].map((time) => {
      const text = document.createRange();
      text.selectNodeContents(time);
      return Math.round(text.getBoundingClientRect().right);
    })`) as number[];
    assert.equal(ends, ends.map(() => ends[0]));
    const widths = await page.evaluate(
      `[...document.querySelectorAll(".row .type")].map((type) => type.clientWidth)`,
    ) as number[];
    assert.equal(widths, widths.map(() => widths[0]));
    const [said] = Object.values(await places(page, ".row.marked .summary"));
    const [marker] = Object.values(await places(page, ".row.marked .marker"));
    assert.ok(said![0]! + said![2]! <= marker![0]!, "what it says ends before the marker");
  });
});

run("the help, the open types and the dictionary are in sight on a small window", async () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 1; n <= 9; n++) tick(session, "some words ".repeat(4));
  await onStage({ session, width: 360, height: 740 }, async ({ page }) => {
    await isLive(page);
    await page.locator("#open-help").click();
    const wide = await page.evaluate(`[...document.querySelectorAll("#help dt code")].filter((code) =>
      code.getBoundingClientRect().right > code.parentElement.getBoundingClientRect().right + 0.1
    ).map((code) => code.textContent)`);
    assert.equal(wide, [], "no example reaches into the gap before what it means");
    await page.locator("#help-close").click();
    await page.locator("#types summary").click();
    await page.locator("#type-list button").last().scrollIntoViewIfNeeded();
    const outer = (await page.locator(".types").boundingBox())!;
    for (const part of ["#types-title", "#all-types"]) {
      const box = (await page.locator(part).boundingBox())!;
      assert.ok(box.y >= Math.max(0, outer.y) && box.y + box.height <= outer.y + outer.height, part);
    }
    await page.locator("#types summary").click();
    await page.setViewportSize({ width: 740, height: 360 });
    for (let n = 0; n < 2; n++) {
      await rows(page).nth(n).locator(".time").click();
      await page.locator("#pin").click();
    }
    const line = await page.evaluate(`(() => {
      const bottom = document.getElementById("details").getBoundingClientRect().bottom;
      return bottom - document.getElementById("details-json").getBoundingClientRect().top;
    })()`) as number;
    assert.ok(line > 11 + 19, `the dictionary has ${line} px: a line of it is seen`);
  });
});

run("a long word of the dictionary breaks between its parts", async () => {
  const session = await hubOf("any");
  const name = "a_very_long_name_of_more_than_twenty_eight_characters";
  publish(session, name, { [name]: name });
  await onStage({ session, width: 1440, height: 900 }, async ({ page }) => {
    await rows(page).first().locator(".time").click();
    const breaks = await page.evaluate(`(() => {
      const nodes = document.createTreeWalker(document.getElementById("details-json"), NodeFilter.SHOW_TEXT);
      const found = [];
      let [last, lastTop] = ["\\n", undefined];
      for (let node = nodes.nextNode(); node !== null; node = nodes.nextNode()) {
        for (let at = 0; at < node.length; at++) {
          const letter = document.createRange();
          letter.setStart(node, at);
          letter.setEnd(node, at + 1);
          const box = letter.getBoundingClientRect();
          if (node.data[at].trim() === "") last = " ";
          else {
            if (lastTop !== undefined && box.top > lastTop + 5 && last !== " ") found.push(last);
            [last, lastTop] = [node.data[at], box.top];
          }
        }
      }
      return found;
    })()`) as string[];
    assert.ok(breaks.length >= 3, "each of the three is broken");
    assert.equal(breaks, breaks.map(() => "_"));
  });
});

test.run();
