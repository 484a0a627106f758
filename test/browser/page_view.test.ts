/**
 * What the live page does by itself, in Chromium, driven as a person would. It is the same on each runtime of its server.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { createSession, triblerEvents } from "../../src/tribler/mod.ts";
import { endVisits, hasChromium } from "../support/chromium.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { connection, HASH, isLive, onStage, reads, rows, tick } from "./stage.ts";

const test = suite("page view");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

run("the page asks the server for types, subjects and times, and filters what it got by text", async () => {
  await onStage({}, async ({ page, session, url }) => {
    await isLive(page);
    for (const text of ["one", "Two", "three.four"]) tick(session, text);
    session.emit("torrent_finished", { infohash: HASH, name: "two" });
    session.emit("market_ask", triblerPayloads.market_ask);
    const shows = async (...summaries: string[]) => {
      let shown: string[] = [];
      const isSo = async () => {
        shown = await rows(page).locator(".summary").allTextContents();
        return shown.join("\n") === summaries.join("\n");
      };
      await until(isSo, `it shows ${summaries.join()}`).catch(() => assert.equal(shown, summaries));
    };
    const type = (name: string) =>
      page.locator("#type-list").getByRole("button", { name: new RegExp(`^${name}\\b`) });
    const ask = "10.5 BTC for 2048 MB, order 4 of c0fe1d2c…";
    await reads(type("upgrader_tick").locator("b"), "3");
    await reads(page.locator("#amounts"), "5 events");
    const cases: [text: string, ...summaries: string[]][] = [
      ["TWO", "two 08ada5a7…", "Two"],
      ['"10.5 btc FOR"', ask],
      ["order_number:4 -two", ask],
      ["order_number:>4"],
      [HASH.toUpperCase(), "two 08ada5a7…"],
      ["e.f", "three.four"],
      ["e("],
      ["", ask, "two 08ada5a7…", "three.four", "Two", "one"],
    ];
    for (const [text, ...summaries] of cases) {
      await page.getByRole("searchbox").fill(text);
      await shows(...summaries);
    }
    // Later events are filtered as well, and the filter stands in the address.
    await page.getByRole("searchbox").fill("two");
    tick(session, "two more");
    tick(session, "none");
    await shows("two more", "two 08ada5a7…", "Two");
    await reads(page.locator("#amounts"), "7 events, 3 shown");
    await until(() => page.url() === `${url}?filter=two`, "the filter is in the address");
    await page.getByRole("searchbox").fill("");

    // 12 000 others pass: what is rare is asked of the server.
    for (let n = 1; n <= 12_000; n++) tick(session, `${n}`);
    const places = async () =>
      await page.evaluate(`[...document.querySelectorAll("section, .list, #type-list li")]
        .map((element) => [element.className || element.textContent, element.offsetTop, element.offsetHeight])`);
    const before = await places();
    await type("torrent_finished").click();
    await shows("two 08ada5a7…");
    const withoutCounts = (all: unknown) =>
      JSON.parse(JSON.stringify(all).replaceAll(/(?<=[a-z])[\d,]+(?=")/g, ""));
    assert.equal(withoutCounts(await places()), withoutCounts(before), "to choose a type moves nothing");
    await type("market_ask").click();
    await shows(ask, "two 08ada5a7…");
    assert.match(page.url(), "?types=torrent_finished,market_ask");
    await page.reload();
    await shows(ask, "two 08ada5a7…");
    await page.goBack();
    await shows("two 08ada5a7…");
    await page.getByRole("button", { name: "All types" }).click();
    await reads(page.locator("#amounts"), "200 events");
    // A click on an infohash follows it, from the earliest event that the server has.
    await page.goto(`${url}?types=torrent_finished`);
    await rows(page).locator(".subject").click();
    session.emit("torrent_error", { infohash: HASH, error: "disk full" });
    session.emit("torrent_error", { infohash: HASH.replace("0", "1"), error: "other" });
    await shows("disk full 08ada5a7…", "two 08ada5a7…");
    await page.reload();
    const chip = page.getByRole("button", { name: "Stop following two" });
    await reads(chip, "✕ two"); // And not its hash, also after a reload.
    await chip.click();
    await reads(page.locator("#amounts"), "12,009 events");
    await page.getByRole("combobox", { name: "Start with" }).selectOption("latest");
    await reads(page.locator("#empty-why"), "Nothing yet.");
  });
});

run("to follow a subject no longer brings back where the list started", async () => {
  const session = createSession({ version: "7.1.5" });
  session.emit("torrent_finished", { infohash: HASH, name: "first" });
  for (let n = 1; n <= 300; n++) tick(session, `${n}`);
  session.emit("torrent_finished", { infohash: HASH, name: "second" });
  await onStage({ session, width: 1440, height: 900 }, async ({ page }) => {
    const follows = async (): Promise<void> => {
      await reads(page.locator("#amounts"), "200 events");
      await rows(page).first().locator(".time").click();
      await page.getByRole("button", { name: "Follow", exact: true }).click();
      await reads(page.locator("#amounts"), "2 events");
      await until(
        () => page.url().includes("since=earliest&event=") && page.url().endsWith("chart=all"),
        "all",
      );
    };
    await follows();
    await page.getByRole("button", { name: "Unfollow" }).click();
    await reads(page.locator("#amounts"), "200 events");
    await until(() => !/since|chart/.test(page.url()), "the start and the span are those from before");
    await follows();
    await page.getByRole("button", { name: /^Stop following/ }).click();
    await reads(page.locator("#amounts"), "200 events");
    await page.locator("#follow", { hasText: /^Follow$/ }).waitFor();
    // What was chosen since stays.
    await follows();
    await page.getByRole("combobox", { name: "Start with" }).selectOption("-1h");
    await page.getByRole("button", { name: "Unfollow" }).click();
    await reads(page.locator("#amounts"), "302 events");
  });
});

run("the page counts events while it is paused, and shows them when it resumes", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    tick(session, "before");
    await reads(rows(page).locator(".summary"), "before");
    await page.getByRole("button", { name: "Pause" }).click();
    for (let n = 0; n < 1234; n++) tick(session, `${n}`);
    await reads(page.locator("#amounts"), "1,235 events, paused, 1,234 new");
    assert.equal(await rows(page).locator(".summary").allTextContents(), ["before"]);
    await page.getByRole("button", { name: "Resume" }).click();
    await reads(rows(page).first().locator(".summary"), "1233");
    await page.getByRole("grid").press("End");
    await reads(rows(page).last().locator(".summary"), "before");
    assert.is(await page.getByRole("grid").getAttribute("aria-rowcount"), "1235");
    await reads(page.locator(".row.marked .summary"), "before");
    await reads(page.locator(".row.marked .marker"), /^paused \d\d:\d\d:\d\d$/);
  });
});

run(
  "the page says of a pause and a filter how many events match, and a question leaves it paused",
  async () => {
    await onStage({}, async ({ page, session, url }) => {
      await isLive(page);
      for (const text of ["one", "two", "one more"]) tick(session, text);
      session.emit("torrent_finished", { infohash: HASH, name: "one of a hash" });
      const amounts = page.locator("#amounts");
      await reads(amounts, "4 events");
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("searchbox").fill("one");
      await reads(amounts, "4 events, 3 shown, paused, 0 new");
      tick(session, "one later");
      await reads(amounts, "5 events, 3 shown, paused, 1 new");
      await until(() => page.url() === `${url}?filter=one`, "the filter is in the address");
      // At once: the address, which is written soon, still has the filter.
      await page.getByRole("searchbox").evaluate((filter) => {
        (filter as HTMLInputElement).value = "";
        filter.dispatchEvent(new Event("input"));
        document.querySelector<HTMLElement>(".row .subject")!.click();
      });
      await reads(amounts, "1 event, paused, 0 new");
      session.emit("torrent_finished", { infohash: HASH, name: "again" });
      await reads(amounts, "2 events, paused, 1 new");
      await reads(rows(page).locator(".summary"), "one of a hash 08ada5a7…"); // And no other.
      await page.goBack();
      await reads(amounts, "6 events, paused, 0 new");
      await page.getByRole("combobox", { name: "Start with" }).selectOption("latest");
      await until(() => page.url() === `${url}?since=latest`, "it is asked");
      await reads(page.locator("#empty-why"), "Nothing yet.");
      tick(session, "held back");
      await reads(page.locator("#empty-why"), "The list is paused.");
      await page.getByRole("button", { name: "Resume" }).click();
      await reads(rows(page).locator(".summary"), "held back");
    });
  },
);

run(
  "the filter is left by Enter and by Escape, which clears it first, and shortcut keys work again",
  async () => {
    await onStage({}, async ({ page, session }) => {
      await isLive(page);
      tick(session, "one");
      await reads(rows(page).locator(".summary"), "one");
      const filter = page.getByRole("searchbox");
      const pause = page.locator("#pause");
      await page.keyboard.press("/");
      await page.keyboard.type("one");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Space");
      await reads(pause, "Resume");
      assert.is(await filter.inputValue(), "one");
      await page.keyboard.press("/");
      await page.keyboard.press("Escape");
      assert.is(await filter.inputValue(), "");
      await until(() => !page.url().includes("?"), "the address has no filter");
      assert.ok(await filter.evaluate((one) => one === document.activeElement), "another can be typed");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Space");
      await reads(pause, "Pause");
      assert.is(await filter.inputValue(), "");
    });
  },
);

run("the page keeps the newest 100 000 events, and makes rows for those in sight", async () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 1; n <= 100_000; n++) tick(session, `${n}`);
  await onStage({ session }, async ({ page, session }) => {
    await isLive(page);
    await reads(page.locator("#amounts"), "200 events");
    await page.getByRole("combobox", { name: "Start with" }).selectOption("earliest");
    await reads(page.locator("#amounts"), "100,000 events");
    await reads(rows(page).first().locator(".summary"), "100000");
    assert.ok(await rows(page).count() < 100);
    await page.getByRole("grid").press("End");
    await reads(rows(page).last().locator(".summary"), "1");
    assert.ok(await rows(page).count() < 100);
    // New events do not move the selected row.
    await page.getByRole("grid").press("Home");
    for (let n = 0; n < 60; n++) await page.getByRole("grid").press("ArrowDown");
    const active = page.locator("[aria-selected=true] .summary");
    const before = await active.boundingBox();
    await reads(active, "99940");
    for (let n = 0; n < 500; n++) tick(session, "more");
    await reads(page.locator("#amounts"), "100,500 events, the newest 100,000 kept");
    await page.getByRole("button", { name: /newer$/ }).waitFor();
    await reads(active, "99940");
    assert.is((await active.boundingBox())!.y, before!.y);
    // While a filter looks at them all, no number of matches is shown.
    await page.evaluate(`void (() => {
      globalThis.amounts = [];
      new MutationObserver(() => amounts.push(document.getElementById("amounts").textContent))
        .observe(document.getElementById("amounts"), { childList: true });
    })()`);
    await page.getByRole("searchbox").fill("9994");
    await reads(page.locator("#amounts"), /, 20 shown$/);
    const [whileSearching] = await page.evaluate("amounts") as string[];
    assert.is(whileSearching, "100,500 events, the newest 100,000 kept, searching…");
    await page.getByRole("searchbox").fill("");
    await reads(page.locator("#amounts"), /kept$/);
    await reads(active, "99940");
    // After a reload it is where it was.
    await page.reload();
    await reads(active, "99940");
    await reads(page.locator("#details-summary"), "99940");
    await reads(page.locator("#amounts"), /^100,\d00 events/);
    await page.getByRole("button", { name: /newer$/ }).click();
    await reads(rows(page).first().locator(".summary"), "more");
  });
});

run("the page draws its list at most ten times a second, however many events arrive", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    tick(session, "first");
    await reads(rows(page).first().locator(".summary"), "first");
    // Frames as fast as the machine makes them: on a busy one they would be rare by themselves.
    await page.evaluate(`void (() => {
      globalThis.requestAnimationFrame = (draw) => setTimeout(draw);
      globalThis.draws = [];
      new MutationObserver(() => draws.push(performance.now()))
        .observe(document.getElementById("list"), { attributeFilter: ["aria-rowcount"] });
    })()`);
    const timer = setInterval(() => tick(session, "more"), 5);
    try {
      await until(async () => await page.evaluate("draws.length") as number >= 6, "it was drawn six times");
    } finally {
      clearInterval(timer);
    }
    const draws = await page.evaluate("draws") as number[];
    const took = draws[5]! - draws[0]!;
    assert.ok(took > 450, `it was drawn six times in ${took} ms`);
  });
});

run("the page shows a loss in the list and above it, with its count, under any filter", async () => {
  const session = createSession({ version: "7.1.5", history: { events: 3 } });
  await onStage({ session }, async ({ page, restart }) => {
    await isLive(page);
    tick(session, "seen");
    await page.locator("#type-list").getByRole("button", { name: "upgrader_tick" }).click();
    await restart(session, async () => {
      for (let n = 1; n <= 1204; n++) tick(session, `${n}`);
      await reads(connection(page), /^Reconnecting/);
      const began = performance.now();
      await until(() => performance.now() - began > 1000, "it is away for some pixels of the chart");
    });
    await reads(page.locator("#lost"), /^1,201 events lost at [\d:]+: no longer kept$/);
    await isLive(page);
    const isPast = `[...document.querySelectorAll(".unknown")].some((strip) => {
      const { width, right } = strip.getBoundingClientRect();
      return width >= 1 && right < document.querySelector(".u-over").getBoundingClientRect().right - 3;
    })`;
    await until(
      async () => await page.evaluate(isPast),
      "the chart hatches the time in which they were lost",
    );
    await reads(rows(page).first().locator(".summary"), "1204");
    assert.equal(await rows(page).locator(".summary").allTextContents(), [
      "1204",
      "1203",
      "1202",
      "1,201 events lost: no longer kept",
      "seen",
    ]);
    await rows(page).nth(3).locator(".time").click();
    await page.getByRole("dialog", { name: "events_lost" }).waitFor();
    assert.not(
      await page.getByRole("button", { name: "Copy as curl" }).isVisible(),
      "it cannot be published",
    );
    await page.getByRole("button", { name: "Dismiss" }).click();
    assert.not(await page.locator("#lost").isVisible());
  });
});

run("the form of each Tribler type returns the payload it was filled with", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    const type = dialog.getByRole("combobox", { name: "type" });
    await until(async () => await type.locator("option").count() > 0, "there are types");
    assert.equal(await type.locator("option").allTextContents(), [...triblerEvents.types]);
    const mode = dialog.getByRole("button", { name: /^(?:Write JSON|Fill in a form)$/ });
    for (const name of triblerEvents.types) {
      const payload = triblerPayloads[name as keyof typeof triblerPayloads];
      await type.selectOption(name);
      if (payload !== undefined) {
        await mode.click();
        // Properties that the schema does not name are kept.
        const more = typeof payload === "object"
          ? { ...payload, of_a_later_release: [1, { a: null }] }
          : payload;
        await dialog.getByRole("textbox", { name: "event" }).fill(JSON.stringify(more));
        await mode.click();
        assert.is(await dialog.locator("textarea.json").count(), 0, name);
      }
      const last = session.channel.last;
      await dialog.getByRole("button", { name: "Publish", exact: true }).click();
      await reads(dialog.getByRole("status"), new RegExp(`-${last + 1}$`));
    }
    const entries = (await session.channel.batches("earliest").next()).value!.entries;
    assert.is(entries.length, 25);
    for (const { json } of entries) {
      const { type, event } = JSON.parse(json);
      const expected = triblerPayloads[type as keyof typeof triblerPayloads];
      if (typeof event === "object") {
        assert.equal(event.of_a_later_release, [1, { a: null }]);
        delete event.of_a_later_release;
      }
      assert.equal(event, expected, type);
    }
  });
});

run("the page rejects JSON that does not parse, and JSON that does not fit, as a whole", async () => {
  await onStage({}, async ({ page, session }) => {
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    await dialog.getByRole("combobox", { name: "type" }).selectOption("torrent_finished");
    await dialog.getByRole("button", { name: "Write JSON" }).click();
    const text = dialog.getByRole("textbox", { name: "event" });
    const send = dialog.getByRole("button", { name: "Publish", exact: true });
    await text.fill("{");
    await send.click();
    await reads(dialog.locator("#publish-fields .issues"), /^This is not JSON: /);
    await text.fill('{"infohash":"x"}');
    await send.click();
    await reads(dialog.getByRole("status"), "Not published: 2 issues");
    await reads(
      dialog.locator("#publish-fields .issues"),
      "infohash: must be 40 or 64 lower-case hexadecimal digits\nname: needed",
    );
    assert.is(session.channel.last, 0);
  });
});

run("the page pins, links, downloads, and limits the list to a range of the chart", async () => {
  const session = createSession({ version: "7.1.5" });
  await onStage({ session }, async ({ page, url }) => {
    await isLive(page);
    const name = "\u05e9\u05dc\u05d5\u05dd (2010)";
    session.emit("torrent_finished", { infohash: HASH, name });
    tick(session, "=1+1");
    await reads(rows(page).first().locator(".summary"), "=1+1");
    assert.is(await rows(page).last().locator("bdi.name").textContent(), name, "its direction stays in it");
    const download = async (format: string) => {
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: `Download as ${format}` }).click(),
      ]);
      return [file.suggestedFilename(), await readFile(await file.path(), "utf8")] as const;
    };
    const [ndjson, lines] = await download("NDJSON");
    assert.is(ndjson, "events.ndjson");
    assert.equal(lines.trimEnd().split("\n").map((line) => JSON.parse(line).type), [
      "torrent_finished",
      "upgrader_tick",
    ]);
    const [, csv] = await download("CSV");
    assert.match(csv, /^\ufefftime,type,subject,id,event\.infohash,event\.name,event\.text\r\n/);
    assert.match(csv, ",'=1+1\r\n");

    // A pin outlives a reload; a link opens the event elsewhere.
    await rows(page).last().locator(".time").click();
    await page.getByRole("button", { name: "Pin", exact: true }).click();
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const link = await page.evaluate("navigator.clipboard.readText()") as string;
    assert.match(link, new RegExp(`^${url}\\?event=\\w+-1&at=`));
    for (let n = 1; n <= 300; n++) tick(session, `${n}`);
    await page.goto(link);
    await reads(page.locator("#details-type"), "torrent_finished");
    await reads(page.locator("#amounts"), "302 events");
    await page.locator(".pinned").getByText(name).waitFor();
    await page.getByRole("button", { name: "Unpin torrent_finished" }).click();
    assert.not(await page.locator("#pins").isVisible());

    // The whole width is five minutes: its right half has all events, its left half none.
    const chart = (await page.locator("#chart .u-over").boundingBox())!;
    const drag = async (from: number, to: number) => {
      const y = chart.y + chart.height / 2;
      await page.mouse.move(chart.x + from * chart.width, y);
      await page.mouse.down();
      await page.mouse.move(chart.x + to * chart.width, y, { steps: 3 });
      await page.mouse.up();
    };
    await drag(0.1, 0.4);
    await reads(page.locator("#empty-why"), /^No events from [\d:]+ to [\d:]+\.$/);
    await until(
      () => page.url().includes("from=") && page.url().includes("&to="),
      "the range is in the address",
    );
    await page.getByRole("button", { name: "Show all times" }).first().click();
    await reads(page.locator("#amounts"), "302 events");
    await drag(0.4, 0.999);
    await page.getByRole("button", { name: "Show all times" }).first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "All", exact: true }).click();
    await until(() => page.url().includes("chart=all"), "the span is in the address");
    await page.getByRole("button", { name: "Dark colours" }).click();
    assert.is(await page.locator("html").getAttribute("data-theme"), "dark");
    await page.getByRole("button", { name: "Light colours" }).click();
    assert.is(await page.locator("html").getAttribute("data-theme"), null, "it follows the system again");
  });
});

run(
  "the details leave the list where it is, beside it or in a sheet, above which keys move to the next row",
  async () => {
    for (const [width, height] of [[360, 740], [740, 360], [768, 1024]] as const) {
      await onStage({ width, height }, async ({ page, session, url }) => {
        await isLive(page);
        for (let n = 1; n <= 60; n++) tick(session, `${n}`);
        await reads(rows(page).first().locator(".summary"), "60");
        const list = async () =>
          JSON.stringify(
            await page.evaluate(`(() => {
        const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = document.querySelector(".events");
        return [offsetLeft, offsetTop, offsetWidth, offsetHeight, document.querySelector("#list").clientHeight];
      })()`),
          );
        /** Whether a point of the chosen row is covered by nothing. */
        const isInSight = `(() => {
        const row = document.querySelector("[aria-selected=true]");
        const { left, top, bottom } = row.getBoundingClientRect();
        return [top + 2, bottom - 2].every((y) => row.contains(document.elementFromPoint(left + 20, y)));
      })()`;
        const details = page.locator("#details");
        const before = await list();
        await rows(page).nth(3).locator(".time").click();
        await details.waitFor();
        const opened = Number(await details.locator("#details-summary").textContent()); // It may scroll first.
        assert.is(await list(), before, "nothing is shifted");
        for (let n = 0; n < 12; n++) {
          await page.keyboard.press("ArrowDown");
          assert.ok(await page.evaluate(isInSight), `row ${n} of ${width} x ${height}`);
        }
        await reads(details.locator("#details-summary"), `${opened - 12}`);
        assert.is(await list(), before, "nothing is shifted by another event");
        const isClosed = async () => {
          await details.waitFor({ state: "hidden" });
          await until(() => page.url() === url, "no event is in the address");
          await until(
            async () => await page.evaluate("document.activeElement.id === 'list'"),
            "the list has the focus",
          );
        };
        await page.keyboard.press("Escape");
        await isClosed();
        if (width > 700) {
          await page.goto(`${url}?subject=none`);
          await page.locator("#chips li").waitFor();
          assert.is(await list(), before, "nothing is shifted by what limits the list");
          return;
        }
        const opens = async () => {
          await page.locator(".row[aria-selected=true] .time").click();
          await details.waitFor();
          await until(() => page.url().includes("?event="), "the event is in the address");
        };
        await opens();
        await page.goBack();
        await isClosed();
        await opens();
        await page.locator("#amounts").click(); // Elsewhere.
        await details.waitFor({ state: "hidden" });
      });
    }
  },
);

