/**
 * The live page, as it is served and as it is used: in Chromium, driven as a person would.
 *
 * Where there is no Chromium the tests that need it are skipped; in CI they then fail.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Hono } from "hono";
import type { Locator, Page } from "playwright-core";
import { suite } from "../support/suite.ts";
import * as assert from "uvu/assert";
import { buildPage, PAGE_ASSETS as BUILT } from "../../src/page/build.ts";
import { createRates } from "../../src/page/rates.ts";
import { createRecords } from "../../src/page/records.ts";
import { createApp } from "../../src/server/app.ts";
import { PAGE_ASSETS } from "../../src/server/page_assets.ts";
import { type Fetch, listen } from "../../src/server/listen.ts";
import { createSession, type Session, triblerEvents } from "../../src/tribler/mod.ts";
import { running, startProgram } from "../support/children.ts";
import { endVisits, hasChromium, type Look, servePage, serveScript, visiting } from "../support/chromium.ts";
import { findFreePort, openWire, serving, until, within } from "../support/harness.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";

const test = suite("page");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";
const KEY = "open-sesame+/=~";

// As it is served.

test("what is committed is what the sources make", async () => {
  assert.ok(await buildPage() === await readFile(BUILT, "utf8"), "run npm run build:page");
});

test("it weighs at most 60 kB, gzipped, and keeps the notices of what it contains", () => {
  const sizes = PAGE_ASSETS.map(({ path, text }) => [path, gzipSync(text, { level: 9 }).byteLength] as const);
  const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`the page: ${sum} bytes gzipped (${sizes.map((one) => one.join(" ")).join(", ")})`);
  assert.ok(sum <= 60_000, `${sum} bytes`);
  const script = PAGE_ASSETS.find(({ path }) => path === "/page.js")!.text;
  for (const name of ["uplot", "valibot", "eventsource-parser"]) {
    assert.match(script, new RegExp(`^${name} \\S+: Copyright `, "m"));
  }
  assert.match(script, "Permission is hereby granted, free of charge");
});

test("its files come with a strict policy, packed where that is wanted, and once", async () => {
  const app = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  for (const { path, type, text } of PAGE_ASSETS) {
    const response = await app.request(path);
    assert.is(response.status, 200, path);
    assert.is(response.headers.get("content-type"), type);
    assert.is(await response.text(), text);
    const policy = response.headers.get("content-security-policy")!.split("; ");
    for (
      const line of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]
    ) {
      assert.ok(policy.includes(line), line);
    }
    for (const name of ["base-uri", "form-action", "frame-ancestors"]) {
      assert.ok(policy.includes(`${name} 'none'`));
    }
    assert.not.match(policy.join(), /unsafe|https?:|\*|data:/);
    const headers = ["cache-control", "x-content-type-options", "referrer-policy", "vary"];
    assert.equal(
      headers.map((name) => response.headers.get(name)),
      ["no-cache", "nosniff", "no-referrer", "Accept-Encoding"],
    );

    for (
      const [accept, isPacked] of [
        ["gzip", true],
        ["br, GZIP;q=0.5", true],
        ["x-gzip", true],
        ["gzip;q=0", false],
        ["gzip;q=0.000, br", false],
        ["identity", false],
        ["notgzip", false],
      ] as const
    ) {
      const packed = await app.request(path, { headers: { "Accept-Encoding": accept } });
      assert.is(packed.headers.get("content-encoding"), isPacked ? "gzip" : null, accept);
      const bytes = new Uint8Array(await packed.arrayBuffer());
      assert.equal([bytes[0] === 0x1f, bytes.length < text.length || path === "/page.svg"], [
        isPacked,
        isPacked || path === "/page.svg",
      ]);
    }

    const tag = response.headers.get("etag")!;
    const again = await app.request(path, { headers: { "If-None-Match": `"other", ${tag}` } });
    assert.equal([again.status, again.headers.get("etag"), await again.text()], [304, tag, ""]);
    assert.is((await app.request(path, { headers: { "If-None-Match": '"other"' } })).status, 200);
    const head = await app.request(path, { method: "HEAD" });
    assert.equal([head.status, head.headers.get("etag"), await head.text()], [200, tag, ""]);
  }
  const [html] = PAGE_ASSETS;
  assert.not.match(html!.text, /<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?:\/\/|\/\/\w/);
});

test("it needs no key, and is for the same names as everything else", async () => {
  const open = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  const locked = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5, apiKey: KEY });
  for (const { path } of PAGE_ASSETS) {
    const foreign = { headers: { Host: "evil.example" } };
    assert.equal(
      [(await open.request(path)).status, (await open.request(path, foreign)).status],
      [200, 403],
      path,
    );
    assert.equal([(await locked.request(path)).status, (await locked.request(path, foreign)).status], [
      200,
      200,
    ]);
    assert.is((await locked.request(path, { method: "POST" })).status, 401);
  }
  const closing = createSession({ version: "7.1.5" });
  closing.channel.close();
  assert.is((await createApp(closing, { heartbeat: 5 }).request("/")).status, 503);
});

test("over a socket it comes whole", async () => {
  const app = createApp(createSession({ version: "7.1.5" }), { heartbeat: 5 });
  await serving(app, async (url, port) => {
    for (const { path, text } of PAGE_ASSETS) {
      assert.is(await (await within(fetch(url + path), path)).text(), text);
    }
    const wire = await openWire(port);
    wire.write("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    await within(wire.closed, "the answer");
    assert.match(wire.received(), /^HTTP\/1.1 200 OK\r\n/);
    assert.match(wire.received(), /^content-encoding: gzip\r$/im);
  });
});

// What it keeps.

test("the events it keeps are bounded by their number and by their size, also while it is paused", () => {
  const records = createRecords(3, 450);
  let n = 0;
  const add = (text: string) => records.add({ type: "tick", event: text, id: `a-${++n}` });
  const shown = () => Array.from({ length: records.shown.length }, (_, i) => records.shown.at(i)!.summary);
  for (const text of ["a", "b", "c", "d"]) add(text);
  assert.equal([shown(), records.kept, records.received, records.added], [["b", "c", "d"], 3, 4, 4]);
  add("x".repeat(300));
  assert.equal(shown().map((text) => text[0]), ["c", "d", "x"]);
  add("y".repeat(300));
  assert.equal(shown().map((text) => text[0]), ["y"], "they are too long for one another");
  add("z".repeat(1000));
  assert.equal(shown().map((text) => text[0]), ["z"], "the newest is kept however long it is");

  records.clear();
  assert.equal([shown(), records.kept, records.received], [[], 0, 0]);
  add("before");
  records.pause();
  for (let i = 1; i <= 5000; i++) add(`${i}`);
  assert.equal([shown(), records.held, records.received], [["before"], 5000, 5001]);
  records.pause();
  assert.is(records.held, 5000, "it is paused already");
  records.filter({ types: new Set(), text: "4999" });
  assert.equal(shown(), [], "what is held back is not shown by a filter either");
  records.resume();
  assert.equal([shown(), records.held], [["4999"], undefined]);
  records.filter({ types: new Set(["other"]), text: "" });
  assert.equal(shown(), []);
  records.filter({ types: new Set(), text: "" });
  assert.equal(shown(), ["4998", "4999", "5000"]);
});

test("the seconds it counts are those of the last minutes", () => {
  const rates = createRates(10);
  const at = (second: number, kind: "torrent" | "market" = "torrent") =>
    rates.count(kind, second * 1000 + 999);
  for (const second of [100, 100, 101, 109]) at(second);
  at(101, "market");
  assert.equal([100, 101, 102, 109].map((second) => rates.of("torrent", second)), [2, 1, 0, 1]);
  assert.is(rates.of("market", 101), 1);
  at(90); // Where 100 stands by now.
  assert.is(rates.of("torrent", 100), 2);
  at(111, "market");
  assert.equal([101, 111].map((second) => rates.of("torrent", second)), [0, 0]);
  assert.is(rates.of("market", 111), 1);
  rates.clear();
  assert.is(rates.of("market", 111), 0);
});

// As it is used.

/** A page, and the server that it is of. */
interface Stage {
  readonly page: Page;
  readonly session: Session;
  readonly url: string;
  /** Stops the server and starts another one in its place, after a while. */
  restart(session: Session, meanwhile: () => Promise<void>): Promise<void>;
}

