/**
 * What people ask the live page: each question is answered within two clicks. And what they drag on its chart.
 *
 * @module
 */
import type { Locator } from "playwright-core";
import * as assert from "uvu/assert";
import { createSession, type Session } from "../../src/tribler/mod.ts";
import { endVisits, hasChromium } from "../support/chromium.ts";
import { until } from "../support/harness.ts";
import { suite } from "../support/suite.ts";
import { triblerPayloads } from "../support/tribler_payloads.ts";
import { HASH, hubOf, isLive, onStage, reads, rows, tick } from "./stage.ts";

const test = suite("page questions");
const run = hasChromium ? test : test.skip;
test.after(endVisits);

/** Publishes what a catalogue has: something about a subject, trouble, and other things. */
interface Scene {
  readonly session: Session;
  /** Something about one subject. */
  happens(what: string): void;
  fails(): void;
  /** Others, of which only their number counts. */
  passes(): void;
  /** What the row of the subject shows of it, and the groups of what happens and what passes. */
  readonly subject: string;
  readonly groups: readonly [string, string];
  /** What stands in the place of the rate of a group while only trouble is listed. */
  readonly rateBesideTrouble: string;
}

function ofTribler(): Scene {
  const session = createSession({ version: "7.1.5" });
  return {
    session,
    happens: (name) => session.emit("torrent_finished", { infohash: HASH, name }),
    fails: () => session.emit("tribler_exception", { text: "ValueError" }),
    passes: () => tick(session, "more"),
    subject: "08ada5a7…",
    groups: ["torrent", "core"],
    rateBesideTrouble: "–", // It was not asked for.
  };
}

async function ofAnother(): Promise<Scene> {
  const session = await hubOf("any");
  const publish = (type: string, event: unknown, subject?: string) =>
    session.channel.publishBatch([
      { type, event, subject } as Parameters<typeof session.channel.publishBatch>[0][0],
    ]);
  return {
    session,
    happens: (name) => publish("order.placed", { name }, "order/7"),
    fails: () => publish("payment.failed", { code: 402 }),
    passes: () => publish("visit", { page: "/" }),
    subject: "order/7",
    groups: ["order", "visit"],
    rateBesideTrouble: "0/s", // Nobody knows which types are trouble: all events are there, and filtered.
  };
}

for (const [catalogue, open] of [["the Tribler catalogue", ofTribler], ["another one", ofAnother]] as const) {
  run(`the page answers three questions within two clicks each, with ${catalogue}`, async () => {
    const { session, happens, fails, passes, subject, groups, rateBesideTrouble } = await open();
    await onStage({ session }, async ({ page, url }) => {
      await isLive(page);
      happens("first");
      fails();
      passes();
      let clicks = 0;
      const click = async (what: Locator) => {
        clicks++;
        await what.click();
      };
      /** Asks a question on the page as it opens. */
      const ask = async (question: string, answer: () => Promise<void>) => {
        clicks = 0;
        await page.goto(url);
        await reads(page.locator("#amounts"), `${session.channel.last} events`);
        await answer();
        assert.ok(clicks <= 2, `${question}: ${clicks} clicks`);
      };
      const figure = (group: string) =>
        page.locator("#legend li", { hasText: new RegExp(`^${group} `) }).locator("b");

      await ask("is anything failing right now", async () => {
        await reads(figure("trouble"), "1 in 5 min");
        await click(figure("trouble"));
        await until(async () => await rows(page).count() === 1, "only the trouble is listed");
        await reads(figure(groups[0]), rateBesideTrouble);
      });
      await ask("what happened to this one since noon", async () => {
        await click(rows(page).locator(".subject", { hasText: subject }).first());
        await until(async () => await rows(page).count() === 1, "only this one is listed");
        clicks++;
        await page.getByRole("combobox", { name: "Start with" }).selectOption("noon");
        await until(
          () => /[?&]since=\d{4}-.*:00:00\.000Z/.test(page.url()),
          "the server is asked since noon",
        );
        happens("second");
        await reads(rows(page).first().locator(".summary"), /second/);
      });
      await ask("how many a second, of what", async () => {
        const isCounted = async () => {
          happens("one more");
          passes();
          for (const group of groups) {
            if (!/^[1-9][\d.]*\/s$/.test(await figure(group).textContent() ?? "")) return false;
          }
          return true;
        };
        await until(isCounted, "the rates of the last second stand above the chart");
      });
    });
  });
}

/** Publishes events as if it were a while ago. */
function publishAgo(session: Session, hours: number, texts: readonly string[]): void {
  atTime(hours, () => {
    for (const text of texts) tick(session, text);
  });
}

/** Does something as if it were a while ago. */
function atTime(hours: number, act: () => void): void {
  const { Date: clock } = globalThis;
  const then = clock.now() - hours * 3_600_000;
  globalThis.Date = new Proxy(clock, {
    construct: (target, args) => args.length === 0 ? new target(then) : Reflect.construct(target, args),
    get: (target, name) => name === "now" ? () => then : Reflect.get(target, name),
  });
  try {
    act();
  } finally {
    globalThis.Date = clock;
  }
}