run("the page works without a mouse", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    for (let n = 1; n <= 200; n++) tick(session, `${n}`);
    await reads(rows(page).first().locator(".summary"), "200");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter"); // Skip to the events.
    const grid = page.getByRole("grid");
    const isFocused = async () => await grid.evaluate((grid) => grid === grid.ownerDocument.activeElement);
    await until(isFocused, "the list has the focus");
    const active = page.locator("[aria-selected=true]");
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"]) await page.keyboard.press(key);
    await reads(active.locator(".summary"), "199");
    assert.is(await grid.getAttribute("aria-activedescendant"), await active.getAttribute("id"));
    assert.is(await active.getAttribute("aria-rowindex"), "2");
    await page.keyboard.press("End");
    await reads(active.locator(".summary"), "1");
    await page.keyboard.press("PageUp");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    const details = page.getByRole("dialog", { name: "upgrader_tick" });
    await details.waitFor();
    assert.ok(await details.evaluate((dialog) => dialog.contains(dialog.ownerDocument.activeElement)));
    assert.match(await details.locator("pre").textContent() ?? "", '"text": "200"');
    await page.keyboard.press("Escape");
    await until(isFocused, "the list has the focus again");
    // Beside the open details the list still handles keys, and the details follow.
    await rows(page).nth(1).locator(".time").click();
    await page.keyboard.press("ArrowDown");
    await reads(details.locator("#details-summary"), "198");
    await details.locator("#details-type").press("ArrowDown");
    await reads(details.locator("#details-summary"), "197");
    await page.keyboard.press("ArrowUp");
    await reads(details.locator("#details-summary"), "198");
    await page.keyboard.press("Escape");
    assert.not(await details.isVisible());
    await until(isFocused, "the list has the focus once more");
    await page.keyboard.press("Escape");
    await until(async () => await active.count() === 0, "it is back at the newest");
  });
});