interface StageOptions extends Omit<Look, "url"> {
  readonly apiKey?: string;
  readonly session?: Session;
}

/** Opens the page of a server. */
async function onStage(options: StageOptions, use: (stage: Stage) => Promise<void>): Promise<void> {
  const { apiKey, session = createSession({ version: "7.1.5" }), ...look } = options;
  const start = (session: Session, port: number) => {
    const { fetch } = createApp(session, { heartbeat: 5, apiKey });
    return listen(fetch as Fetch, { host: "127.0.0.1", port });
  };
  const port = await findFreePort();
  let server: Awaited<ReturnType<typeof start>> | undefined = await start(session, port);
  const url = `http://127.0.0.1:${port}/`;
  try {
    await visiting({ ...look, url }, (page) =>
      use({
        page,
        session,
        url,
        restart: async (session, meanwhile) => {
          await server?.stop(0);
          server = undefined;
          await meanwhile();
          server = await start(session, port);
        },
      }));
  } finally {
    await server?.stop(0);
  }
}

const connection = (page: Page) => page.locator("#connection-words");
const rows = (page: Page) => page.getByRole("grid").getByRole("row");

/** Waits until an element has this text. */
async function reads(locator: Locator, text: string | RegExp): Promise<void> {
  const says = async () => (await locator.textContent({ timeout: 1000 }).catch(() => null)) ?? "";
  let last = "";
  await until(
    async () => typeof text === "string" ? (last = await says()) === text : text.test(last = await says()),
    `it reads ${text}`,
    15_000,
  ).catch((error) => {
    throw new Error(`${error.message}, not ${JSON.stringify(last)}`);
  });
}

