/**
 * Takes the pictures of the live page that the README shows: `npm run screenshots`.
 *
 * They are of the page as it is served, after five minutes in which some things happened.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createApp } from "../src/server/app.ts";
import { type Fetch, listen } from "../src/server/listen.ts";
import { createSession, type TriblerSchemas } from "../src/tribler/mod.ts";
import type { Draft } from "../src/mod.ts";
import { launchChromium } from "../test/support/chromium.ts";

type Event = Draft<TriblerSchemas>;

const folder: string = fileURLToPath(new URL("./", import.meta.url));

/** The same numbers every time, from 0 up to 1 (a linear congruential generator, modulo 2^32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

const random = randomNumbers(8);
const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
const hex = (length: number) => Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join("");
const whole = (most: number) => Math.floor(random() * most);

const NAMES = [
  "Sintel",
  "Big Buck Bunny",
  "Tears of Steel",
  "Night of the Living Dead (1968)",
  "Elephants Dream",
  "debian-12.9.0-amd64-netinst.iso",
  "ubuntu-24.04.2-desktop-amd64.iso",
  "Cosmos Laundromat",
  "Librivox: Moby Dick",
  "Blender Open Movies",
];
const TRADERS = Array.from({ length: 6 }, () => hex(40));

const tick = () => ({
  trader_id: pick(TRADERS),
  order_number: 1 + whole(90),
  assets: {
    first: { amount: 1 + whole(20), type: "BTC" },
    second: { amount: 10 * (1 + whole(40)), type: "MB" },
  },
  timeout: 3600,
  timestamp: 1795000000,
  traded: 0,
  block_hash: hex(64),
});

/** What may happen, the frequent things more than once. */
const EVENTS: readonly (() => Event)[] = [
  () => ({ type: "market_ask", event: tick() }),
  () => ({ type: "market_bid", event: tick() }),
  () => ({ type: "market_bid", event: tick() }),
  () => ({
    type: "search_result_torrent",
    event: {
      query: "open movies",
      result: {
        id: whole(10_000),
        infohash: hex(40),
        name: pick(NAMES),
        size: whole(9e9),
        category: "video",
        num_seeders: whole(2000),
        num_leechers: whole(90),
        last_tracker_check: 1795000000,
        relevance_score: random(),
      },
    },
  }),
  () => ({
    type: "torrent_discovered",
    event: {
      infohash: hex(40),
      timestamp: 1795000000,
      name: pick(NAMES),
      files: Array.from(
        { length: 1 + whole(4) },
        (_, i): [string, number] => [`part ${i + 1}.mkv`, whole(2e9)],
      ),
      trackers: ["udp://tracker.example.org:6969/announce"],
      dispersy_cid: hex(40),
    },
  }),
  () => ({ type: "torrent_finished", event: { infohash: hex(40), name: pick(NAMES) } }),
];
const RARE: readonly (() => Event)[] = [
  () => ({ type: "torrent_error", event: { infohash: hex(40), error: "No space left on device" } }),
  () => ({
    type: "channel_discovered",
    event: { name: "Public domain films", description: "From before 1930", dispersy_cid: hex(40) },
  }),
  () => ({ type: "new_version_available", event: { version: "7.2.0" } }),
  () => ({ type: "watch_folder_corrupt_torrent", event: { name: "half a download.torrent" } }),
  () => ({ type: "upgrader_tick", event: { text: "Converting torrent 12 of 340" } }),
];

const session = createSession({ version: "7.1.5" });
const RealDate = Date;
const begun = Date.now() - 295_000;
for (let second = 0; second < 295; second++) {
  // To the session it is some minutes ago.
  const then = begun + second * 1000;
  globalThis.Date = new Proxy(RealDate, {
    construct: () => new RealDate(then),
    get: (date, key) => key === "now" ? () => then : Reflect.get(date, key),
  });
  if (second === 0) session.start();
  // It rises, falls, and rises, as things do.
  const amount = Math.round((2.2 + Math.sin(second / 31) + Math.sin(second / 9)) * 2.4 * random());
  for (let n = 0; n < amount; n++) session.channel.publishBatch([pick(EVENTS)()]);
  if (random() < 0.05) session.channel.publishBatch([pick(RARE)()]);
}
globalThis.Date = RealDate;

const server = await listen(createApp(session, { heartbeat: 5 }).fetch as Fetch, {
  host: "127.0.0.1",
  port: 0,
});
const browser = await launchChromium();
try {
  await mkdir(folder, { recursive: true });
  const only = process.argv[2];
  const shots = [
    { name: "page-light", colorScheme: "light", width: 1280, height: 720 },
    { name: "page-dark", colorScheme: "dark", width: 1280, height: 720 },
    ...(only === undefined ? [] : [
      { name: `${only}-360`, colorScheme: "light", width: 360, height: 760 },
      { name: `${only}-2560`, colorScheme: "dark", width: 2560, height: 1300 },
    ] as const),
  ] as const;
  for (const { name, colorScheme, width, height } of shots) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme });
    await page.goto(`http://127.0.0.1:${server.port}/`);
    await page.getByRole("combobox", { name: "Start with" }).selectOption("earliest");
    await page.locator("#amounts").getByText(/^[1-9]\d{2,} events$/).waitFor();
    if (colorScheme === "dark") {
      await page.getByRole("row").filter({ hasText: "torrent_discovered" }).first().locator(".time").click();
    }
    // It goes on while it is looked at; the chart is drawn every second.
    for (let n = 0; n < 25; n++) {
      session.channel.publishBatch([pick(EVENTS)()]);
      await page.waitForTimeout(100);
    }
    // Less than half of the size of a PNG: the package contains the pictures of its README.
    const protocol = await page.context().newCDPSession(page);
    const { data } = await protocol.send("Page.captureScreenshot", { format: "webp", quality: 65 });
    await writeFile(`${folder}${name}.webp`, Buffer.from(data, "base64"));
    await page.close();
  }
} finally {
  await browser.close();
  await server.stop(0);
}
