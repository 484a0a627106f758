/**
 * How the live page keeps up, in headless Chromium and Firefox: `npm run bench:page`, or `npm run bench:page -- firefox 10`
 * for one of them, and 10 seconds of each load. With `--write` the figures go into `docs/benchmarks.md`.
 *
 * What is measured is the time from one frame to the next, which is 16.7 ms where nothing holds it up. The page holds 100 000
 * events all the time. Firefox is driven over WebDriver BiDi; Debian's package is `firefox-esr`.
 *
 * @module
 */
import { cpus } from "node:os";
import process from "node:process";
import puppeteer from "puppeteer-core";
import { startCli, whereItListens } from "../test/support/children.ts";
import { launchChromium } from "../test/support/chromium.ts";
import { shareThreadPriority } from "./machine.ts";
import { publishTables } from "./page_tables.ts";

const RATE = 2000;
const HELD = 100_000;
/** The longest time between two frames that is allowed. */
const LIMIT_MS = 50;
const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";
const [only, seconds = "60"] = process.argv.slice(2).filter((word) => word !== "--write");

/** A page in some browser. */
interface Tab {
  /** Name and version of the browser. */
  readonly browser: string;
  evaluate(script: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Collects the times between frames in the page. */
const WATCH = `
  globalThis.gaps = [];
  let last = performance.now();
  (function frame(now) {
    gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  })(last);`;

const BROWSERS: Readonly<Record<string, (url: string) => Promise<Tab>>> = {
  chromium: async (url) => {
    const browser = await launchChromium();
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(url);
    const name = `Chromium ${browser.version().split(".")[0]}`;
    return { browser: name, evaluate: (script) => page.evaluate(script), close: () => browser.close() };
  },
  firefox: async (url) => {
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: process.env["FIREFOX"] ?? "/usr/bin/firefox-esr",
      headless: true,
    });
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(url);
    const name = (await browser.version()).replace(/^firefox\/(\d+).*/i, "Firefox $1");
    return { browser: name, evaluate: (script) => page.evaluate(script), close: () => browser.close() };
  },
};

/** What was measured of a load. */
interface Row {
  readonly browser: string;
  readonly load: string;
  /** The milliseconds between frames, in ascending order. */
  readonly gaps: readonly number[];
}

const rows: Row[] = [];

let number = 0;

function batch(count: number): string {
  const line = () => {
    const n = ++number;
    if (n % 3 > 0) return { type: "upgrader_tick", event: { text: `Converting torrent ${n} of 1000000` } };
    return { type: "torrent_finished", event: { infohash: HASH, name: `Night of the Living Dead ${n}` } };
  };
  return Array.from({ length: count }, () => JSON.stringify(line())).join("\n");
}

async function publish(url: string, count: number): Promise<void> {
  const headers = { "Content-Type": "application/x-ndjson" };
  const { status } = await fetch(url, { method: "POST", headers, body: batch(count) });
  if (status !== 202) throw new Error(`POST answers ${status}`);
}

/** Publishes at a steady pace. */
async function flow(url: string, seconds: number): Promise<void> {
  const began = performance.now();
  let sent = 0;
  for (let now = 0; now < seconds * 1000; now = performance.now() - began) {
    const due = Math.floor(now / 1000 * RATE) - sent;
    if (due > 0) await publish(url, due);
    sent += Math.max(0, due);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits until a condition holds in the page. */
async function until(tab: Tab, condition: string): Promise<void> {
  for (let n = 0; n < 600; n++) {
    if (await tab.evaluate(condition) === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited a minute until ${condition}`);
}

const choose = (id: string, value: string, event: string) =>
  `void ((element) => {
    element.value = ${JSON.stringify(value)};
    element.dispatchEvent(new Event("${event}"));
  })(document.getElementById("${id}"))`;
const amounts = `document.getElementById("amounts").textContent`;

async function measureAll(open: (url: string) => Promise<Tab>, events: string): Promise<void> {
  const tab = await open(events.replace(/events$/, ""));
  const { browser } = tab;
  /** Measures while something happens, and says how it went. */
  const measure = async (load: string, use: () => Promise<unknown>) => {
    shareThreadPriority();
    await tab.evaluate("void (gaps.length = 0)");
    await use();
    const gaps = (await tab.evaluate("gaps") as number[]).sort((a, b) => a - b);
    rows.push({ browser, load, gaps });
    console.log(`${browser}: ${load}: ${figuresOf(gaps).join(", ")} (${await tab.evaluate(amounts)})`);
  };
  try {
    await tab.evaluate(`void (() => { ${WATCH} })()`);
    await until(tab, `document.getElementById("connection").dataset.state === "live"`);
    await measure("nothing happens", () => new Promise((resolve) => setTimeout(resolve, 2000)));
    while (number < HELD) await publish(events, Math.min(5000, HELD - number));
    const amount = HELD.toLocaleString("en");
    await measure(`reading ${amount} events from the earliest`, async () => {
      await tab.evaluate(choose("since", "earliest", "change"));
      await until(tab, `/^${amount}|newest/.test(${amounts})`);
    });
    const rate = `${RATE.toLocaleString("en")} events a second`;
    await measure(rate, () => flow(events, Number(seconds)));
    await measure("a filter over all of them", async () => {
      await tab.evaluate(choose("filter", "name:dead -99", "input"));
      await until(tab, `/shown$/.test(${amounts})`);
    });
    await measure(`${rate}, filtered`, () => flow(events, Number(seconds)));
    await tab.evaluate(choose("filter", "", "input"));
    await until(tab, `!/shown$/.test(${amounts})`);
    await tab.evaluate(`document.getElementById("list").scrollTop = 5000`);
    await measure(`${rate}, held at a row`, () => flow(events, Number(seconds)));
  } finally {
    await tab.close();
  }
}

/** The number of frames, the times between them in milliseconds, and the number of long ones. */
function figuresOf(gaps: readonly number[]): readonly (number | string)[] {
  const at = (share: number) => gaps[Math.floor((gaps.length - 1) * share)]!.toFixed(1);
  return [gaps.length, at(0.5), at(0.99), at(1), gaps.filter((gap) => gap > LIMIT_MS).length];
}

/** Writes what was measured as Markdown. */
function render(): string {
  const browsers = [...new Set(rows.map(({ browser }) => browser))].join(" and ");
  const today = new Date().toISOString().slice(0, 10);
  const head = `On ${today}, in headless ${browsers} on ${cpus().length} cores:`;
  const names = ["load", "browser", "frames", "p50, ms", "p99, ms", "longest, ms", `over ${LIMIT_MS} ms`];
  const table = [
    names,
    names.map((_, i) => i < 2 ? "---" : "--:"),
    ...rows.map(({ browser, load, gaps }) => [load, browser, ...figuresOf(gaps)]),
  ];
  return [head, "", ...table.map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

for (const [name, open] of Object.entries(BROWSERS)) {
  if (only !== undefined && only !== name) continue;
  const server = startCli(["serve", "--port", "0"]);
  try {
    number = 0;
    const { url } = await whereItListens(server);
    await measureAll(open, `${url}/events`);
  } finally {
    await server.kill();
  }
}
publishTables("page", render());