async function isLive(page: Page): Promise<void> {
  await reads(connection(page), /^Live/);
}

function tick(session: Session, text: string): void {
  session.emit("upgrader_tick", { text });
}

run(
  "it shows an event that was POSTed, whole on a click, and gives it as JSON and as a command",
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
      await rows(page).first().click();
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
      await until(async () => await rows(page).count() === 2, "it is there a second time");
      const again = JSON.parse((await session.channel.batches("earliest").next()).value!.entries[1]!.json);
      assert.equal(again.event, shown.event);
    });
  },
);

run("it filters by type and by text", async () => {
  await onStage({}, async ({ page, session }) => {
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
    const type = (name: string) => page.locator("#type-list").getByRole("button", { name });
    const ask = "10.5 BTC for 2048 MB, order 4 of c0fe1d2c…";
    await reads(type("upgrader_tick").locator("b"), "3");
    await reads(page.locator("#amounts"), "5 events");
    await type("upgrader_tick").click();
    await shows("three.four", "Two", "one");
    await type("torrent_finished").click();
    await shows("two 08ada5a7…", "three.four", "Two", "one");
    await page.getByRole("searchbox").fill("TWO");
    await shows("two 08ada5a7…", "Two");
    await reads(page.locator("#amounts"), "5 events, 2 shown");
    // What comes later is filtered as well, and counted all the same.
    tick(session, "two more");
    tick(session, "none");
    await shows("two more", "two 08ada5a7…", "Two");
    await reads(type("upgrader_tick").locator("b"), "5");
    await page.getByRole("button", { name: "Show all types" }).click();
    const cases: [text: string, ...summaries: string[]][] = [
      ["10.5 btc FOR", ask],
      [HASH.toUpperCase(), "two 08ada5a7…"],
      ['"trader_id"', ask],
      ["e.f", "three.four"],
      ["e(", ...[]],
      ["", "none", "two more", ask, "two 08ada5a7…", "three.four", "Two", "one"],
    ];
    for (const [text, ...summaries] of cases) {
      await page.getByRole("searchbox").fill(text);
      await shows(...summaries);
    }
  });
});

run("what comes while it is paused is counted, and there when it goes on", async () => {
  await onStage({}, async ({ page, session }) => {
    await isLive(page);
    tick(session, "before");
    await reads(rows(page).locator(".summary"), "before");
    await page.getByRole("button", { name: "Pause" }).click();
    for (let n = 0; n < 1234; n++) tick(session, `${n}`);
    await page.getByRole("button", { name: "Resume (1,234 new)" }).waitFor();
    assert.equal(await rows(page).locator(".summary").allTextContents(), ["before"]);
    await page.getByRole("button", { name: /^Resume/ }).click();
    await reads(rows(page).first().locator(".summary"), "1233");
    await page.getByRole("grid").press("End");
    await reads(rows(page).last().locator(".summary"), "before");
    assert.is(await page.getByRole("grid").getAttribute("aria-rowcount"), "1235");
  });
});

