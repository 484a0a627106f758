/**
 * How the live page keeps up, in headless Chromium: `npm run bench:page`.
 *
 * What is measured is the time from one frame to the next, which is 16.7 ms where nothing holds it up, and Long Tasks
 * (W3C): what kept the page from everything else for more than 50 ms.
 *
 * @module
 */
import { startCli, whereItListens } from "../test/support/children.ts";
import { launchChromium } from "../test/support/chromium.ts";

const RATE = 2000;
const SECONDS = 5;
const HASH = "08ada5a7a6183aae1e09d831df6748d566095a10";

/** Collects in the page. */
const WATCH = `
  globalThis.gaps = [];
  globalThis.longTasks = [];
  let last = performance.now();
  (function frame(now) {
    gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  })(last);
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask" });`;

let number = 0;

function batch(count: number): string {
  const line = () => {
    const n = ++number;
    if (n % 3 > 0) {
      return {
        type: "upgrader_tick",
        event: { text: `Converting torrent ${n} of 1000000` },
      };
    }
    return {
      type: "torrent_finished",
      event: { infohash: HASH, name: `Night of the Living Dead ${n}` },
    };
  };
  return Array.from({ length: count }, () => JSON.stringify(line())).join("\n");
}

async function publish(url: string, count: number): Promise<void> {
  const headers = { "Content-Type": "application/x-ndjson" };
  const { status } = await fetch(url, {
    method: "POST",
    headers,
    body: batch(count),
  });
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

const server = startCli(["serve", "--port", "0"]);
const browser = await launchChromium();
try {
  const { url } = await whereItListens(server);
  const events = `${url}/events`;
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
  });
  await page.addInitScript(WATCH);
  await page.goto(`${url}/`);
  await page.locator("#connection[data-state=live]").waitFor();
  await page.waitForTimeout(500);

  /** Measures while something happens, and says how it went. */
  const measure = async (name: string, use: () => Promise<unknown>) => {
    await page.evaluate("void (gaps.length = longTasks.length = 0)");
    await use();
    const [gaps, longTasks] = await page.evaluate("[gaps, longTasks]") as [number[], number[]];
    gaps.sort((a, b) => a - b);
    const at = (share: number) => `${gaps[Math.floor((gaps.length - 1) * share)]!.toFixed(1)} ms`;
    const long = longTasks.map((ms) => ms.toFixed(0)).join(", ");
    const amounts = await page.locator("#amounts").textContent();
    const frames = `${gaps.length} frames, p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
    console.log(`${name}: ${frames}; long tasks: ${long || "none"}; ${amounts}`);
  };

  await measure("nothing happens", () => page.waitForTimeout(1000));
  await measure(`${RATE} events a second`, () => flow(events, SECONDS));
  await page.getByRole("searchbox").fill("dead");
  await measure("the same, filtered by text", () => flow(events, SECONDS));
  await page.getByRole("searchbox").fill("");
  await page.getByRole("grid").press("PageDown");
  await measure("the same, held at a row", () => flow(events, SECONDS));
  while (number < 100_000) {
    await publish(events, Math.min(5000, 100_000 - number));
  }
  // The server keeps 100 000 events.
  const amount = (100_000).toLocaleString("en");
  await measure(`${amount} events since earliest`, async () => {
    await page.getByRole("combobox", { name: "Start with" }).selectOption("earliest");
    await page.getByText(new RegExp(`^${amount} events`)).waitFor();
  });
} finally {
  await browser.close();
  await server.kill();
}