run("a list whose answer is on its way does not say that there is nothing, and is not blank", async () => {
  await onStage({}, async ({ page, url, session }) => {
    // The stream opens some time after the question, and the first event arrives a quarter of a second after that.
    await page.addInitScript(`(() => {
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const { fetch } = globalThis;
      globalThis.said = [];
      globalThis.fetch = async (...request) => {
        const response = await fetch(...request);
        if (!String(request[0]).includes("events?")) return response;
        await pause(1500);
        let isFirst = true;
        const late = new TransformStream({
          transform: async (chunk, controller) => {
            const end = isFirst ? chunk.indexOf(10) + 1 : 0;
            isFirst = false;
            controller.enqueue(chunk.slice(0, end));
            await pause(250);
            controller.enqueue(chunk.slice(end));
          },
        });
        return new Response(response.body.pipeThrough(late), response);
      };
      const note = ({ target, type, oldValue }) => {
        const isHidden = target.id === "empty" && type === "attributes" && oldValue === null;
        const text = target.id === "empty-why" ? target.textContent : isHidden ? "" : undefined;
        if (text !== undefined && text !== said.at(-1)) said.push(text);
      };
      new MutationObserver((changes) => changes.forEach(note))
        .observe(document, { subtree: true, childList: true, attributeFilter: ["hidden"], attributeOldValue: true });
    })()`);
    await page.goto(`${url}?since=earliest`);
    await reads(page.locator("#empty-why"), "No events yet.");
    assert.equal(await page.evaluate("said"), ["Asking the server…", "No events yet."]);
    await page.evaluate("void (said.length = 0)");
    await page.getByRole("combobox", { name: "Start with" }).selectOption("-1h");
    await reads(page.locator("#empty-why"), "Nothing in the last hour.");
    assert.equal(await page.evaluate("said"), ["Asking the server…", "Nothing in the last hour."]);
    tick(session, "there");
    await page.goto(url);
    await reads(rows(page).locator(".summary"), "there");
    assert.equal(await page.evaluate("said"), ["Asking the server…", ""]);
  });
});

run(
  "the empty list says the same as the header of when the page tries again, and an attempt takes no button away",
  async () => {
    await onStage({}, async ({ page, session, restart }) => {
      await reads(page.locator("#empty-why"), "No events yet.");
      await page.evaluate(`void (() => {
      globalThis.waits = [];
      const seconds = (id) => Number(/in\\s+(\\d+)\\ss/.exec(document.getElementById(id).textContent)?.[1] ?? 0);
      new MutationObserver(() => waits.push([seconds("connection-words"), seconds("empty-what")]))
        .observe(document.getElementById("connection-words"), { childList: true });
      globalThis.flickers = [];
      const buttons = document.querySelectorAll("#connect, #empty [data-remedy=retry]");
      const flicker = (changes) => flickers.push(...changes.filter(({ oldValue }) => oldValue === null).map(({ target }) => target.textContent));
      for (const button of buttons) {
        new MutationObserver(flicker).observe(button, { attributeFilter: ["hidden"], attributeOldValue: true });
      }
    })()`);
      await restart(session, async () => {
        const waits = async () => await page.evaluate("waits") as [number, number][];
        await until(async () => (await waits()).some(([header]) => header >= 3), "it waits", 60_000);
        // A second may end between the two.
        assert.equal((await waits()).filter(([header, list]) => Math.abs(header - list) > 1), []);
        assert.equal(await page.evaluate("flickers"), []);
      });
    });
  },
);

run(
  "the legend has the groups of all events that are listed, however old, and says that none is trouble",
  async () => {
    const session = await hubOf("any");
    atTime(1, () => {
      for (const type of ["order_placed", "user_created"]) {
        session.channel.publishBatch(
          [{ type, event: {} }] as unknown as Parameters<typeof session.channel.publishBatch>[0],
        );
      }
    });
    await onStage({ session }, async ({ page }) => {
      await reads(page.locator("#amounts"), "2 events");
      await reads(page.locator("#legend"), "trouble 0 in 5 minorder 0/suser 0/s");
    });
  },
);