run("of 100 000 events it keeps the newest 10 000, and makes rows for those in sight", async () => {
  const session = createSession({ version: "7.1.5" });
  for (let n = 1; n <= 100_000; n++) tick(session, `${n}`);
  await onStage({ session }, async ({ page, session }) => {
    await isLive(page);
    assert.is(await rows(page).count(), 0, "it begins with what comes from now on");
    await page.getByRole("button", { name: "Since earliest" }).click();
    await reads(page.locator("#amounts"), "100,000 events, the newest 10,000 kept");
    await reads(rows(page).first().locator(".summary"), "100000");
    assert.ok(await rows(page).count() < 100);
    await page.getByRole("grid").press("End");
    await reads(rows(page).last().locator(".summary"), "90001");
    assert.ok(await rows(page).count() < 100);
    // Whoever looks at something goes on seeing it.
    await page.getByRole("grid").press("Home");
    for (let n = 0; n < 60; n++) await page.getByRole("grid").press("ArrowDown");
    const active = page.locator("[aria-selected=true] .summary");
    const before = await active.boundingBox();
    await reads(active, "99940");
    for (let n = 0; n < 500; n++) tick(session, "more");
    await reads(page.locator("#amounts"), /^100,500 events/);
    await page.getByRole("button", { name: /newer$/ }).waitFor();
    await reads(active, "99940");
    assert.is((await active.boundingBox())!.y, before!.y);
    await page.getByRole("button", { name: /newer$/ }).click();
    await reads(rows(page).first().locator(".summary"), "more");
  });
});

run("a server that is gone is waited for, and says why; one that forgot is told as a loss", async () => {
  await onStage({}, async ({ page, session, restart }) => {
    await isLive(page);
    tick(session, "before");
    await reads(rows(page).locator(".summary"), "before");
    const after = createSession({ version: "7.1.6" });
    await restart(after, async () => {
      const words = /^Reconnecting (?:in \d+ s|now): the (?:connection was lost|server cannot be reached)$/;
      await reads(connection(page), words);
    });
    await reads(connection(page), "Live, version 7.1.6");
    tick(after, "after");
    await reads(rows(page).first().locator(".summary"), "after");
    assert.equal(await rows(page).locator(".summary").allTextContents(), [
      "after",
      "An unknown number of events are missing here: the server was started anew",
      "before",
    ]);
    await reads(page.locator("#lost"), "Events lost, nobody knows how many");
  });
});

run("a loss is shown in the list and above it, with its count, whatever is filtered", async () => {
  const session = createSession({ version: "7.1.5", history: { events: 3 } });
  await onStage({ session }, async ({ page, restart }) => {
    await isLive(page);
    tick(session, "seen");
    await page.locator("#type-list").getByRole("button", { name: "upgrader_tick" }).click();
    await restart(session, async () => {
      for (let n = 1; n <= 1204; n++) tick(session, `${n}`);
      await reads(connection(page), /^Reconnecting/);
    });
    await reads(page.locator("#lost"), "1,201 events lost");
    await reads(rows(page).first().locator(".summary"), "1204");
    assert.equal(await rows(page).locator(".summary").allTextContents(), [
      "1204",
      "1203",
      "1202",
      "1,201 events are missing here: the server has forgotten them",
      "seen",
    ]);
    await rows(page).nth(3).click();
    await page.getByRole("dialog", { name: "events_lost" }).waitFor();
    assert.not(await page.getByRole("button", { name: "Copy as curl" }).isVisible(), "nobody can publish it");
  });
});