run(
  "the chart shows the last minutes by group, in the colours of the theme, whatever the clocks say",
  async () => {
    await onStage({}, async ({ page, session }) => {
      await page.clock.setSystemTime(Date.now() + 3_600_000);
      await page.reload();
      await isLive(page);
      const title = page.locator("#rates-title");
      /** Whether the chart contains the colour of this group. */
      const shows = async (group: string) => {
        const [colour, pixels] = await page.evaluate(`(() => {
        const dot = document.querySelector("#legend [data-group=${group}] .dot");
        const canvas = document.querySelector("canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const pixels = new Set();
        for (let i = 0; i < data.length; i += 4) {
          if (data[i + 3] === 255) pixels.add("rgb(" + data.slice(i, i + 3).join(", ") + ")");
        }
        return [getComputedStyle(dot).backgroundColor, [...pixels]];
      })()`) as [string, string[]];
        return pixels.includes(colour);
      };
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        const happens = async () => {
          session.emit("torrent_finished", { infohash: HASH, name: "Sintel" });
          return /^[1-9]\d* events?\/s$/.test(await title.textContent() ?? "") && await shows("blue");
        };
        await until(happens, `it is shown in the ${colorScheme}`);
        assert.not(await shows("amber"), colorScheme);
      }
    });
  },
);

test.run();