run("a click on trouble finds types that the server has not described, old ones and new ones", async () => {
  const session = await hubOf("any");
  const publish = (type: string) =>
    session.channel.publishBatch([{ type } as Parameters<typeof session.channel.publishBatch>[0][0]]);
  publish("disk_error");
  for (let n = 0; n < 300; n++) publish("log");
  await onStage({ session }, async ({ page }) => {
    await isLive(page);
    await reads(page.locator("#amounts"), "200 events");
    const trouble = page.locator("#legend").getByRole("button", { name: /^trouble/ });
    await trouble.click();
    await reads(page.locator("#amounts"), "301 events, 1 shown");
    await reads(rows(page).first(), /disk_error/);
    publish("net_failed");
    await reads(page.locator("#amounts"), "302 events, 2 shown");
    await reads(rows(page).first(), /net_failed/);
    await reads(trouble, /^trouble 2 in /);
    await trouble.click();
    await reads(page.locator("#amounts"), "200 events");
    await page.getByRole("searchbox").fill("log");
    await trouble.click();
    await reads(page.locator("#amounts"), "302 events, 2 shown");
    await trouble.click();
    await reads(page.locator("#amounts"), "200 events, 199 shown");
    assert.is(await page.getByRole("searchbox").inputValue(), "log");
    await trouble.click(); // What is chosen after that is not taken back.
    await reads(page.locator("#amounts"), "302 events, 2 shown");
    await page.locator("#type-list").getByRole("button", { name: /^net_failed/ }).click();
    await reads(page.locator("#amounts"), "1 event, 1 shown");
    await trouble.click();
    await reads(page.locator("#amounts"), "1 event");
    assert.is(await page.getByRole("searchbox").inputValue(), "");
  });
});

run("the legend has the same order and colours after each load, whatever came first", async () => {
  const first = ["torrent_finished", "market_ask", "search_result_torrent"] as const;
  const seen = new Set<string>();
  for (const type of first) {
    const session = createSession({ version: "7.1.5" });
    session.emit(type, triblerPayloads[type] as never);
    await onStage({ session }, async ({ page }) => {
      await isLive(page);
      await rows(page).first().waitFor();
      const groups = page.locator("#legend li");
      await until(async () => await groups.count() === 5, "all groups are listed");
      seen.add(
        (await groups.evaluateAll((all) => all.map((one) => `${one.dataset["group"]} ${one.textContent}`)))
          .map((
            text,
          ) => text.replace(/[\d–].*/, "")).join(),
      );
    });
  }
  assert.is(seen.size, 1, [...seen].join("; "));
});

run("the chart hatches what is not loaded, loads it, and takes ranges dragged by a finger", async () => {
  const session = createSession({ version: "7.1.5" });
  publishAgo(session, 2, ["oldest", "second"]);
  for (let n = 1; n <= 200; n++) tick(session, `${n}`);
  await onStage({ session, width: 768, height: 1024 }, async ({ page, url }) => {
    await isLive(page);
    const load = page.locator(".load");
    await reads(load, "Load 5 min");
    const isHatched = page.locator(".unknown").first();
    await isHatched.waitFor();
    const trouble = page.locator('#legend [data-group="trouble"] b');
    await until(
      async () => /^0 in \d+ s$/.test(await trouble.textContent() ?? ""),
      "the legend counts trouble in what is loaded",
    );
    const strip = (await isHatched.boundingBox())!;
    await page.mouse.move(strip.x + strip.width * .75, strip.y + 10);
    await reads(page.locator("#rates-title"), /^–\/s at /);
    await reads(trouble, "–"); // An empty chart would say that nothing happened, and so would a zero.
    await page.mouse.move(0, 0);
    await page.getByRole("button", { name: "All", exact: true }).click();
    await reads(load, "Load all");
    const chart = (await page.locator("#chart .u-over").boundingBox())!;
    const devtools = await page.context().newCDPSession(page);
    const touch = async (type: string, x?: number) =>
      await devtools.send("Input.dispatchTouchEvent", {
        type: type as "touchStart",
        touchPoints: x === undefined ? [] : [{ x: chart.x + x * chart.width, y: chart.y + 20 }],
      });
    await devtools.send("Emulation.setTouchEmulationEnabled", { enabled: true });
    // The second click, and the oldest event of the server is in sight.
    await touch("touchStart", 0.3);
    for (const x of [0.2, 0.1, -0.01]) await touch("touchMove", x);
    await touch("touchEnd");
    await reads(rows(page).last().locator(".summary"), "oldest");
    await until(async () => await rows(page).count() === 2, "the list is limited to the range");
    assert.match(page.url(), /\?since=.*&from=.*&to=.*&chart=all/);
    await page.goto(url);
    await page.getByRole("button", { name: "All", exact: true }).click();
    await load.click();
    await reads(page.locator("#amounts"), "202 events");
    await isHatched.waitFor({ state: "hidden" });
    await load.waitFor({ state: "hidden" });
    await reads(trouble, "0 in all");
    assert.is(page.url(), `${url}?since=earliest&chart=all`);

    // What is the one movement of the page stands still where people want that.
    const moving = async (reducedMotion: "reduce" | "no-preference") => {
      await page.emulateMedia({ reducedMotion });
      // In one go: the page writes the state anew every second.
      return await page.locator("#connection").evaluate((one) => {
        one.setAttribute("data-state", "waiting");
        return one.ownerDocument.getAnimations().length;
      });
    };
    assert.is(await moving("reduce"), 0);
    assert.is(await moving("no-preference"), 1);
  });
});

test.run();