run("it publishes from a form, and shows each fault at its field", async () => {
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
      await item.getByRole("textbox", { name: "0" }).fill(path!);
      await item.getByRole("textbox", { name: "1" }).fill(size!);
    }
    await dialog.getByRole("button", { name: "Add to trackers" }).click();
    await dialog.locator(".item").last().getByRole("textbox").fill("udp://tracker.example.org");
    await send.click();
    await reads(dialog.getByRole("status"), "Not published: 2 faults");
    assert.is(session.channel.last, 0);
    /** The description of a field, as it is read aloud. */
    const said = async (input: Locator) => {
      assert.is(await input.getAttribute("aria-invalid"), "true");
      return await dialog.locator(`#${await input.getAttribute("aria-describedby")}`).textContent();
    };
    assert.is(await said(field("timestamp")), 'Invalid type: Expected number but received "soon"');
    const size = dialog.locator(".item").nth(1).getByRole("textbox", { name: "1" });
    assert.is(await said(size), 'Invalid type: Expected number but received "9007199254740993"');
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

run("each of Tribler's types fits its form, and comes out as it went in", async () => {
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
        // What the schema does not name stays as well.
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

run("what is typed as JSON has to be some, and is refused as a whole where it does not fit", async () => {
  await onStage({}, async ({ page, session }) => {
    await page.getByRole("button", { name: "Publish…" }).click();
    const dialog = page.getByRole("dialog", { name: "Publish an event" });
    await dialog.getByRole("combobox", { name: "type" }).selectOption("torrent_finished");
    await dialog.getByRole("button", { name: "Write JSON" }).click();
    const text = dialog.getByRole("textbox", { name: "event" });
    const send = dialog.getByRole("button", { name: "Publish", exact: true });
    await text.fill("{");
    await send.click();
    await reads(dialog.locator("#publish-fields .fault"), /^This is not JSON: /);
    await text.fill('{"infohash":"x"}');
    await send.click();
    await reads(dialog.getByRole("status"), "Not published: 2 faults");
    await reads(dialog.locator("#publish-fields .fault"), /^infohash: Invalid hash.*\nname: Invalid key/);
    assert.is(session.channel.last, 0);
  });
});

run("a server that wants a key is given one, which stands in no address", async () => {
  await onStage({ apiKey: KEY }, async ({ page, session, url }) => {
    const dialog = page.getByRole("dialog", { name: "This server wants an API key" });
    const give = async (key: string) => {
      await dialog.waitFor();
      await dialog.getByLabel("API key", { exact: true }).fill(key);
      await dialog.getByRole("button", { name: "Connect" }).click();
    };
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    await give("wrong");
    await reads(page.locator("#asking-why"), "The key that was given is not the one it wants.");
    await give(KEY);
    await isLive(page);
    tick(session, "secret");
    await reads(rows(page).locator(".summary"), "secret");
    await rows(page).first().click();
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
    await page.reload();
    await isLive(page);
    assert.is(page.url(), url);
    assert.ok(addresses.length > 5);
    for (const address of addresses) assert.not.match(decodeURIComponent(address), KEY);
  });
});

run("it can be used without a mouse", async () => {
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
    // Beside the open details the list still takes keys, and they follow.
    await rows(page).nth(1).click();
    await page.keyboard.press("ArrowDown");
    await reads(details.locator("#details-summary"), "198");
    await page.keyboard.press("Escape");
    assert.not(await details.isVisible());
    await page.keyboard.press("Escape");
    await until(async () => await active.count() === 0, "it is back at the newest");
  });
});

run(
  "the chart shows the last minutes by kind, in the colours of the theme, whatever the clocks say",
  async () => {
    await onStage({}, async ({ page, session }) => {
      await page.clock.setSystemTime(Date.now() + 3_600_000);
      await page.reload();
      await isLive(page);
      const title = page.locator("#rates-title");
      /** Whether there is something in the colour of this kind. */
      const shows = async (kind: string) => {
        const [colour, pixels] = await page.evaluate(`(() => {
        const dot = document.querySelector("#legend [data-kind=${kind}] .dot");
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
          return /^[1-9]\d* events\/s$/.test(await title.textContent() ?? "") && await shows("torrent");
        };
        await until(happens, `it is shown in the ${colorScheme}`);
        assert.not(await shows("market"), colorScheme);
      }
    });
  },
);

/** axe-core, as it is run in a page. */
const axe: string = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** What axe-core finds wrong with the page as it is. */
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
  run(`in the ${colorScheme}, ${width} px wide, axe-core finds nothing and nothing sticks out`, async () => {
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
      await reads(dialog.getByRole("status"), "Not published: one fault");
      await isSound(page, "publishing");
      await page.keyboard.press("Escape");
      // The list is in sight, also where there is little height.
      assert.ok((await page.locator("#list").boundingBox())!.height >= 100);
    });
  });
}

// A form for schemas that Tribler has none of.

run("a form has unions, choices and optional parts, and JSON for what is nothing for a form", async () => {
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
      assert.equal(await read(), value, "it takes what it gave");
      await page.evaluate(
        'field.fault("tree.left.name", "too short"); field.fault("shape.a", "odd"); field.fault("x.y", "unknown")',
      );
      assert.equal((await page.locator(".fault").allTextContents()).filter(Boolean), [
        "x.y: unknown",
        "too short",
        "odd",
      ]);
      await page.getByRole("button", { name: "Leave out left" }).click();
      assert.equal((await read() as typeof value).tree, { name: "" } as typeof value.tree);
    }));
});

test.run();
